//! `cargo xtask bench`: what the gate costs beside what people use today, measured in one run.

use std::os::unix::process::CommandExt;
use std::path::{PathBuf, absolute};

use anyhow::{Context, Result, ensure};
use clap::Args;

use crate::beside::{self, Commit};
use crate::compile::{self, Profile};
use crate::setup::{self, Purpose};
use crate::{paths, root, shell, step};

/// The documents that have figures between marks.
const DOCS: [&str; 2] = ["docs/PERFORMANCE.md", "README.md"];

/// What is to be measured, and where the figures go.
#[derive(Args)]
pub struct BenchArgs {
    /// Fewer and smaller rounds: under ten minutes
    #[arg(long)]
    quick: bool,
    /// Only the sections with this text in their name
    #[arg(long, value_name = "SECTION")]
    only: Option<String>,
    /// Write the figures as JSON, beside those of other machines that are in the file
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Draw the figures as SVG
    #[arg(long, value_name = "DIR")]
    plot: Option<PathBuf>,
    /// Measure nothing, and take the figures from such a file
    #[arg(long, value_name = "FILE", conflicts_with_all = ["quick", "only", "json"])]
    from: Option<PathBuf>,
    /// Measure the gate of another commit beside it, and say what has become dearer: a revision of git's, or `base`
    #[arg(long, value_name = "REV", conflicts_with_all = ["from", "plot", "docs"])]
    beside: Option<String>,
    /// Write the figures into docs/PERFORMANCE.md and README.md
    #[arg(long)]
    docs: bool,
}

/// The verb. On success it does not return: the program takes the place of this process.
pub fn verb(args: &BenchArgs) -> Result<()> {
    if args.from.is_none() {
        root::require("bench", "to load BPF programs and to make network namespaces")?;
    }
    ensure!(
        !args.docs || args.json.is_some() || args.from.is_some(),
        "--docs shows what is in a file: name it by --json or --from, such as docs/figures.json"
    );
    let commit = args.beside.as_deref().map(Commit::find).transpose()?;
    let tools = setup::setup(Some(Purpose::Bench))?;
    let built = compile::build(&tools, Profile::Release)?;
    let mut command = shell::command(built.lab_program("bench")?);
    command.env("KNOCKCTL", &built.knockctl).env("KNOCK_BPF_OBJECT", &built.object).current_dir(paths::workspace());
    if let Some(commit) = &commit {
        let before = step::block("build", commit, || commit.build(&tools))?;
        command.env("KNOCKCTL_BEFORE", before).args(["--beside", &commit.hash]);
        if commit.is_base {
            command.arg("--base");
        }
    }
    if let Some(present) = beside::present() {
        command.args(["--commit", &present]);
    }
    if args.quick {
        command.arg("--quick");
    }
    if let Some(only) = &args.only {
        command.args(["--only", only]);
    }
    for (option, path) in [("--json", &args.json), ("--plot", &args.plot), ("--from", &args.from)] {
        if let Some(path) = path {
            command.arg(option).arg(absolute(path)?);
        }
    }
    if args.docs {
        command.arg("--docs").args(DOCS);
    }
    let error = command.exec();
    Err(error).with_context(|| format!("cannot start `{}`", shell::display(&command)))
}
