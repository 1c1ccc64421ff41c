//! `knockctl man`.

use std::io::Write;
use std::path::PathBuf;

use anyhow::{Context as _, Result};
use clap::Command;
use clap_mangen::Man;

use crate::exit::Exit;

/// Arguments of `knockctl man`.
#[derive(clap::Args, Clone, Debug)]
pub struct ManArgs {
    /// Write the pages of all commands into this directory instead
    #[arg(long, value_name = "DIR")]
    pub to: Option<PathBuf>,
}

/// Prints the page of `program`, or writes all pages.
///
/// # Errors
///
/// If they cannot be written.
pub fn run(args: &ManArgs, program: Command, out: &mut dyn Write) -> Result<Exit> {
    match &args.to {
        Some(directory) => clap_mangen::generate_to(program, directory)
            .with_context(|| format!("{}: no pages can be written there", directory.display()))?,
        None => Man::new(program).render(out)?,
    }
    Ok(Exit::Done)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;
    use crate::cli::Cli;

    #[test]
    fn every_command_has_its_page() {
        let directory = tempfile::tempdir().unwrap();
        let pages = directory.path();
        run(&ManArgs { to: Some(pages.into()) }, Cli::command(), &mut Vec::new()).unwrap();
        assert!(pages.join("knockctl.1").exists() && pages.join("knockctl-knock.1").exists());
        let mut out = Vec::new();
        run(&ManArgs { to: None }, Cli::command(), &mut out).unwrap();
        assert!(String::from_utf8(out).unwrap().contains(".TH knockctl 1"));
    }
}
