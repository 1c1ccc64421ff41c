//! `cargo xtask lint`: format, lints, documentation, house rules, and the crates that are built in.

use std::env;

use anyhow::Result;

use crate::checks::{After, Checks};
use crate::compile::{self, BPF_PACKAGE};
use crate::setup::{self, Purpose, Tools};
use crate::{changed, client, contact, costs, deny, fuzz, layers, rules, shell, tidy, unsafety};

/// Test binaries that `--all-targets` leaves out: they have `test = false` in their manifest.
const ROOT_TESTS: [&str; 6] = ["--test", "it", "--test", "kernel", "--test", "package"];

/// The verb.
pub fn verb(is_quick: bool) -> Result<()> {
    let mut checks = Checks::new("lint", After::GoOn);
    if is_quick {
        quick(&mut checks)?;
        return checks.finish();
    }
    let tools = setup::setup(Some(Purpose::Lint))?;
    // What takes no time comes first.
    checks.run("rustfmt", format);
    checks.run("tidy", tidy::check);
    checks.run("unsafe", unsafety::check);
    checks.run("rules", rules::check);
    checks.run("layers", layers::check);
    checks.run("contact", contact::check);
    checks.run("costs", costs::check);
    checks.run("clippy, host", || {
        clippy(&compile::HOST, &["--all-targets", "--features", "tests/programs"])?;
        clippy(&compile::HOST, &ROOT_TESTS)
    });
    checks.run("clippy, BPF", || bpf(&tools));
    checks.run("fuzz targets", fuzz::check);
    client::check(&mut checks);
    checks.run("documentation", documentation);
    deny::check(&mut checks);
    checks.finish()
}

/// What can be said within seconds of what has changed since the last commit.
fn quick(checks: &mut Checks) -> Result<()> {
    checks.run("rustfmt", format);
    checks.run("tidy", tidy::check);
    checks.run("unsafe", unsafety::check);
    checks.run("rules", rules::check);
    checks.run("layers", layers::check);
    checks.run("contact", contact::check);
    checks.run("costs", costs::check);
    for package in changed::packages("HEAD")? {
        checks.run(&format!("clippy, {package}"), || match package {
            BPF_PACKAGE => bpf(&setup::setup(Some(Purpose::Lint))?),
            "tests" => {
                clippy(&["--package", package], &["--all-targets"])?;
                clippy(&["--package", package], &ROOT_TESTS)
            }
            _ => clippy(&["--package", package], &["--all-targets"]),
        });
    }
    checks.leave_out("clippy of packages that are as in the last commit");
    checks.leave_out("fuzz targets, the client alone, documentation, licences: `cargo xtask lint` runs them");
    Ok(())
}

fn format() -> Result<()> {
    shell::run(shell::cargo("fmt").args(["--all", "--check"]))
}

fn clippy(packages: &[&str], targets: &[&str]) -> Result<()> {
    shell::run(shell::cargo("clippy").args(packages).args(targets).args(["--", "-Dwarnings"]))
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
    cargo.args(compile::HOST).arg("--no-deps");
    shell::run(cargo.env("RUSTDOCFLAGS", format!("{flags} -Dwarnings")))
}
