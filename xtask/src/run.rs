//! `cargo xtask run`: the story in the lab, or the gate on this host.

use std::os::unix::process::CommandExt;
use std::process::Command;

use anyhow::{Context, Result};

use crate::compile::{self, Profile};
use crate::setup::{self, Purpose};
use crate::{paths, root, shell};

/// The verb. On success it does not return: the program takes the place of this process, so that
/// its signals and its exit code are its own.
pub fn verb(args: &[String]) -> Result<()> {
    let mut command = if names_config(args) { on_this_host()? } else { in_the_lab()? };
    command.args(args);
    let error = command.exec();
    Err(error).with_context(|| format!("cannot start `{}`", shell::display(&command)))
}

/// Whether the arguments are for `knockctl run` rather than for the lab.
fn names_config(args: &[String]) -> bool {
    args.iter().any(|arg| arg == "--config" || arg.starts_with("--config="))
}

fn on_this_host() -> Result<Command> {
    root::require("run", "to load the gate")?;
    let tools = setup::setup(Some(Purpose::Build))?;
    let built = compile::build(&tools, Profile::Release)?;
    // In the directory of the caller, to which the config's path is relative.
    let mut command = shell::command(&built.knockctl);
    command.arg("run");
    Ok(command)
}

fn in_the_lab() -> Result<Command> {
    root::require("run", "to load the gate and to make network namespaces")?;
    let tools = setup::setup(Some(Purpose::Run))?;
    let built = compile::build(&tools, Profile::Release)?;
    let mut command = shell::command(built.lab_program("story")?);
    command.env("KNOCKCTL", &built.knockctl).current_dir(paths::workspace());
    Ok(command)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_config_means_this_host() {
        let means_host = |words: &[&str]| {
            let args: Vec<String> = words.iter().map(|&word| word.to_owned()).collect();
            names_config(&args)
        };
        assert!(means_host(&["--config", "gate.toml"]));
        assert!(means_host(&["-v", "--config=gate.toml"]));
        assert!(!means_host(&[]));
        assert!(!means_host(&["--keep", "--verbose"]));
    }
}
