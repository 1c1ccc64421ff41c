//! From a command line to its command.

use std::io::{self, Write};

use anyhow::Result;
use clap::CommandFactory as _;
use env_logger::fmt::Formatter;
use log::LevelFilter;

#[cfg(feature = "gate")]
use super::gate_run;
use super::{Cli, Command};
use crate::client::{self, KnockArgs};
use crate::commands::{completions, man};
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
        Command::Gate(command) => gate_run::run(command, verbosity, &cli.places.into(), out),
        Command::Knock(args) => client::run(&KnockArgs { verbose: verbosity > 0, ..(**args).clone() }, out),
        Command::Completions(args) => completions::run(args, &mut Cli::command(), out),
        Command::Man(args) => man::run(args, Cli::command(), out),
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
