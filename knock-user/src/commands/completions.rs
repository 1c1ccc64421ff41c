//! `knockctl completions`.

use std::io::Write;

use anyhow::Result;
use clap::Command;
use clap_complete::Shell;

use crate::exit::Exit;

/// Arguments of `knockctl completions`.
#[derive(clap::Args, Clone, Debug)]
pub struct CompletionsArgs {
    /// The shell
    pub shell: Shell,
}

/// Prints the script for the command line of `program`.
///
/// # Errors
///
/// If it cannot be written.
pub fn run(args: &CompletionsArgs, program: &mut Command, out: &mut dyn Write) -> Result<Exit> {
    // The generator panics if it cannot write.
    let mut script = Vec::new();
    clap_complete::generate(args.shell, program, "knockctl", &mut script);
    out.write_all(&script)?;
    Ok(Exit::Done)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;
    use crate::cli::Cli;

    #[test]
    fn every_shell_gets_a_script() {
        for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
            let mut out = Vec::new();
            run(&CompletionsArgs { shell }, &mut Cli::command(), &mut out).unwrap();
            assert!(String::from_utf8(out).unwrap().contains("completions"), "{shell}");
        }
    }
}
