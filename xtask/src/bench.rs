//! `cargo xtask bench`: what the gate costs beside what people use today, measured in one run.

use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf, absolute};

use anyhow::{Context, Result};

use crate::compile::{self, Profile};
use crate::setup::{self, Purpose};
use crate::{paths, root, shell};

/// The verb. On success it does not return: the program takes the place of this process.
pub fn verb(quick: bool, only: Option<&str>, json: Option<&Path>) -> Result<()> {
    root::require("bench", "to load BPF programs and to make network namespaces")?;
    let json: Option<PathBuf> = json.map(absolute).transpose()?;
    let tools = setup::setup(Some(Purpose::Bench))?;
    let built = compile::build(&tools, Profile::Release)?;
    let mut command = shell::command(built.lab_program("bench")?);
    command.env("KNOCKCTL", &built.knockctl).env("KNOCK_BPF_OBJECT", &built.object).current_dir(paths::workspace());
    if quick {
        command.arg("--quick");
    }
    if let Some(only) = only {
        command.args(["--only", only]);
    }
    if let Some(json) = json {
        command.arg("--json").arg(json);
    }
    let error = command.exec();
    Err(error).with_context(|| format!("cannot start `{}`", shell::display(&command)))
}
