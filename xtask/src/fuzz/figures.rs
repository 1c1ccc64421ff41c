//! What came of it, in one line.

use std::fmt;
use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::shell;

/// Before a line of figures that a trial prints.
const MARK: &str = "[figures] ";

/// All figures.
#[derive(Default)]
pub struct Figures {
    /// Inputs tried, by target.
    pub inputs: Vec<(&'static str, u64)>,
    /// Inputs and trials that broke something.
    pub findings: usize,
    /// Lines of the trials.
    lines: Vec<String>,
}

impl Figures {
    /// Runs a trial, shows what it prints, and keeps its figures.
    pub fn read(&mut self, command: &mut Command) -> Result<()> {
        let known = self.lines.len();
        let what = shell::display(command);
        let mut child = command.stdout(Stdio::piped()).spawn().with_context(|| format!("cannot start `{what}`"))?;
        let output = child.stdout.take().context("its standard output is piped")?;
        for line in BufReader::new(output).lines() {
            let line = line?;
            println!("{line}");
            self.lines.extend(line.split_once(MARK).map(|(_, figures)| figures.to_owned()));
        }
        let status = child.wait()?;
        if !status.success() {
            self.findings += 1;
            bail!("`{what}`: {status}");
        }
        if self.lines.len() == known {
            bail!("`{what}` prints no figures");
        }
        Ok(())
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all: u64 = self.inputs.iter().map(|(_, inputs)| inputs).sum();
        let each: Vec<String> = self.inputs.iter().map(|(name, inputs)| format!("{name} {inputs}")).collect();
        write!(f, "{all} inputs ({})", each.join(", "))?;
        for line in &self.lines {
            write!(f, "; {line}")?;
        }
        write!(f, "; {} findings", self.findings)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trial(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    #[test]
    fn figures_are_kept_and_end_in_one_line() {
        let mut figures = Figures { inputs: vec![("gate", 5), ("packet", 6)], ..Figures::default() };
        figures.read(&mut trial("echo 'test a ... [figures] differ: frames=7'; echo ok")).unwrap();
        assert_eq!(figures.to_string(), "11 inputs (gate 5, packet 6); differ: frames=7; 0 findings");
    }

    #[test]
    fn a_trial_that_fails_is_a_finding_and_one_without_figures_has_not_run() {
        let mut figures = Figures::default();
        assert!(figures.read(&mut trial("echo '[figures] x=1'; exit 1")).is_err());
        assert_eq!(figures.findings, 1);
        assert!(figures.read(&mut trial("echo nothing")).is_err());
    }
}
