//! The command line of the gate: all but the client.

use std::path::PathBuf;

use clap::{ArgAction, Args, Subcommand};

use crate::commands::allow::AllowArgs;
use crate::commands::check::CheckArgs;
use crate::commands::confirm::ConfirmArgs;
use crate::commands::events::EventsArgs;
use crate::commands::explain::ExplainArgs;
use crate::commands::import::ImportArgs;
use crate::commands::reload::ReloadArgs;
use crate::commands::revoke::RevokeArgs;
use crate::commands::rules::RulesArgs;
use crate::commands::sequence::SequenceArgs;
use crate::commands::status::StatusArgs;
use crate::commands::unload::UnloadArgs;
use crate::commands::unlock::UnlockArgs;
use crate::daemon::RunArgs;
use crate::paths::Paths;

/// Where pins and run-time files are. For tests and labs: one host has one gate.
#[derive(Args, Clone, Debug)]
pub struct Locations {
    /// Directory of the pins, on a BPF file system
    #[arg(long, value_name = "DIR", env = "KNOCK_PINS", default_value_os_t = Paths::default().pins)]
    #[arg(global = true, hide = true)]
    pins: PathBuf,
    /// Directory of the run-time files
    #[arg(long, value_name = "DIR", env = "KNOCK_RUN_DIR", default_value_os_t = Paths::default().run)]
    #[arg(global = true, hide = true)]
    run_dir: PathBuf,
    /// Directory of what must outlive a reboot
    #[arg(long, value_name = "DIR", env = "KNOCK_STATE_DIR", default_value_os_t = Paths::default().state)]
    #[arg(global = true, hide = true)]
    state_dir: PathBuf,
}

impl From<Locations> for Paths {
    fn from(Locations { pins, run_dir, state_dir }: Locations) -> Self {
        Self { pins, run: run_dir, state: state_dir }
    }
}

/// A command's arguments, and `-v` among them. It is no global option because `knock` has its own.
#[derive(Args, Clone, Debug)]
pub struct Loud<A: Args> {
    /// The command's own arguments.
    #[command(flatten)]
    pub args: A,
    /// Say more
    #[arg(short, long, action = ArgAction::Count)]
    pub verbose: u8,
}

/// What to do with the gate.
#[derive(Subcommand, Clone, Debug)]
pub enum GateCommand {
    /// Put the gate up and log what happens, in the foreground; -vv logs every verdict
    Run(Loud<RunArgs>),
    /// Show the gate: interfaces, services, doors, grants, attempts, counters
    #[command(
        after_help = "Exit codes: 0 the gate stands on an interface, 1 nothing is loaded, or no interface has the gate, 2 an error."
    )]
    Status(Loud<StatusArgs>),
    /// Let an address in without a knock
    Allow(Loud<AllowArgs>),
    /// Take an address's grants away; its established connections go on
    Revoke(Loud<RevokeArgs>),
    /// End a lockout (options.lockout) before its time
    Unlock(Loud<UnlockArgs>),
    /// Look for mistakes in a config, without loading it
    #[command(
        after_help = "Exit codes: 0 there are warnings at most, 1 it would be refused, or (without --loads) it loads and does not \
                            protect, 2 it cannot be read."
    )]
    Check(Loud<CheckArgs>),
    /// Swap the rules for those of the config at once, keeping grants and connections
    #[command(after_help = "Exit codes: 0 the new rules are in force, 2 the gate goes on as it was.")]
    Reload(Loud<ReloadArgs>),
    /// Keep what is on trial (`run --trial`, `reload --trial`)
    Confirm(Loud<ConfirmArgs>),
    /// Stop the daemon and take the gate off, without trace
    Unload(Loud<UnloadArgs>),
    /// Print the event log
    Events(Loud<EventsArgs>),
    /// Say what the gate would do with a packet, and which rule says so
    Explain(Loud<ExplainArgs>),
    /// Print the rules of the gate, or the one with a number that `explain` has named
    Rules(Loud<RulesArgs>),
    /// Print a knock sequence that nobody can guess, as a line of the config
    Sequence(Loud<SequenceArgs>),
    /// Write our config from knockd's: what its commands open and close becomes services
    Import(Loud<ImportArgs>),
}

impl Default for GateCommand {
    fn default() -> Self {
        Self::Status(Loud { args: StatusArgs::default(), verbose: 0 })
    }
}

impl GateCommand {
    /// How often `-v` stands behind the command.
    #[must_use]
    pub const fn verbosity(&self) -> u8 {
        match self {
            Self::Run(loud) => loud.verbose,
            Self::Status(loud) => loud.verbose,
            Self::Allow(loud) => loud.verbose,
            Self::Revoke(loud) => loud.verbose,
            Self::Unlock(loud) => loud.verbose,
            Self::Check(loud) => loud.verbose,
            Self::Reload(loud) => loud.verbose,
            Self::Confirm(loud) => loud.verbose,
            Self::Unload(loud) => loud.verbose,
            Self::Events(loud) => loud.verbose,
            Self::Explain(loud) => loud.verbose,
            Self::Rules(loud) => loud.verbose,
            Self::Sequence(loud) => loud.verbose,
            Self::Import(loud) => loud.verbose,
        }
    }
}
