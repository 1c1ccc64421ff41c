//! `knockctl`: the gate's loader, daemon, commands and client in one binary.

mod static_names;

use std::io::{self, Write as _};
use std::process::ExitCode;

use clap::Parser as _;
use knock_user::cli::{self, Cli};
use knock_user::exit::Exit;

fn main() -> ExitCode {
    static_names::keep_to_own();
    let cli = Cli::try_parse().unwrap_or_else(|error| {
        let Some(answer) = cli::answer(&error) else { error.exit() };
        let _ = writeln!(io::stderr(), "knockctl: {answer}");
        std::process::exit(Exit::Error as i32)
    });
    let exit = cli::run(cli).unwrap_or_else(|error| {
        // Nobody is left to tell if standard error is closed.
        let _ = writeln!(io::stderr(), "knockctl: {error:#}");
        Exit::Error
    });
    exit.into()
}
