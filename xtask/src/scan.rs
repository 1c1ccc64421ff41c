//! `cargo xtask scan`: nmap, hping3 and scapy against a gate in the lab, and a table of what they should see and did.

use std::os::unix::process::CommandExt;

use anyhow::{Context, Result};

use crate::compile::{self, Profile};
use crate::setup::{self, Purpose};
use crate::{paths, root, shell};

/// The verb. On success it does not return: the program takes the place of this process.
pub fn verb(only: Option<&str>, quick: bool) -> Result<()> {
    root::require("scan", "to load the gate and to make network namespaces")?;
    let tools = setup::setup(Some(Purpose::Run))?;
    let built = compile::build(&tools, Profile::Release)?;
    let mut command = shell::command(built.lab_program("scan")?);
    command.env("KNOCKCTL", &built.knockctl).current_dir(paths::workspace());
    if let Some(only) = only {
        command.args(["--only", only]);
    }
    if quick {
        command.arg("--quick");
    }
    let error = command.exec();
    Err(error).with_context(|| format!("cannot start `{}`", shell::display(&command)))
}
