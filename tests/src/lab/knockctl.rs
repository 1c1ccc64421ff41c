//! The program under test.

use std::env;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use super::{Host, Ran};

/// Where it is: `$KNOCKCTL`, or else beside what cargo has built.
///
/// # Errors
///
/// If it is not built; with the remedy.
pub fn knockctl_path() -> Result<PathBuf> {
    const REMEDY: &str = "`cargo xtask build --release` builds it; or name it in KNOCKCTL";
    if let Some(path) = env::var_os("KNOCKCTL") {
        let path = PathBuf::from(path);
        ensure!(path.is_file(), "no knockctl at {}; {REMEDY}", path.display());
        return Ok(path);
    }
    let own = env::current_exe()?;
    let mut candidates = own.ancestors().map(|dir| dir.join("release/knockctl"));
    candidates.find(|path| path.is_file()).with_context(|| format!("no knockctl; {REMEDY}"))
}

/// Runs it on a host to its end.
///
/// # Errors
///
/// If it cannot be started.
pub fn knockctl<S: AsRef<OsStr>>(host: Host, args: &[S]) -> Result<Ran> {
    host.run(Command::new(knockctl_path()?).args(args))
}

/// The account without rights, by its number.
pub const NOBODY: u32 = 65534;

/// A command for it as an account without rights, with nothing of root's environment but PATH.
///
/// # Errors
///
/// If it is not built.
pub fn knockctl_as_nobody() -> Result<Command> {
    // The binary may lie where only root can look: a copy, in a directory for all.
    let copy = Path::new("/run/knockctl-for-nobody");
    if !copy.exists() {
        fs::copy(knockctl_path()?, copy)?;
    }
    let mut command = Command::new(copy);
    command.env_clear().env("PATH", env::var_os("PATH").unwrap_or_default()).uid(NOBODY).gid(NOBODY);
    Ok(command)
}
