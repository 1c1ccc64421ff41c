//! Miri: the tests of knock-common in an interpreter that sees undefined behaviour. What has no Miri says so.

use std::process::Command;

use anyhow::{Result, bail};

use crate::checks::Checks;
use crate::setup::{self, Purpose, Tools};
use crate::{paths, shell};

/// The verb: an error where there is no Miri.
pub fn verb() -> Result<()> {
    let tools = setup::setup(Some(Purpose::Lint))?;
    match setup::has_miri(&tools.toolchain)? {
        true => run(&tools),
        false => bail!("miri: {}", absence(&tools)),
    }
}

/// The same among other checks, where there is Miri.
pub fn check(checks: &mut Checks, tools: &Tools) -> Result<()> {
    if setup::has_miri(&tools.toolchain)? {
        checks.run("Miri", || run(tools));
    } else {
        println!("[test] MIRI DID NOT RUN: {}", absence(tools));
    }
    Ok(())
}

fn absence(tools: &Tools) -> String {
    format!("it is not to be had for {}; it takes rustup, and a nightly with its component `miri`", tools.toolchain)
}

fn run(tools: &Tools) -> Result<()> {
    shell::run(&mut command(tools))
}

fn command(tools: &Tools) -> Command {
    let mut cargo = tools.toolchain.cargo("miri");
    cargo.args(["test", "--package", "knock-common", "--lib"]);
    // An interpreter has no optimisations, and a target directory of its own.
    cargo.env("CARGO_TARGET_DIR", paths::miri_target());
    cargo
}
