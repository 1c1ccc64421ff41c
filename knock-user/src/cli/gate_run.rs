//! The commands of the gate, each to its own file.

use std::io::{self, Write};

use anyhow::Result;
use rustix::fs::Mode;

use super::gate::{GateCommand as Command, Loud};
use crate::commands::{
    allow, check, confirm, events, explain, import, reload, revoke, rules, sequence, status, unload, unlock,
};
use crate::daemon;
use crate::exit::Exit;
use crate::paths::Paths;

/// Runs one of them.
///
/// # Errors
///
/// What went wrong, with the remedy.
pub fn run(command: &Command, verbosity: u8, paths: &Paths, out: &mut dyn Write) -> Result<Exit> {
    // Whatever it takes from others: what this makes can be opened by whoever made it.
    let umask = rustix::process::umask(Mode::empty());
    rustix::process::umask(umask - Mode::RWXU);
    match command {
        Command::Run(Loud { args, .. }) => daemon::run(args, paths, verbosity).map(|()| Exit::Done),
        Command::Status(Loud { args, .. }) => status::run(args, paths, out),
        Command::Allow(Loud { args, .. }) => allow::run(args, paths, out),
        Command::Revoke(Loud { args, .. }) => revoke::run(args, paths, out),
        Command::Check(Loud { args, .. }) => check::run(args, paths, out),
        Command::Reload(Loud { args, .. }) => reload::run(args, paths, out),
        Command::Confirm(_) => confirm::run(paths, out),
        Command::Unload(_) => unload::run(paths, out),
        Command::Unlock(Loud { args, .. }) => unlock::run(args, paths, out),
        Command::Explain(Loud { args, .. }) => explain::run(args, paths, out),
        Command::Rules(Loud { args, .. }) => rules::run(args, out),
        Command::Sequence(Loud { args, .. }) => sequence::run(args, out),
        Command::Events(Loud { args, .. }) => events::run(args, paths, out),
        Command::Import(Loud { args, .. }) => import::run(args, out, &mut io::stderr()),
    }
}
