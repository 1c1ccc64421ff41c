//! An ssh session that stays open.

use std::io::Write;
use std::process::{ChildStdin, Command};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

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
        let mut command = command(family);
        command.arg("cat");
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
        self.client.lines.wait_after(mark, &line, TIMEOUT)?;
        Ok(start.elapsed())
    }
}

/// `ssh` to the server, with nothing of this machine's settings.
fn command(family: Family) -> Command {
    let mut command = Command::new("ssh");
    command.args(["-F", "none", "-p", &SSH_PORT.to_string(), "-i"]).arg(client_key());
    for option in [
        "BatchMode=yes",
        "StrictHostKeyChecking=no",
        "UserKnownHostsFile=/dev/null",
        "GlobalKnownHostsFile=/dev/null",
        "IdentitiesOnly=yes",
        "IdentityAgent=none",
        "ConnectTimeout=5",
        "LogLevel=ERROR",
    ] {
        command.args(["-o", option]);
    }
    command.arg(format!("root@{}", family.address(Host::Server)));
    command
}
