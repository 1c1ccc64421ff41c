//! `cargo xtask soak`: random knocks, floods, reloads, restarts, kills and link flaps in the lab, for an hour.

use std::os::unix::process::CommandExt;

use anyhow::{Context, Result};

use crate::compile::{self, Profile};
use crate::setup::{self, Purpose};
use crate::{paths, root, shell};

/// The verb. On success it does not return: the program takes the place of this process.
pub fn verb(minutes: u64, seed: Option<u64>, verbose: bool) -> Result<()> {
    root::require("soak", "to load the gate and to make network namespaces")?;
    let tools = setup::setup(Some(Purpose::Run))?;
    let built = compile::build(&tools, Profile::Release)?;
    let mut command = shell::command(built.lab_program("soak")?);
    command.env("KNOCKCTL", &built.knockctl).current_dir(paths::workspace());
    command.arg("--minutes").arg(minutes.to_string());
    if let Some(seed) = seed {
        command.arg("--seed").arg(seed.to_string());
    }
    if verbose {
        command.arg("--verbose");
    }
    let error = command.exec();
    Err(error).with_context(|| format!("cannot start `{}`", shell::display(&command)))
}
