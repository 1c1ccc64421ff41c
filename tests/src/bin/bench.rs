//! `bench`: what the gate costs beside what people use today.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, Result, ensure};
use clap::Parser;
use tests::bench::{self, Plan, Sheet, docs, plot};
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
    /// Draws the figures as SVG
    #[arg(long, value_name = "DIR")]
    plot: Option<PathBuf>,
    /// Measures nothing, and takes the figures from such a file
    #[arg(long, value_name = "FILE", conflicts_with_all = ["quick", "only", "json"])]
    from: Option<PathBuf>,
    /// Writes the figures into these documents
    #[arg(long, value_name = "FILE", num_args = 1..)]
    docs: Vec<PathBuf>,
}

fn main() -> ExitCode {
    match run(&Cli::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(cli: &Cli) -> Result<()> {
    let sheet = match &cli.from {
        Some(file) => Sheet::read(file)?,
        None => measure(cli)?,
    };
    if let Some(dir) = &cli.plot {
        println!("bench: drawn: {}", plot::draw(&sheet, dir)?.join(", "));
    }
    for file in &cli.docs {
        write_into(file, &sheet).with_context(|| file.display().to_string())?;
    }
    println!("bench: {} figures, {} not measured", sheet.figures.len(), sheet.missing.len());
    ensure!(sheet.missing.is_empty(), "not everything could be measured; see above");
    Ok(())
}

fn measure(cli: &Cli) -> Result<Sheet> {
    sandbox::enter()?;
    let sheet = bench::run(Plan { quick: cli.quick, only: cli.only.as_deref() })?;
    if let Some(file) = &cli.json {
        sheet.write(file)?;
    }
    Ok(sheet)
}

fn write_into(file: &Path, sheet: &Sheet) -> Result<()> {
    let filled = docs::fill(&fs::read_to_string(file)?, sheet)?;
    fs::write(file, filled)?;
    Ok(())
}
