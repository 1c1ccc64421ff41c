//! `soak`: random knocks, floods, reloads, restarts, kills and link flaps for a while, and what came of them.

use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use tests::lab::sandbox;
use tests::soak::{self, Plan};

/// Soaks the gate in a lab of network namespaces, and leaves the host as it is.
#[derive(Parser)]
#[command(name = "soak")]
struct Cli {
    /// For how long
    #[arg(long, default_value_t = 60)]
    minutes: u64,
    /// What happens is drawn from it; without it, from chance
    #[arg(long)]
    seed: Option<u64>,
    /// Say each action
    #[arg(short, long)]
    verbose: bool,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let outcome = sandbox::enter().and_then(|()| {
        let seed = cli.seed.unwrap_or_else(|| fastrand::u64(..1 << 32));
        println!("soak: {} min, --seed {seed}", cli.minutes);
        let report = soak::run(Plan { span: Duration::from_secs(cli.minutes * 60), seed, aloud: cli.verbose })?;
        println!("{report}");
        report.check()
    });
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("soak: {error:#}");
            ExitCode::FAILURE
        }
    }
}
