//! `knockctl confirm`: what is on trial stays.

use std::io::Write;

use anyhow::{Result, bail};
use rustix::process::Signal;

use super::reload;
use crate::exit::Exit;
use crate::kernel::need_root;
use crate::paths::Paths;
use crate::runtime::{self, Trial};

/// Arguments of `knockctl confirm`: none.
#[derive(clap::Args, Clone, Debug)]
pub struct ConfirmArgs {}

/// Confirms the trial. Nothing on trial is a negative answer.
///
/// # Errors
///
/// Not root; a daemon that is gone, or cannot load the rules once more.
pub fn run(paths: &Paths, out: &mut dyn Write) -> Result<Exit> {
    need_root()?;
    let daemon = runtime::daemon(paths);
    if Trial::read(paths).is_none_or(|trial| trial.until.is_none()) || !Trial::end(paths) {
        writeln!(out, "nothing is on trial")?;
        return Ok(Exit::Negative);
    }
    let Some(daemon) = daemon else {
        bail!(
            "the daemon that began the trial is gone, and a gate on trial lets everybody in at its end: start it again \
             with `knockctl run`"
        );
    };
    reload::by_daemon(&daemon, paths, Signal::USR1)?;
    writeln!(out, "confirmed: the gate stays as it is")?;
    Ok(Exit::Done)
}
