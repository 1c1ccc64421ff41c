//! `bench`: what the gate costs beside what people use today.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, Result, ensure};
use clap::Parser;
use tests::bench::{self, Commit, Plan, Runs, Sheet, Verdict, docs, plot};
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
    /// Writes the figures as JSON, beside those of other machines that are in the file
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
    /// Notes that this is what is measured: the hash of a commit, with `+` behind it if the code was changed beyond that
    #[arg(long, value_name = "HASH")]
    commit: Option<String>,
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
    ensure!(
        cli.docs.is_empty() || cli.json.is_some() || cli.from.is_some(),
        "documents show what is in a file: name it by --json or --from"
    );
    if let Some(file) = &cli.from {
        show(cli, &Runs::read(file)?)?;
        return Ok(true);
    }
    // A file that is another one is told of before anything is measured.
    let kept = cli.json.as_deref().map(Runs::read_or_none).transpose()?;
    sandbox::enter()?;
    let commit = |hash: &String| Commit { hash: hash.clone(), is_base: cli.base, missing: Vec::new() };
    let beside = cli.beside.as_ref().map(commit);
    let mut sheet = bench::run(Plan { quick: cli.quick, only: cli.only.as_deref(), beside: beside.as_ref() })?;
    sheet.commit.clone_from(&cli.commit);
    match (&cli.json, kept) {
        (Some(file), Some(mut runs)) => {
            runs.put(sheet.clone());
            runs.write(file)?;
            show(cli, &runs)?;
        }
        _ => show(cli, &Runs::of(sheet.clone()))?,
    }
    Ok(judge(&sheet))
}

/// Draws and writes what is asked for.
fn show(cli: &Cli, runs: &Runs) -> Result<()> {
    if let (Some(dir), Some(last)) = (&cli.plot, runs.last()) {
        println!("bench: drawn: {}", plot::draw(last, dir)?.join(", "));
    }
    for file in &cli.docs {
        write_into(file, runs).with_context(|| file.display().to_string())?;
    }
    Ok(())
}

/// Says last what has become dearer, if another commit was measured.
fn judge(sheet: &Sheet) -> bool {
    println!("bench: {} figures, {} not measured", sheet.figures.len(), sheet.missing.len());
    if !sheet.missing.is_empty() {
        eprintln!("bench: not everything could be measured; see above");
    }
    let verdict = Verdict::of(sheet);
    if let Some(verdict) = &verdict {
        println!("bench: {verdict}");
    }
    sheet.missing.is_empty() && verdict.is_none_or(|verdict| verdict.is_good())
}

fn write_into(file: &Path, runs: &Runs) -> Result<()> {
    let filled = docs::fill(&fs::read_to_string(file)?, runs)?;
    fs::write(file, filled)?;
    Ok(())
}
