//! `bench`: what the gate costs beside what people use today.

use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Parser;
use tests::bench::{self, Plan};
use tests::lab::sandbox;

/// Measures the gate and its peers in a lab of network namespaces, and leaves the host as it is.
#[derive(Parser)]
#[command(name = "bench")]
struct Cli {
    /// Fewer and smaller rounds
    #[arg(long)]
    quick: bool,
    /// Only the sections with this text in their name
    #[arg(long)]
    only: Option<String>,
    /// Writes the figures as JSON
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let outcome = sandbox::enter().and_then(|()| {
        let sheet = bench::run(Plan { quick: cli.quick, only: cli.only.as_deref() })?;
        if let Some(file) = &cli.json {
            let json = serde_json::to_string_pretty(&sheet)? + "\n";
            fs::write(file, json).with_context(|| file.display().to_string())?;
        }
        println!("bench: {} figures, {} not measured", sheet.figures.len(), sheet.missing.len());
        anyhow::ensure!(sheet.missing.is_empty(), "not everything could be measured; see above");
        Ok(())
    });
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}
