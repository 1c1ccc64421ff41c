//! cargo-deb: built once, kept under `target/tools`.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use anyhow::{Result, anyhow, ensure};

use crate::{paths, shell, step};

/// The version that is known to build with our Rust, and to make what the manifest asks for.
const VERSION: &str = "3.8.0";

/// The longest that the build may take.
const LIMIT: Duration = Duration::from_secs(1200);

/// Where it is kept.
pub fn path() -> PathBuf {
    paths::tools().join("bin/cargo-deb")
}

/// Whether it is there.
fn is_built() -> bool {
    shell::probe(shell::command(path()).arg("--version")).is_some_and(|said| said.ends_with(VERSION))
}

/// Builds it, unless it is there.
pub fn build_if_needed() -> Result<()> {
    step::line("setup", format!("cargo-deb {VERSION}"), || {
        if is_built() {
            return Ok(((), "ok (found)".to_owned()));
        }
        let mut install = shell::cargo("install");
        install.args(args());
        let built = shell::logged(&mut install, "cargo-deb", Some(LIMIT)).and_then(|()| {
            ensure!(is_built(), "{} does not run", path().display());
            Ok(((), "installed".to_owned()))
        });
        built.map_err(|error| {
            anyhow!(
                "setup: cargo-deb: {error}\nWith the network there, run\n\n    {}\n\nand the same command again",
                line()
            )
        })
    })
}

/// What a person would type for it.
fn line() -> String {
    let mut install = Command::new("cargo");
    shell::display(install.arg("install").args(args()))
}

/// Without optimisations and a compressor of its own: it packs with xz, and is built in half the time.
fn args() -> Vec<String> {
    let fixed = ["--force", "--locked", "--debug", "--no-default-features"];
    let mut args: Vec<String> = fixed.map(str::to_owned).into();
    args.push(format!("--root={}", paths::tools().display()));
    args.push(format!("cargo-deb@{VERSION}"));
    args
}
