//! How many files may be open: the daemon is not to find out in the middle of a reload that it may open no more.

use anyhow::{Result, bail};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::config::Config;
use crate::kernel::list_interfaces;

/// What the daemon has open without hooks, and some to spare: two programs with their maps while rules are swapped, and
/// those who ask for the status. It was seen to get by with 80 on two interfaces.
const BASE: u64 = 192;
/// What a hook takes: its process, and both ends of the pipes to it.
const HOOK: u64 = 6;

/// Lets this process open as many files as `config` takes, before anything is changed.
///
/// # Errors
///
/// If the system does not let it, with the remedy.
pub fn raise(config: &Config) -> Result<()> {
    // One more for the link on each interface while it moves.
    let interfaces = list_interfaces().map_or(0, |all| all.len() as u64);
    let needed = BASE + interfaces + HOOK * u64::from(config.options.max_hooks);
    let limit = getrlimit(Resource::Nofile);
    let (soft, hard) = (limit.current.unwrap_or(u64::MAX), limit.maximum.unwrap_or(u64::MAX));
    if soft >= needed {
        return Ok(());
    }
    // No further than that: hooks inherit it, and some programs look at each number below it.
    let wanted = Rlimit { current: Some(needed.min(hard)), maximum: limit.maximum };
    if hard < needed || setrlimit(Resource::Nofile, wanted).is_err() {
        bail!(
            "this process may have {} files open (RLIMIT_NOFILE), and needs {needed}: raise it by LimitNOFILE={needed} in \
             the unit, or by `ulimit -Hn {needed}` where it is started",
            soft.max(hard.min(needed))
        );
    }
    Ok(())
}
