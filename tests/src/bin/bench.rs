//! `bench`: what the gate costs beside what people use today.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use clap::Parser;
use tests::bench::{self, Commit, Plan, Sheet, Verdict, docs, plot};
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
    /// Measures the gate of the commit with this hash beside it, whose knockctl is in $KNOCKCTL_BEFORE
    #[arg(long, value_name = "HASH", conflicts_with_all = ["from", "plot", "docs"])]
    beside: Option<String>,
    /// Holds that commit to be the base of all: less than a tenth is not dearer
    #[arg(long, requires = "beside")]
    base: bool,
    /// Writes the figures into these documents
    #[arg(long, value_name = "FILE", num_args = 1..)]
    docs: Vec<PathBuf>,
}

fn main() -> ExitCode {
    match run(&Cli::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// True if all is measured and nothing has become dearer.
fn run(cli: &Cli) -> Result<bool> {
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
    if !sheet.missing.is_empty() {
        eprintln!("bench: not everything could be measured; see above");
    }
    let verdict = Verdict::of(&sheet);
    if let Some(verdict) = &verdict {
        println!("bench: {verdict}");
    }
    Ok(sheet.missing.is_empty() && verdict.is_none_or(|verdict| verdict.is_good()))
}

fn measure(cli: &Cli) -> Result<Sheet> {
    sandbox::enter()?;
    let commit = |hash: &String| Commit { hash: hash.clone(), is_base: cli.base, missing: Vec::new() };
    let beside = cli.beside.as_ref().map(commit);
    let sheet = bench::run(Plan { quick: cli.quick, only: cli.only.as_deref(), beside: beside.as_ref() })?;
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
