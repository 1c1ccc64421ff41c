//! A program that runs beside the test, and not longer than its guard.

use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result};
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{Id, WaitPidFlag, waitid};
use nix::unistd::Pid;

use super::{Host, Lines, TIMEOUT, until};

/// All programs that were started, with what they have written on standard error.
static STARTED: Mutex<Vec<(String, Lines)>> = Mutex::new(Vec::new());

/// The last lines of every program that was started and has written any: what a test that fails repeats.
#[must_use]
pub fn last_words(count: usize) -> Vec<(String, Vec<String>)> {
    let started = STARTED.lock().unwrap_or_else(PoisonError::into_inner);
    let last = started.iter().map(|(name, lines)| (name.clone(), lines.last(count)));
    last.filter(|(_, lines)| !lines.is_empty()).collect()
}

/// The guard: kills the program when it is dropped.
pub struct Background {
    name: String,
    child: Child,
    /// Its standard output and standard error.
    pub lines: Lines,
}

impl Background {
    /// Starts a program on a host, with its standard error collected; `prefix` as in [`Lines::of`].
    ///
    /// # Errors
    ///
    /// If it cannot be started.
    pub fn start(host: Host, mut command: Command, prefix: Option<&'static str>) -> Result<Self> {
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = host.spawn(&mut command)?;
        let pipe = child.stderr.take().context("its standard error is piped")?;
        let (name, lines) = (super::host::name_of(&command), Lines::of(pipe, prefix));
        STARTED.lock().unwrap_or_else(PoisonError::into_inner).push((name.clone(), lines.clone()));
        Ok(Self { name, child, lines })
    }

    /// The same for standard output, with standard input open.
    ///
    /// # Errors
    ///
    /// If it cannot be started.
    pub fn talk(host: Host, mut command: Command) -> Result<(Self, std::process::ChildStdin)> {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::inherit());
        let mut child = host.spawn(&mut command)?;
        let pipe = child.stdout.take().context("its standard output is piped")?;
        let input = child.stdin.take().context("its standard input is piped")?;
        Ok((Self { name: super::host::name_of(&command), child, lines: Lines::of(pipe, None) }, input))
    }

    /// Its process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// True while it runs.
    pub fn runs(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Sends it a signal.
    ///
    /// # Errors
    ///
    /// If it is gone.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        let id = i32::try_from(self.child.id())?;
        kill(Pid::from_raw(id), signal).with_context(|| format!("{signal} to {}", self.name))
    }

    /// Does something while it is stopped: it cannot answer, or undo, anything of it meanwhile.
    ///
    /// # Errors
    ///
    /// If it is gone, or of what is done.
    pub fn while_stopped<T>(&self, act: impl FnOnce() -> Result<T>) -> Result<T> {
        self.signal(Signal::SIGSTOP)?;
        let id = Pid::from_raw(i32::try_from(self.child.id())?);
        // The signal is on its way. It is left to be waited for by others, as an end would be.
        let ends = WaitPidFlag::WSTOPPED | WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT;
        waitid(Id::Pid(id), ends).with_context(|| self.name.clone())?;
        let done = act();
        self.signal(Signal::SIGCONT)?;
        done
    }

    /// Waits for its end.
    ///
    /// # Errors
    ///
    /// If that does not come in time.
    pub fn wait(&mut self, timeout: Duration) -> Result<ExitStatus> {
        let what = format!("the end of {}", self.name);
        until(&what, timeout, || self.child.try_wait().ok().flatten())
    }

    /// Asks it to end, and waits for that.
    ///
    /// # Errors
    ///
    /// If it does not.
    pub fn terminate(&mut self) -> Result<ExitStatus> {
        self.signal(Signal::SIGTERM)?;
        self.wait(TIMEOUT)
    }

    /// Ends it without asking.
    ///
    /// # Errors
    ///
    /// If it is not ours to end.
    pub fn kill(&mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        // An error means that it has ended.
        let _ = self.kill();
    }
}
