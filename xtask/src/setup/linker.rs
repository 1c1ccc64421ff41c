//! bpf-linker: built once, kept under `target/tools`.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use anyhow::{Result, anyhow, ensure};

use crate::{paths, shell, step};

/// The version that is known to build with the LLVM of the BPF compiler.
const VERSION: &str = "0.13.0";

/// Debian's LLVM, for llvm-sys.
const PREFIX: &str = "LLVM_PREFIX";
const LLVM: &str = "/usr/lib/llvm-22";

/// The longest that the build may take.
const LIMIT: Duration = Duration::from_secs(1200);

/// Where it is kept.
pub fn path() -> PathBuf {
    paths::tools().join("bin/bpf-linker")
}

/// Whether it is there and runs; if its LLVM is gone, it does not.
fn is_built() -> bool {
    let version = shell::probe(shell::command(path()).arg("--version"));
    version.as_deref() == Some(&*format!("bpf-linker {VERSION}"))
}

/// Looks for it, and says so.
pub fn look() -> Result<bool> {
    step::line("setup", format!("bpf-linker {VERSION}"), || {
        Ok(match is_built() {
            true => (true, "ok (found)".to_owned()),
            false => (false, "missing,".to_owned()),
        })
    })
}

/// Builds it, unless it runs by now.
pub fn build_if_needed() -> Result<()> {
    if is_built() {
        return Ok(());
    }
    let mut install = shell::cargo("install");
    install.args(args()).env(PREFIX, LLVM);
    let built = step::line("setup", format!("build bpf-linker {VERSION}"), || {
        shell::logged(&mut install, "bpf-linker", Some(LIMIT))?;
        ensure!(is_built(), "{} does not run", path().display());
        Ok(((), "installed".to_owned()))
    });
    built.map_err(|error| {
        anyhow!(
            "setup: bpf-linker: {error}\nWith the network there, run\n\n    {}\n\nand the same command again",
            line()
        )
    })
}

/// What a person would type for it.
fn line() -> String {
    let mut install = Command::new("cargo");
    install.arg("install").args(args());
    format!("{PREFIX}={LLVM} {}", shell::display(&install))
}

fn args() -> Vec<String> {
    let fixed = ["--force", "--locked", "--no-default-features", "--features=llvm-22"];
    let mut args: Vec<String> = fixed.map(str::to_owned).into();
    args.push(format!("--root={}", paths::tools().display()));
    args.push(format!("bpf-linker@{VERSION}"));
    args
}
