//! The program that runs after the knock.

use std::ffi::{OsStr, OsString};
use std::net::SocketAddr;
use std::process::Command;

use anyhow::{Result, anyhow};

use super::address_text;
use crate::exit::Exit;

/// What its words may name.
pub(super) struct Destination<'a> {
    /// The host, as it was named.
    pub(super) host: &'a str,
    /// The address that was knocked.
    pub(super) address: SocketAddr,
    /// The service's port.
    pub(super) port: Option<u16>,
}

impl Destination<'_> {
    fn port(&self) -> String {
        self.port.map(|port| port.to_string()).unwrap_or_default()
    }

    /// A word with its tokens replaced; they stay words, and no shell sees them.
    fn fill(&self, word: &OsStr) -> OsString {
        match word.to_str() {
            Some(text) if text.contains('%') => text
                .replace("%IP%", &address_text(&self.address))
                .replace("%HOST%", self.host)
                .replace("%PORT%", &self.port())
                .into(),
            _ => word.to_owned(),
        }
    }

    fn command(&self, words: &[OsString]) -> Command {
        let mut words = words.iter().map(|word| self.fill(word));
        let mut command = Command::new(words.next().unwrap_or_default());
        command.args(words);
        command.env("KNOCK_HOST", self.host).env("KNOCK_IP", address_text(&self.address));
        match self.port {
            Some(_) => command.env("KNOCK_PORT", self.port()),
            None => command.env_remove("KNOCK_PORT"),
        };
        command
    }
}

/// Runs a program in our place: what it says and how it ends is what we say and how we end.
///
/// # Errors
///
/// If it cannot be started. It does not return otherwise.
pub(super) fn run(words: &[OsString], place: &Destination<'_>) -> Result<Exit> {
    let mut command = place.command(words);
    let error = replace(&mut command);
    let name = command.get_program().to_string_lossy().into_owned();
    Err(anyhow!(error).context(format!("knock: knocked, but cannot run {name}; is it installed and in PATH?")))
}

#[cfg(unix)]
fn replace(command: &mut Command) -> std::io::Error {
    std::os::unix::process::CommandExt::exec(command)
}

#[cfg(not(unix))]
fn replace(command: &mut Command) -> std::io::Error {
    match command.status() {
        Ok(status) => std::process::exit(status.code().unwrap_or(Exit::Error as i32)),
        Err(error) => error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_replaced_in_words_and_stay_words() {
        let place = Destination { host: "server.example", address: ([192, 0, 2, 1], 0).into(), port: Some(2222) };
        let words = ["ssh", "-p", "%PORT%", "me@%IP%", "%HOST%:%IP%; 100% $X"].map(OsString::from);
        let command = place.command(&words);
        let args: Vec<_> = command.get_args().map(|arg| arg.to_str().unwrap()).collect();
        assert_eq!(args, ["-p", "2222", "me@192.0.2.1", "server.example:192.0.2.1; 100% $X"]);
        let env: Vec<_> = command.get_envs().map(|(name, value)| (name, value.unwrap())).collect();
        assert_eq!(
            env.iter().map(|(name, value)| format!("{}={}", name.display(), value.display())).collect::<Vec<_>>(),
            ["KNOCK_HOST=server.example", "KNOCK_IP=192.0.2.1", "KNOCK_PORT=2222"]
        );
    }
}
