//! `scan`: what scanners see of a gate, held against what they should.

use std::process::ExitCode;

use clap::Parser;
use tests::lab::sandbox;
use tests::scan::{self, Deny, Plan};

/// Scans a gate in a lab of network namespaces, and leaves the host as it is.
#[derive(Parser)]
#[command(name = "scan")]
struct Cli {
    /// Only the scans with this text in their name
    #[arg(long, allow_hyphen_values = true)]
    only: Option<String>,
    /// Only the scans of `cargo xtask test`
    #[arg(long)]
    quick: bool,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let outcome = sandbox::enter().and_then(|()| {
        let report = scan::run(Plan { quick: cli.quick, only: cli.only.as_deref(), config: Deny::config })?;
        println!("{report}");
        report.check()
    });
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("scan: {error:#}");
            ExitCode::FAILURE
        }
    }
}
