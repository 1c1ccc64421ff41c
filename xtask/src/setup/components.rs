//! rustfmt, clippy and standard libraries of the toolchain that runs us, and clippy of the BPF compiler.

use std::env;
use std::path::Path;

use anyhow::{Result, anyhow};

use super::rustup;
use super::toolchain::Toolchain;
use crate::{shell, step};

/// Finds or installs rustfmt and clippy for the host.
pub fn host() -> Result<()> {
    step::line("setup", "rustfmt and clippy", || {
        let is_there = |verb: &str| shell::probe(shell::cargo(verb).arg("--version")).is_some();
        if is_there("fmt") && is_there("clippy") {
            return Ok(((), "ok (found)".to_owned()));
        }
        rustup::add(None, &["rustfmt", "clippy"]).map_err(|error| {
            anyhow!(
                "setup: rustup: {error}\nRun\n\n    rustup component add rustfmt clippy\n\nand the same command again"
            )
        })?;
        Ok(((), "installed".to_owned()))
    })
}

/// Finds or installs the standard library for another target; false if it cannot be had.
pub fn has_std_of(target: &str) -> Result<bool> {
    let rustc = env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let is_there = || {
        let args = ["--print", "target-libdir", "--target", target];
        shell::probe(shell::command(&rustc).args(args)).is_some_and(|dir| Path::new(&dir).is_dir())
    };
    step::line("setup", format!("standard library for {target}"), || {
        let how = if is_there() {
            "ok (found)"
        } else if rustup::add_target(target).is_ok() && is_there() {
            "installed"
        } else {
            "not to be had"
        };
        Ok((how != "not to be had", how.to_owned()))
    })
}

/// Finds or installs clippy for the BPF compiler; without it, the lints of the BPF side are fewer.
pub fn bpf(toolchain: &mut Toolchain) -> Result<()> {
    let added = step::line("setup", "clippy for BPF", || {
        if toolchain.has_clippy {
            return Ok((true, "ok (found)".to_owned()));
        }
        let added = toolchain.rustup_name().is_some_and(|name| rustup::add(Some(name), &["clippy"]).is_ok());
        let how = if added { "installed" } else { "not to be had" };
        Ok((added, how.to_owned()))
    })?;
    toolchain.has_clippy = added;
    Ok(())
}

/// Finds or installs Miri for the BPF compiler, if that is a nightly of rustup's; false if it cannot be had.
pub fn has_miri(toolchain: &Toolchain) -> Result<bool> {
    step::line("setup", "Miri", || {
        let is_there = || shell::probe(toolchain.cargo("miri").arg("--version")).is_some();
        let how = match toolchain.rustup_name() {
            Some(_) if is_there() => "ok (found)",
            Some(name) if rustup::add(Some(name), &["miri"]).is_ok() && is_there() => "installed",
            _ => "not to be had",
        };
        Ok((how != "not to be had", how.to_owned()))
    })
}
