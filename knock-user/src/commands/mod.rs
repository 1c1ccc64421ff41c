//! The commands: each one file, each thin over the library.

#[cfg(feature = "gate")]
pub mod allow;
#[cfg(feature = "gate")]
pub mod check;
pub mod completions;
#[cfg(feature = "gate")]
pub mod confirm;
#[cfg(feature = "gate")]
mod cut;
#[cfg(feature = "gate")]
pub mod events;
#[cfg(feature = "gate")]
pub mod explain;
#[cfg(feature = "gate")]
mod gate;
#[cfg(feature = "gate")]
pub mod import;
pub mod man;
#[cfg(feature = "gate")]
mod pause;
#[cfg(feature = "gate")]
mod process;
#[cfg(feature = "gate")]
pub mod reload;
#[cfg(feature = "gate")]
pub mod revoke;
#[cfg(feature = "gate")]
pub mod rules;
#[cfg(feature = "gate")]
pub mod sequence;
#[cfg(feature = "gate")]
mod service;
#[cfg(feature = "gate")]
mod source;
#[cfg(feature = "gate")]
pub mod status;
pub(crate) mod table;
#[cfg(feature = "gate")]
pub mod unload;
#[cfg(feature = "gate")]
pub mod unlock;

use std::io::{self, Write};

use anyhow::Result;
use env_logger::fmt::Formatter;
use log::LevelFilter;

use crate::cli::{Cli, Command};
use crate::client::{self, KnockArgs};
use crate::exit::Exit;

/// Runs a command line. A reader of standard output that has seen enough is no error.
///
/// # Errors
///
/// What went wrong, with the remedy.
pub fn run(cli: Cli) -> Result<Exit> {
    #[cfg(feature = "gate")]
    let command = cli.command.unwrap_or_default();
    #[cfg(not(feature = "gate"))]
    let command = cli.command;
    let verbosity = cli.verbose.saturating_add(command.verbosity());
    // The daemon has a log of its own, and its errors are never those of a reader.
    let is_daemon = command.is_daemon();
    if !is_daemon {
        start_log(verbosity);
    }
    let out = &mut Stdout;
    let answer = match &command {
        #[cfg(feature = "gate")]
        Command::Gate(command) => gate::run(command, verbosity, &cli.places.into(), out),
        Command::Knock(args) => client::run(&KnockArgs { verbose: verbosity > 0, ..(**args).clone() }, out),
        Command::Completions(args) => completions::run(args, out),
        Command::Man(args) => man::run(args, out),
    };
    match answer.and_then(|exit| Ok(out.flush().map(|()| exit)?)) {
        Err(error) if !is_daemon && is_closed_pipe(&error) => Ok(Exit::Done),
        other => other,
    }
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
#[cfg(feature = "gate")]
fn count(number: usize, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

/// The longest span, that of `cmd_timeout`.
#[cfg(feature = "gate")]
const LONGEST: std::time::Duration = std::time::Duration::from_secs(10 * 365 * 24 * 60 * 60);

/// Reads a span of time: seconds, or 30s, 10m, 1h30m.
#[cfg(feature = "gate")]
pub(crate) fn span(text: &str) -> Result<std::time::Duration, String> {
    let span = text.parse().map(std::time::Duration::from_secs).or_else(|_| humantime::parse_duration(text));
    match span {
        Ok(span) if span.is_zero() => Err("no time at all".to_owned()),
        Ok(span) if span > LONGEST => Err("longer than ten years".to_owned()),
        Ok(span) => Ok(span),
        Err(_) => Err("no span of time: write it as 30s, 10m or 1h30m".to_owned()),
    }
}
