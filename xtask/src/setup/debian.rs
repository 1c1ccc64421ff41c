//! A Debian of its own, on which the packages are tried: made once by debootstrap, kept under
//! `target/debian`.

use std::env;
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, anyhow};

use crate::pins::PACKAGE_SUITE as SUITE;
use crate::{paths, shell, step};

/// What is in it beside the essential packages.
const PACKAGES: [&str; 2] = ["systemd", "systemd-sysv"];

/// The longest that the downloads and the installation may take.
const LIMIT: Duration = Duration::from_secs(900);

/// Makes it, unless it is there; and says where it is.
pub fn root() -> Result<PathBuf> {
    let dir = paths::workspace().join("target/debian").join(format!("{SUITE}-{}", PACKAGES.join("-")));
    step::line("setup", format!("debootstrap {SUITE}"), || {
        if dir.is_dir() {
            return Ok(((), "ok (found)".to_owned()));
        }
        let beside = dir.with_extension("new");
        if beside.exists() {
            fs::remove_dir_all(&beside).with_context(|| beside.display().to_string())?;
        }
        let mut command = shell::command("debootstrap");
        command.args(["--variant=minbase", &format!("--include={}", PACKAGES.join(",")), SUITE]).arg(&beside);
        if let Some(mirror) = env::var_os("DEBIAN_MIRROR") {
            command.arg(mirror);
        }
        shell::logged(&mut command, "debootstrap", Some(LIMIT)).map_err(|error| {
            anyhow!(
                "setup: debootstrap: {error}\nWith the network there, and DEBIAN_MIRROR set where Debian's own servers \
                 are out of reach, give the same command again"
            )
        })?;
        // What it has downloaded; and only now is the place known to hold all of it.
        fs::remove_dir_all(beside.join("var/cache/apt/archives"))?;
        fs::create_dir_all(beside.join("var/cache/apt/archives/partial"))?;
        fs::rename(&beside, &dir)?;
        Ok(((), "made".to_owned()))
    })?;
    Ok(dir)
}
