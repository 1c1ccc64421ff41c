//! `cargo xtask lint`: format, lints, documentation, house rules, and the crates that are built in.

use std::env;

use anyhow::Result;

use crate::checks::Checks;
use crate::compile::{self, BPF_PACKAGE};
use crate::setup::{self, Purpose, Tools};
use crate::{client, deny, fuzz, shell, tidy, unsafety};

/// The verb.
pub fn verb() -> Result<()> {
    let mut checks = Checks::new("lint");
    let tools = setup::setup(Some(Purpose::Lint))?;
    checks.run("rustfmt", || shell::run(shell::cargo("fmt").args(["--all", "--check"])));
    checks.run("clippy, host", || {
        let mut cargo = shell::cargo("clippy");
        cargo.args(["--workspace", "--exclude", BPF_PACKAGE, "--all-targets"]);
        shell::run(cargo.args(["--", "-Dwarnings"]))?;
        // `--all-targets` leaves out what has `test = false` in its manifest.
        let mut cargo = shell::cargo("clippy");
        cargo.args(["--package", "tests", "--test", "it", "--test", "kernel", "--test", "package"]);
        shell::run(cargo.args(["--", "-Dwarnings"]))
    });
    checks.run("clippy, BPF", || bpf(&tools));
    checks.run("fuzz targets", fuzz::check);
    client::check(&mut checks);
    checks.run("documentation", documentation);
    checks.run("tidy", tidy::check);
    checks.run("unsafe", unsafety::check);
    deny::check(&mut checks);
    checks.finish()
}

/// Clippy of the BPF side, or the compiler's own lints where its toolchain has no clippy.
fn bpf(tools: &Tools) -> Result<()> {
    if tools.toolchain.has_clippy {
        let mut cargo = compile::bpf_cargo(tools, "clippy", &[]);
        return shell::run(cargo.args(["--", "-Dwarnings"]));
    }
    println!("[lint] this toolchain has no clippy: the compiler's own lints only");
    shell::run(&mut compile::bpf_cargo(tools, "check", &["-Dwarnings"]))
}

/// The documentation of the host crates builds, and its links lead somewhere.
fn documentation() -> Result<()> {
    let flags = env::var("RUSTDOCFLAGS").unwrap_or_default();
    let mut cargo = shell::cargo("doc");
    cargo.args(["--workspace", "--exclude", BPF_PACKAGE, "--no-deps"]);
    shell::run(cargo.env("RUSTDOCFLAGS", format!("{flags} -Dwarnings")))
}
