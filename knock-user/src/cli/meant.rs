//! Commands that other programs have: which of ours is meant.

use clap::error::{ContextKind, ContextValue, ErrorKind};

/// Words that are no command here, and what to type.
#[cfg(feature = "gate")]
const MEANT: [(&[&str], &str); 9] = [
    (
        &["start", "up", "enable", "load"],
        "`systemctl start knockctl` starts the daemon, which puts the gate up; `knockctl run` does so in the foreground",
    ),
    (
        &["stop", "down", "disable", "kill"],
        "`knockctl unload` takes the gate off; `systemctl stop knockctl` ends the daemon alone, and the gate stands on",
    ),
    (&["restart"], "`knockctl reload` swaps the rules; `systemctl restart knockctl` starts another daemon"),
    (
        &["list", "ls", "show", "grants", "who"],
        "`knockctl status` shows doors, grants and attempts; `knockctl knock --list` the profiles of the client",
    ),
    (
        &["open", "grant", "add", "permit"],
        "`knockctl allow ADDRESS` lets an address in; `knockctl knock HOST PORT...` knocks at another host",
    ),
    (
        &["close", "remove", "delete", "deny", "block", "kick"],
        "`knockctl revoke ADDRESS` takes an address's grants away; --cut ends its connections as well",
    ),
    (&["unban", "unblock"], "`knockctl unlock ADDRESS` ends a lockout"),
    (&["log", "logs", "tail", "follow"], "`knockctl events` prints the event log"),
    (&["test", "validate", "verify", "lint"], "`knockctl check FILE` looks for mistakes in a config"),
];

/// The same for the client alone.
#[cfg(not(feature = "gate"))]
const MEANT: [(&[&str], &str); 2] = [
    (&["list", "ls", "show"], "`knockctl knock --list` lists the profiles"),
    (&["open", "start"], "`knockctl knock HOST PORT...` knocks; the gate's own commands are on its host"),
];

/// What to say of a command line that names no command of ours, if it is known what was meant.
#[must_use]
pub fn answer(error: &clap::Error) -> Option<String> {
    if error.kind() != ErrorKind::InvalidSubcommand {
        return None;
    }
    let Some(ContextValue::String(word)) = error.get(ContextKind::InvalidSubcommand) else { return None };
    let (_, meant) = MEANT.iter().find(|(words, _)| words.contains(&word.as_str()))?;
    Some(format!("there is no command {word}\n  help: {meant}"))
}
