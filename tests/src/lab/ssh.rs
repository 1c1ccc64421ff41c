//! An ssh session that stays open.

use std::io::Write;
use std::process::{ChildStdin, Command};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow};

use super::sshd::client_key;
use super::{Background, Family, Host, SSH_PORT, TIMEOUT};

/// The session: what is said at one end comes back from the other.
pub struct Session {
    client: Background,
    input: ChildStdin,
    said: usize,
}

impl Session {
    /// Opens one from the client to the server, and waits until it echoes.
    ///
    /// # Errors
    ///
    /// If the server does not let us in.
    pub fn open(family: Family) -> Result<Self> {
        let mut command = ssh(&[]);
        command.args([&format!("root@{}", family.address(Host::Server)), "cat"]);
        Self::with(command)
    }

    /// Opens one with a command of [`ssh`], which must run `cat` on the server.
    ///
    /// # Errors
    ///
    /// If the server does not let us in.
    pub fn with(command: Command) -> Result<Self> {
        let (client, input) = Background::talk(Host::Client, command)?;
        let mut session = Self { client, input, said: 0 };
        session.echo().context("no ssh session")?;
        Ok(session)
    }

    /// Says a line, and waits until it comes back. Returns how long that took.
    ///
    /// # Errors
    ///
    /// If it does not come back.
    pub fn echo(&mut self) -> Result<Duration> {
        let start = Instant::now();
        let mark = self.client.lines.count();
        self.said += 1;
        writeln!(self.input, "line {} through the session", self.said).context("the session has ended")?;
        let line = format!("line {} ", self.said);
        // A session that has fallen silent is lost, and not late.
        self.client
            .lines
            .wait_after(mark, &line, TIMEOUT)
            .map_err(|error| anyhow!("the session is silent: {error}"))?;
        Ok(start.elapsed())
    }

    /// Waits until the client has ended.
    ///
    /// # Errors
    ///
    /// If it goes on.
    pub fn wait_for_end(mut self) -> Result<()> {
        self.client.wait(TIMEOUT).map(drop)
    }
}

/// `ssh` with nothing of this machine's settings, and some of one's own, such as `Port=22`.
#[must_use]
pub fn ssh(options: &[&str]) -> Command {
    let mut command = Command::new("ssh");
    command.args(["-F", "none", "-p", &SSH_PORT.to_string(), "-i"]).arg(client_key());
    let ours = [
        "BatchMode=yes",
        "StrictHostKeyChecking=no",
        "UserKnownHostsFile=/dev/null",
        "GlobalKnownHostsFile=/dev/null",
        "IdentitiesOnly=yes",
        "IdentityAgent=none",
        "LogLevel=ERROR",
    ];
    // The first setting counts.
    for option in options.iter().chain(&ours).chain(&["ConnectTimeout=5"]) {
        command.args(["-o", option]);
    }
    command
}
