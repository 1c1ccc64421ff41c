//! `cargo xtask test`: the unit tests of the host crates, then what needs root: BPF programs in this
//! kernel, and whole hosts in network namespaces.

use anyhow::Result;

use crate::checks::Checks;
use crate::compile::{self, BPF_PACKAGE, Profile};
use crate::setup::{self, Purpose};
use crate::{root, shell};

/// The verb; the arguments are for the test binaries `kernel` and `it`.
pub fn verb(args: &[String]) -> Result<()> {
    root::require("test", "to load BPF programs and to make network namespaces")?;
    let mut checks = Checks::new("test");
    let tools = setup::setup(Some(Purpose::Test))?;
    let built = compile::build(&tools, Profile::Release)?;

    // All but `kernel` and `it`, which have `test = false` in their manifest: a plain `cargo test`
    // needs no root.
    checks.run("host", || {
        let mut cargo = built.cargo("test");
        shell::run(cargo.args(["--workspace", "--exclude", BPF_PACKAGE, "--no-fail-fast"]))
    });
    checks.run("kernel and end to end", || {
        let mut cargo = built.lab_cargo("test");
        cargo.args(["--release", "--no-fail-fast", "--test", "kernel", "--test", "it", "--"]);
        shell::run(cargo.args(args))
    });
    checks.finish()
}
