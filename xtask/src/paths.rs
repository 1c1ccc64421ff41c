//! Where things are: the workspace and what `cargo xtask` keeps under its `target/`.

use std::env;
use std::path::{Path, PathBuf};

/// The root of the workspace.
pub fn workspace() -> PathBuf {
    // Cargo sets the variable when it runs us; a binary started by hand knows where it was built.
    let xtask =
        env::var_os("CARGO_MANIFEST_DIR").map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
    xtask.parent().map_or_else(|| xtask.clone(), Path::to_path_buf)
}

/// Tools built for this workspace: `cargo install --root`.
pub fn tools() -> PathBuf {
    workspace().join("target/tools")
}

/// The target directory of the BPF build, apart from that of the host.
pub fn bpf_target() -> PathBuf {
    workspace().join("target/bpf")
}

/// The target directory of what Miri interprets.
pub fn miri_target() -> PathBuf {
    workspace().join("target/miri")
}

/// What is built of another layout, for the tests of an upgrade.
pub fn next() -> PathBuf {
    workspace().join("target/next")
}

/// The targets of cargo-fuzz, a workspace of its own.
pub fn fuzz() -> PathBuf {
    workspace().join("fuzz")
}

/// The copy of the workspace that bugs are planted in.
pub fn mutants() -> PathBuf {
    workspace().join("target/mutants/tree")
}

/// Another commit to measure, and what is built of it.
pub fn beside() -> PathBuf {
    workspace().join("target/beside")
}

/// What `cargo xtask dist` makes.
pub fn dist() -> PathBuf {
    workspace().join("target/dist")
}

/// What the quiet steps of the set-up printed, one file per step.
pub fn logs() -> PathBuf {
    workspace().join("target/setup")
}
