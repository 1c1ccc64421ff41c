//! The commands: each one file, each thin over the library.

pub mod allow;
pub mod check;
pub mod completions;
pub mod events;
pub mod man;
mod pause;
mod process;
pub mod reload;
pub mod revoke;
mod service;
mod source;
pub mod status;
mod table;
pub mod unload;

use std::io::{self, Write};

use anyhow::Result;
use env_logger::fmt::Formatter;
use log::LevelFilter;

use crate::cli::{Cli, Command, Loud};
use crate::client::KnockArgs;
use crate::exit::Exit;
use crate::firewall::Paths;
use crate::{client, daemon};

/// Runs a command line. A reader of standard output that has seen enough is no error.
///
/// # Errors
///
/// What went wrong, with the remedy.
pub fn run(cli: Cli) -> Result<Exit> {
    let paths = Paths::from(cli.places);
    let command = cli.command.unwrap_or_default();
    let verbosity = cli.verbose.saturating_add(command.verbosity());
    // The daemon has a log of its own, and its errors are never those of a reader.
    let is_daemon = matches!(command, Command::Run(_));
    if !is_daemon {
        start_log(verbosity);
    }
    match answer(&command, verbosity, &paths) {
        Err(error) if !is_daemon && is_closed_pipe(&error) => Ok(Exit::Done),
        other => other,
    }
}

fn answer(command: &Command, verbosity: u8, paths: &Paths) -> Result<Exit> {
    let out = &mut Stdout;
    let exit = match command {
        Command::Run(Loud { args, .. }) => daemon::run(args, paths, verbosity).map(|()| Exit::Done),
        Command::Status(Loud { args, .. }) => status::run(args, paths, out),
        Command::Allow(Loud { args, .. }) => allow::run(args, paths, out),
        Command::Revoke(Loud { args, .. }) => revoke::run(args, paths, out),
        Command::Check(Loud { args, .. }) => check::run(args, out),
        Command::Reload(Loud { args, .. }) => reload::run(args, paths, out),
        Command::Unload(_) => unload::run(paths, out),
        Command::Events(Loud { args, .. }) => events::run(args, paths, out),
        Command::Knock(args) => client::run(&KnockArgs { verbose: verbosity > 0, ..args.clone() }).map(|()| Exit::Done),
        Command::Completions(args) => completions::run(args, out),
        Command::Man(args) => man::run(args, out),
    }?;
    out.flush()?;
    Ok(exit)
}

/// Standard output, whose errors say that they are its own.
struct Stdout;

impl Write for Stdout {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        io::stdout().write(bytes).map_err(named)
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stdout().flush().map_err(named)
    }
}

fn named(error: io::Error) -> io::Error {
    match error.kind() {
        // Tried again, or looked for.
        io::ErrorKind::Interrupted | io::ErrorKind::BrokenPipe => error,
        kind => io::Error::new(kind, format!("standard output: {error}")),
    }
}

/// The log of all commands but the daemon, on standard error.
fn start_log(verbosity: u8) {
    let level = match verbosity {
        0 => LevelFilter::Warn,
        1 => LevelFilter::Info,
        _ => LevelFilter::Debug,
    };
    let write = |out: &mut Formatter, record: &log::Record<'_>| writeln!(out, "knockctl: {}", record.args());
    // Fails only if there is a logger already, which is then as good.
    let _ = env_logger::Builder::new().filter_level(level).format(write).try_init();
}

fn is_closed_pipe(error: &anyhow::Error) -> bool {
    error
        .chain()
        .any(|cause| cause.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe))
}

/// `1 door`, `2 doors`.
fn count(number: usize, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}
