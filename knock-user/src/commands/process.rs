//! The daemon's process: whether it lives, and signals to it.

use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};
use std::{io, thread};

use anyhow::{Context as _, Result, bail};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use crate::paths::Paths;
use crate::runtime::{self, DaemonInfo, Lock};

/// How long the daemon may take to react.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// Who may change the gate.
pub enum Holder {
    /// The daemon.
    Daemon(DaemonInfo),
    /// This process: no daemon can start while it keeps the lock.
    Nobody(Lock),
}

/// Finds out who may change the gate; waits for a daemon that is just starting.
///
/// # Errors
///
/// If the lock cannot be taken and there is no daemon that answers for it.
pub fn holder(paths: &Paths) -> Result<Holder> {
    let end = Instant::now() + PATIENCE;
    loop {
        if let Some(daemon) = runtime::daemon(paths) {
            return Ok(Holder::Daemon(daemon));
        }
        match Lock::take(paths) {
            Ok(lock) => return Ok(Holder::Nobody(lock)),
            // An error of the system's will not go away; a holder will.
            Err(error) if Instant::now() > end || error.root_cause().is::<io::Error>() => return Err(error),
            Err(_) => thread::sleep(Duration::from_millis(50)),
        }
    }
}

/// Sends the daemon a signal; never another process that was given its number. `None` if it does
/// not live.
pub fn send(paths: &Paths, daemon: &DaemonInfo, signal: Signal) -> Result<Option<OwnedFd>> {
    let name = || format!("the daemon (process {})", daemon.pid);
    let pid = Pid::from_raw(daemon.pid.try_into()?).context("process 0 is no daemon")?;
    let process = pidfd_open(pid, PidfdFlags::empty());
    // Only now is it certain that the descriptor means the holder of the lock.
    if runtime::daemon(paths).is_none_or(|now| now.pid != daemon.pid) {
        return Ok(None);
    }
    let process = process.with_context(|| format!("{}: cannot be seen from here", name()))?;
    pidfd_send_signal(&process, signal).with_context(|| format!("{}: no signal can be sent", name()))?;
    Ok(Some(process))
}

/// Tells the daemon to end and waits until it has.
pub fn stop(paths: &Paths, daemon: &DaemonInfo) -> Result<()> {
    let Some(process) = send(paths, daemon, Signal::TERM)? else { return Ok(()) };
    let patience = Timespec { tv_sec: PATIENCE.as_secs().try_into()?, tv_nsec: 0 };
    if poll(&mut [PollFd::new(&process, PollFlags::IN)], Some(&patience))? == 0 {
        bail!("the daemon (process {0}) does not end: `kill -9 {0}`, then try again", daemon.pid);
    }
    Ok(())
}
