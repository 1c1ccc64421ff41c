//! The command line of `knockctl`.

#[cfg(feature = "gate")]
mod gate;
#[cfg(feature = "gate")]
mod gate_run;
mod meant;
mod run;

use clap::{ArgAction, Parser, Subcommand};

#[cfg(feature = "gate")]
pub use self::gate::{GateCommand, Locations, Loud};

pub use self::meant::answer;
pub use self::run::run;

use crate::client::KnockArgs;
use crate::commands::completions::CompletionsArgs;
use crate::commands::man::ManArgs;

/// A port-knocking gate inside the kernel
#[derive(Parser, Clone, Debug)]
#[command(name = "knockctl", version)]
#[cfg_attr(
    feature = "gate",
    command(after_help = "Without a command: status.\n\nExit codes: 0 done, 1 a negative answer, 2 an error.")
)]
#[cfg_attr(
    not(feature = "gate"),
    command(about = "The client of a port-knocking gate", arg_required_else_help = true),
    command(after_help = "Exit codes: 0 done, 1 a negative answer, 2 an error.")
)]
pub struct Cli {
    /// Where pins and run-time files are.
    #[cfg(feature = "gate")]
    #[command(flatten)]
    pub places: Locations,
    /// Say more
    #[arg(short, long, action = ArgAction::Count)]
    pub verbose: u8,
    /// What to do; `status` if nothing is said.
    #[cfg(feature = "gate")]
    #[command(subcommand)]
    pub command: Option<Command>,
    /// What to do.
    #[cfg(not(feature = "gate"))]
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Subcommand, Clone, Debug)]
pub enum Command {
    /// What only a host with a gate can do.
    #[cfg(feature = "gate")]
    #[command(flatten)]
    Gate(GateCommand),
    /// Knock on a host's ports, in order (the client: needs no root)
    Knock(Box<KnockArgs>),
    /// Print a completion script for a shell
    Completions(CompletionsArgs),
    /// Print the manual page
    Man(ManArgs),
}

#[cfg(feature = "gate")]
impl Default for Command {
    fn default() -> Self {
        Self::Gate(GateCommand::default())
    }
}

impl Command {
    /// Whether it stays and has a log of its own.
    #[must_use]
    pub const fn is_daemon(&self) -> bool {
        match self {
            #[cfg(feature = "gate")]
            Self::Gate(command) => matches!(command, GateCommand::Run(_)),
            _ => false,
        }
    }

    /// How often `-v` stands behind the command.
    #[must_use]
    pub const fn verbosity(&self) -> u8 {
        match self {
            #[cfg(feature = "gate")]
            Self::Gate(command) => command.verbosity(),
            Self::Knock(args) => args.verbose as u8,
            Self::Completions(_) | Self::Man(_) => 0,
        }
    }
}

#[cfg(all(test, feature = "gate"))]
mod tests;
