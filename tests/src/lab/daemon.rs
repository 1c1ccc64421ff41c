//! The daemon under test.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};

use anyhow::Result;
use nix::sys::signal::Signal;

use super::{Background, Config, Host, TIMEOUT, knockctl_path};

/// What the daemon says last when it starts.
pub const GATE_STANDS: &str = "the gate stands";

/// `knockctl run`, until it is dropped; the gate itself stays.
pub struct Daemon {
    program: Background,
    config: PathBuf,
}

impl Daemon {
    /// Starts it on the server, and waits until the gate stands. `prefix` as in
    /// [`super::Lines::of`].
    ///
    /// # Errors
    ///
    /// If the gate does not stand, with what the daemon says.
    pub fn start(config: &Config, prefix: Option<&'static str>) -> Result<Self> {
        Self::begin(config, prefix)?.standing()
    }

    /// Starts that of another `knockctl`, and waits until the gate stands.
    ///
    /// # Errors
    ///
    /// If the gate does not stand, with what the daemon says.
    pub fn start_of(knockctl: &Path, config: &Config) -> Result<Self> {
        Self::run_of(knockctl, config, &[], None)?.standing()
    }

    /// Starts it with more arguments, and waits until the gate stands.
    ///
    /// # Errors
    ///
    /// If the gate does not stand, with what the daemon says.
    pub fn start_with(config: &Config, args: &[&str]) -> Result<Self> {
        Self::run(config, args, None)?.standing()
    }

    /// Starts it, and does not wait.
    ///
    /// # Errors
    ///
    /// If it cannot be started.
    pub fn begin(config: &Config, prefix: Option<&'static str>) -> Result<Self> {
        Self::run(config, &[], prefix)
    }

    fn run(config: &Config, args: &[&str], prefix: Option<&'static str>) -> Result<Self> {
        Self::run_of(&knockctl_path()?, config, args, prefix)
    }

    fn run_of(knockctl: &Path, config: &Config, args: &[&str], prefix: Option<&'static str>) -> Result<Self> {
        let config = config.write("gate.toml")?;
        let mut command = Command::new(knockctl);
        command.args(["run", "--config"]).arg(&config).args(args);
        Ok(Self { program: Background::start(Host::Server, command, prefix)?, config })
    }

    /// The same, once it has said that the gate stands.
    fn standing(self) -> Result<Self> {
        self.wait_after(0, GATE_STANDS)?;
        Ok(self)
    }

    /// Its config file.
    #[must_use]
    pub fn config(&self) -> &Path {
        &self.config
    }

    /// Its process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.program.id()
    }

    /// How many lines it has written: a mark for [`Daemon::wait_after`].
    #[must_use]
    pub fn mark(&self) -> usize {
        self.program.lines.count()
    }

    /// What it has written behind a mark.
    #[must_use]
    pub fn after(&self, mark: usize) -> Vec<String> {
        self.program.lines.after(mark)
    }

    /// Waits for a line with `text` behind a mark.
    ///
    /// # Errors
    ///
    /// If none comes.
    pub fn wait_after(&self, mark: usize, text: &str) -> Result<String> {
        self.program.lines.wait_after(mark, text, TIMEOUT)
    }

    /// True while it runs.
    pub fn runs(&mut self) -> bool {
        self.program.runs()
    }

    /// Asks it to read its config again.
    ///
    /// # Errors
    ///
    /// If it is gone.
    pub fn hang_up(&self) -> Result<()> {
        self.program.signal(Signal::SIGHUP)
    }

    /// Does something while it is stopped, as [`Background::while_stopped`].
    ///
    /// # Errors
    ///
    /// As there.
    pub fn while_stopped<T>(&self, act: impl FnOnce() -> Result<T>) -> Result<T> {
        self.program.while_stopped(act)
    }

    /// Asks it to end, and waits for that.
    ///
    /// # Errors
    ///
    /// If it does not.
    pub fn terminate(&mut self) -> Result<ExitStatus> {
        self.program.terminate()
    }

    /// Waits until it ends by itself.
    ///
    /// # Errors
    ///
    /// If it does not.
    pub fn wait(&mut self) -> Result<ExitStatus> {
        self.program.wait(TIMEOUT)
    }

    /// `kill -9`.
    ///
    /// # Errors
    ///
    /// If it is not there.
    pub fn kill(&mut self) -> Result<()> {
        self.program.kill()
    }
}
