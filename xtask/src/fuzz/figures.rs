//! What came of it, in one line.

use std::fmt;
use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::shell;

/// Before a line of figures that a test prints.
const MARK: &str = "[figures] ";

/// All figures.
#[derive(Default)]
pub struct Figures {
    /// Inputs tried, by target.
    pub inputs: Vec<(&'static str, u64)>,
    /// Targets of which an input broke something.
    pub crashes: usize,
    /// Tests that failed.
    failed: usize,
    /// Lines of the tests.
    lines: Vec<String>,
}

impl Figures {
    /// Runs a test, shows what it prints, and keeps its figures.
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
            self.failed += 1;
            bail!("`{what}`: {status}");
        }
        if self.lines.len() == known {
            bail!("`{what}` prints no figures");
        }
        Ok(())
    }

    /// What the test of this name, or any of them, says of this figure, added up; nothing if none says it.
    fn sum(&self, test: Option<&str>, figure: &str) -> Option<u64> {
        let wanted = |line: &&String| test.is_none_or(|name| line.split(':').next() == Some(name));
        let words = self.lines.iter().filter(wanted).flat_map(|line| line.split(' '));
        let values = words.filter_map(|word| word.split_once('=').filter(|(name, _)| *name == figure)?.1.parse().ok());
        values.fold(None, |sum, value: u64| Some(sum.unwrap_or(0) + value))
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let inputs: u64 = self.inputs.iter().map(|(_, inputs)| inputs).sum();
        let tried = inputs + self.sum(None, "frames").unwrap_or(0);
        // A test that fails may say nothing, which is not the same as none.
        let told = |figure: Option<u64>| figure.map_or_else(|| "not known".to_owned(), |figure| figure.to_string());
        let judged = told(self.sum(Some("differ"), "frames"));
        let let_in = told(self.sum(Some("oracle"), "let_in"));
        write!(f, "{tried} frames and inputs tried, judged by host and kernel: {judged}, let in: {let_in}, ")?;
        write!(f, "crashes: {}, failed tests: {}", self.crashes, self.failed)?;
        let each: Vec<String> = self.inputs.iter().map(|(name, inputs)| format!("{name} {inputs}")).collect();
        write!(f, " ({})", each.into_iter().chain(self.lines.iter().cloned()).collect::<Vec<_>>().join("; "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn test(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    #[test]
    fn figures_are_kept_and_end_in_one_line() {
        let mut figures = Figures { inputs: vec![("gate", 5), ("packet", 6)], ..Figures::default() };
        figures.read(&mut test("echo 'test a ... [figures] differ: frames=7'; echo ok")).unwrap();
        figures.read(&mut test("echo '[figures] oracle: frames=8 let_in=0 (of 9)'")).unwrap();
        assert_eq!(
            figures.to_string(),
            "26 frames and inputs tried, judged by host and kernel: 7, let in: 0, crashes: 0, failed tests: 0 \
             (gate 5; packet 6; differ: frames=7; oracle: frames=8 let_in=0 (of 9))"
        );
    }

    #[test]
    fn a_test_that_fails_is_a_finding_and_one_without_figures_has_not_run() {
        let mut figures = Figures::default();
        assert!(figures.read(&mut test("echo '[figures] x=1'; exit 1")).is_err());
        assert_eq!(figures.failed, 1);
        assert!(figures.read(&mut test("echo nothing")).is_err());
    }

    #[test]
    fn what_no_test_has_told_is_not_known() {
        let mut figures = Figures { crashes: 2, ..Figures::default() };
        assert!(figures.read(&mut test("exit 1")).is_err());
        let line = figures.to_string();
        for part in ["kernel: not known", "let in: not known", "crashes: 2", "failed tests: 1"] {
            assert!(line.contains(part), "{part} is not in: {line}");
        }
    }
}
