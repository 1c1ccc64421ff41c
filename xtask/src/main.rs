//! `cargo xtask`: sets the machine up, builds, tests, runs and checks the gate.
//!
//! This file is the table of verbs. Every verb has a module of its own; [`setup`] finds or
//! installs what a verb needs, [`compile`] builds the two halves (BPF object and `knockctl`).

#![forbid(unsafe_code)]

mod bench;
mod beside;
mod budget;
mod changed;
mod checks;
mod client;
mod compile;
mod contact;
mod costs;
mod deny;
mod dist;
mod fuzz;
mod kernels;
mod layers;
mod lint;
mod miri;
mod mutants;
mod page;
mod paths;
mod pins;
mod root;
mod rules;
mod run;
mod rust;
mod scan;
mod setup;
mod shell;
mod soak;
mod step;
mod test;
mod tidy;
mod unsafety;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::bench::BenchArgs;
use crate::mutants::MutantsArgs;
use crate::setup::Purpose;
use crate::test::TestArgs;

/// Sets the machine up, builds, tests, runs and checks the gate.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", version)]
struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

/// What can be asked for.
#[derive(Subcommand)]
enum Verb {
    /// Find or install what the other verbs need (they call it themselves)
    Setup {
        /// Only what this verb needs; without it, what any of them needs
        #[arg(long = "for", value_name = "VERB")]
        purpose: Option<Purpose>,
    },
    /// Build the BPF object, then knockctl with the object inside
    Build {
        /// Build knockctl with optimisations (the BPF object always is)
        #[arg(long)]
        release: bool,
    },
    /// Run every test, the quick ones first; those of the kernel and of whole hosts need root
    Test(TestArgs),
    /// Look for what breaks the gate: inputs at random, mutated frames through the kernel and over a wire
    Fuzz {
        /// How long, all in all, once everything is built
        #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..))]
        minutes: u64,
    },
    /// Play the story of the gate in a lab of network namespaces; with --config FILE, guard this host
    Run {
        /// --keep and --verbose for the lab, or what `knockctl run` takes, with --config FILE
        #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "ARGS")]
        args: Vec<String>,
    },
    /// Random knocks, floods, reloads, restarts, kills and link flaps in the lab; ends with one line of figures
    Soak {
        /// For how long
        #[arg(long, value_name = "N", default_value_t = 60)]
        minutes: u64,
        /// What happens is drawn from it; without it, from chance
        #[arg(long, value_name = "S")]
        seed: Option<u64>,
        /// Say each action
        #[arg(short, long)]
        verbose: bool,
    },
    /// Scan a gate with nmap, hping3 and scapy, before and after a knock; ends with one line of figures
    Scan {
        /// Only the scans with this text in their name
        #[arg(long, value_name = "FILTER", allow_hyphen_values = true)]
        only: Option<String>,
        /// Only the scans that `test` makes
        #[arg(long)]
        quick: bool,
    },
    /// Plant bugs in the gate, one at a time, against each of its rules: the tests must catch every one. Ends with one
    /// line of figures
    Mutants(MutantsArgs),
    /// Measure the gate beside knockd, fwknop, nftables, iptables and xdp-filter, in turn within one run
    Bench(BenchArgs),
    /// Run the kernel layer of the tests, and those of bonds and VLANs, on the kernels of other Debian releases, in an
    /// emulator
    Kernels {
        /// Only this one
        #[arg(long, value_name = "VERSION")]
        only: Option<String>,
        /// Only the part that `test` runs
        #[arg(long, conflicts_with = "args")]
        quick: bool,
        /// What `test` has built: knockctl, the BPF object, and the test binaries `kernel` and `it`
        #[arg(long, hide = true, num_args = 4, value_name = "FILE")]
        built: Vec<PathBuf>,
        /// Passed to the test binaries `kernel` and `it`: a filter, --exact, ...
        #[arg(last = true, value_name = "ARGS")]
        args: Vec<String>,
    },
    /// Build what is given out: a Debian package and a static tarball, in target/dist
    Dist {
        /// The package's revision, behind the version: 2 for other packaging of the same version
        #[arg(long, value_name = "N", default_value_t = 1)]
        revision: u32,
    },
    /// Check format, lints (host, BPF, fuzz targets, and the client on other systems), documentation links, house
    /// rules, the list of unsafe code, and the crates that are built in: licences, sources, advisories
    Lint {
        /// Only format, house rules, and the lints of the packages that differ from the last commit: seconds
        #[arg(long)]
        quick: bool,
    },
    /// Make what later stages of `test` take: it does so while the emulator leaves a CPU free
    #[command(hide = true)]
    Prepare,
    /// Hold every import against docs/layers.txt, and write the table of layers into ARCHITECTURE.md (part of `lint`)
    Layers,
    /// Write what paths through the gate may execute into docs/PERFORMANCE.md (`lint` says when that is due)
    Costs,
    /// Run the tests of knock-common in Miri, which sees undefined behaviour (part of `test`, where it can be had)
    Miri {
        /// Only the tests that come to unsafe code
        #[arg(long)]
        quick: bool,
    },
}

fn main() -> ExitCode {
    let outcome = match Cli::parse().verb {
        Verb::Setup { purpose } => setup::setup(purpose).map(|_| ()),
        Verb::Build { release } => compile::verb(release),
        Verb::Test(args) => test::verb(&args),
        Verb::Fuzz { minutes } => fuzz::verb(minutes),
        Verb::Run { args } => run::verb(&args),
        Verb::Soak { minutes, seed, verbose } => soak::verb(minutes, seed, verbose),
        Verb::Scan { only, quick } => scan::verb(only.as_deref(), quick),
        Verb::Mutants(args) => mutants::verb(&args),
        Verb::Bench(args) => bench::verb(&args),
        Verb::Kernels { only, quick, built, args } => kernels::verb(only.as_deref(), quick, &built, &args),
        Verb::Dist { revision } => dist::verb(revision),
        Verb::Lint { quick } => lint::verb(quick),
        Verb::Prepare => test::prepare(),
        Verb::Layers => layers::verb(),
        Verb::Costs => costs::verb(),
        Verb::Miri { quick } => miri::verb(quick),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args_of(line: &str) -> Vec<String> {
        let words = ["cargo xtask"].into_iter().chain(line.split(' '));
        match Cli::try_parse_from(words).map(|cli| cli.verb) {
            Ok(Verb::Run { args } | Verb::Test(TestArgs { args, .. })) => args,
            Ok(_) => panic!("{line}: another verb"),
            Err(error) => panic!("{line}: {error}"),
        }
    }

    #[test]
    fn the_table_is_sound() {
        use clap::CommandFactory;
        Cli::command().debug_assert();
    }

    #[test]
    fn run_takes_its_arguments_with_and_without_dashes() {
        assert!(args_of("run").is_empty());
        assert_eq!(args_of("run --keep"), ["--keep"]);
        assert_eq!(args_of("run -- --keep"), ["--keep"]);
        assert_eq!(args_of("run -- --config gate.toml -v"), ["--config", "gate.toml", "-v"]);
        assert_eq!(args_of("run --config gate.toml"), ["--config", "gate.toml"]);
    }

    #[test]
    fn test_passes_on_what_follows_the_dashes() {
        assert!(args_of("test").is_empty());
        assert_eq!(args_of("test -- tcp --exact"), ["tcp", "--exact"]);
    }
}
