//! `knockctl man`.

use std::io::Write;
use std::path::PathBuf;

use anyhow::{Context as _, Result};
use clap::CommandFactory as _;
use clap_mangen::Man;

use crate::cli::Cli;
use crate::exit::Exit;

/// Arguments of `knockctl man`.
#[derive(clap::Args, Clone, Debug)]
pub struct ManArgs {
    /// Write the pages of all commands into this directory instead
    #[arg(long, value_name = "DIR")]
    pub to: Option<PathBuf>,
}

/// Prints the page, or writes all pages.
///
/// # Errors
///
/// If they cannot be written.
pub fn run(args: &ManArgs, out: &mut dyn Write) -> Result<Exit> {
    match &args.to {
        Some(directory) => clap_mangen::generate_to(Cli::command(), directory)
            .with_context(|| format!("{}: no pages can be written there", directory.display()))?,
        None => Man::new(Cli::command()).render(out)?,
    }
    Ok(Exit::Done)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_has_its_page() {
        let directory = tempfile::tempdir().unwrap();
        let pages = directory.path();
        run(&ManArgs { to: Some(pages.into()) }, &mut Vec::new()).unwrap();
        assert!(pages.join("knockctl.1").exists() && pages.join("knockctl-knock.1").exists());
        let mut out = Vec::new();
        run(&ManArgs { to: None }, &mut out).unwrap();
        assert!(String::from_utf8(out).unwrap().contains(".TH knockctl 1"));
    }
}
