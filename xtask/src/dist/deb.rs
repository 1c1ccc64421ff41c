//! The Debian package, by cargo-deb. What it holds is in the manifest of knock-user.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result, ensure};

use super::stage::{Stage, VERSION};
use crate::setup::tool::CARGO_DEB;
use crate::{contact, paths, shell, step};

/// Builds the package from what is built and staged; a revision is the packaging's own version.
pub fn build(stage: &Stage, revision: u32) -> Result<PathBuf> {
    step::line("dist", format!("Debian package, revision {revision}"), || {
        let maintainer = contact::maintainer()?;
        fs::write(stage.dir.join("changelog"), changelog(stage, revision, &maintainer)?)?;
        let mut command = shell::command(CARGO_DEB.path());
        command
            .args(["--package", "knock-user", "--no-build", "--locked", "--quiet", "--compress-system"])
            .args(["--maintainer", &maintainer, "--deb-revision", &revision.to_string(), "--output"])
            .arg(paths::dist())
            .env("SOURCE_DATE_EPOCH", stage.epoch.to_string())
            .env("PATH", path_with_cargo()?)
            .current_dir(paths::workspace());
        let said = shell::read(&mut command)?;
        let file = PathBuf::from(said.lines().last().unwrap_or_default());
        ensure!(file.is_file(), "cargo-deb names no package: {said:?}");
        Ok((file, "ok".to_owned()))
    })
}

/// Debian wants one. What changed is in the commits.
fn changelog(stage: &Stage, revision: u32, maintainer: &str) -> Result<String> {
    let mut command = shell::command("date");
    let date = shell::read(command.args(["-u", "-R", "-d", &format!("@{}", stage.epoch)]))?;
    Ok(format!(
        "knock ({VERSION}-{revision}) unstable; urgency=medium\n\n  * Version {VERSION}.\n\n -- {maintainer}  {date}"
    ))
}

/// PATH with the cargo that runs us: cargo-deb asks it for the workspace.
fn path_with_cargo() -> Result<OsString> {
    let cargo = env::var_os("CARGO").map(PathBuf::from);
    let dir = cargo.as_deref().and_then(|cargo| cargo.parent()).map(PathBuf::from);
    let path = env::var_os("PATH").unwrap_or_default();
    env::join_paths(dir.into_iter().chain(env::split_paths(&path))).context("PATH")
}
