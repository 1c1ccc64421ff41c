//! A run of checks: each is timed, all failures are named at the end, and the slowest things as well.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use crate::budget::Budget;
use crate::{paths, shell, step};

/// What happens behind a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum After {
    /// The other checks are made.
    GoOn,
    /// The other checks are left out.
    Stop,
}

/// The checks of one verb.
pub struct Checks {
    verb: &'static str,
    after: After,
    /// Where the output of programs is kept that run at once.
    logs: PathBuf,
    budget: Budget,
    start: Instant,
    times: Vec<(Duration, String)>,
    failed: Vec<String>,
    left_out: Vec<String>,
}

impl Checks {
    /// No checks yet; the clock runs from here.
    pub fn new(verb: &'static str, after: After) -> Self {
        Self {
            verb,
            after,
            logs: paths::workspace().join("target/tests"),
            budget: Budget::begin(),
            start: Instant::now(),
            times: Vec::new(),
            failed: Vec::new(),
            left_out: Vec::new(),
        }
    }

    /// Makes one check, and remembers if it failed.
    pub fn run(&mut self, what: &str, check: impl FnOnce() -> Result<()>) {
        self.get(what, check);
    }

    /// The same for a check that others need something of; nothing if it failed or is left out.
    pub fn get<T>(&mut self, what: &str, check: impl FnOnce() -> Result<T>) -> Option<T> {
        if self.after == After::Stop && !self.failed.is_empty() {
            self.left_out.push(what.to_owned());
            return None;
        }
        let start = Instant::now();
        let outcome = step::block(self.verb, what, check);
        self.times.push((start.elapsed(), what.to_owned()));
        println!("[{}] budget: {}", self.verb, self.budget);
        match outcome {
            Ok(value) => Some(value),
            Err(error) => {
                eprintln!("[{}] {what}: {error:#}", self.verb);
                self.failed.push(what.to_owned());
                None
            }
        }
    }

    /// Makes several checks at once, each a program of its own. What one has printed is shown when it ends.
    pub fn beside(&mut self, programs: Vec<(&str, Command)>) {
        if self.after == After::Stop && !self.failed.is_empty() {
            self.left_out.extend(programs.iter().map(|(what, _)| (*what).to_owned()));
            return;
        }
        let (verb, logs) = (self.verb, &self.logs);
        let names: Vec<&str> = programs.iter().map(|(what, _)| *what).collect();
        println!("[{verb}] at once: {}", names.join(", "));
        let ends: Vec<_> = thread::scope(|scope| {
            let begun: Vec<_> = programs
                .into_iter()
                .map(|(what, mut command)| {
                    self.budget.pass_on(&mut command);
                    (what, scope.spawn(move || program(verb, what, command, logs)))
                })
                .collect();
            begun.into_iter().map(|(what, thread)| (what, thread.join())).collect()
        });
        for (what, end) in ends {
            let (time, passed) = end.unwrap_or((Duration::ZERO, false));
            self.times.push((time, format!("{what} (at once)")));
            if !passed {
                self.failed.push(what.to_owned());
            }
        }
        println!("[{verb}] budget: {}", self.budget);
    }

    /// Names a check that is not to be made this time.
    pub fn leave_out(&mut self, what: &str) {
        self.left_out.push(what.to_owned());
    }

    /// Prints how long each check took, and the total; an error if any check failed.
    pub fn finish(self) -> Result<()> {
        let (verb, done, failed) = (self.verb, self.times.len(), self.failed.len());
        let total = self.start.elapsed();
        print!("{}", table(verb, &self.times, total));
        if !self.left_out.is_empty() {
            println!("[{verb}] NOT RUN: {}", self.left_out.join(", "));
        }
        println!("[{verb}] budget: {}", self.budget);
        println!("[{verb}] {} of {done} checks passed, {:.1} s in total", done - failed, total.as_secs_f64());
        if failed > 0 {
            bail!("{verb}: failed: {}", self.failed.join("; "));
        }
        Ok(())
    }
}

/// Runs a program to its end and shows what it printed. How long it took, and whether it succeeded.
fn program(verb: &str, what: &str, mut command: Command, logs: &Path) -> (Duration, bool) {
    let start = Instant::now();
    let log = logs.join(what.replace(' ', "-")).with_extension("log");
    let (how, text) = match shell::captured(&mut command, &log, None) {
        Ok((Some(status), text)) if status.success() => ("ok".to_owned(), text),
        Ok((status, text)) => (format!("FAILED ({})", status.map_or("no end".to_owned(), |end| end.to_string())), text),
        Err(error) => (format!("FAILED ({error:#})"), String::new()),
    };
    let time = start.elapsed();
    if how != "ok" {
        let note = format!("{what}\n{}\n\nthis check alone: {}\n", shell::tail(&text, 30), shell::display(&command));
        let file = logs.join("failed").join(what.replace(' ', "_")).with_extension("txt");
        // For the end of the run; where it cannot be written, the text above is all there is.
        let _ = std::fs::create_dir_all(logs.join("failed")).and_then(|()| std::fs::write(file, note));
    }
    // In one call: several may end at once.
    println!("[{verb}] {what}\n{}\n[{verb}] {what} ... {how} {:.1} s", text.trim_end(), time.as_secs_f64());
    (time, how == "ok")
}

/// Each with its time and its share of the total, in their order.
fn table(verb: &str, times: &[(Duration, String)], total: Duration) -> String {
    let mut text = String::new();
    for (time, what) in times {
        let (time, share) = (time.as_secs_f64(), time.as_secs_f64() / total.as_secs_f64().max(f64::EPSILON));
        let _ = writeln!(text, "[{verb}] {time:7.1} s {:3.0} % {what}", share * 100.0);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_failure_does_not_stop_the_others_and_is_named_at_the_end() {
        let mut checks = Checks::new("lint", After::GoOn);
        let mut ran = 0;
        checks.run("first", || bail!("no"));
        checks.run("second", || {
            ran += 1;
            Ok(())
        });
        assert_eq!(ran, 1);
        let error = checks.finish().unwrap_err().to_string();
        assert_eq!(error, "lint: failed: first");
    }

    #[test]
    fn where_the_end_is_at_the_first_failure_the_others_are_left_out() {
        let mut checks = Checks::new("test", After::Stop);
        assert_eq!(checks.get("first", || Ok(1)), Some(1));
        checks.run("second", || bail!("no"));
        assert_eq!(checks.get("third", || Ok(3)), None);
        assert_eq!(checks.left_out, ["third"]);
        assert_eq!(checks.finish().unwrap_err().to_string(), "test: failed: second");
    }

    #[test]
    fn programs_at_once_fail_one_by_one() {
        let shell = |line: &str| {
            let mut command = Command::new("sh");
            command.args(["-c", line]);
            command
        };
        let mut checks = Checks::new("test", After::Stop);
        checks.logs = std::env::temp_dir().join(format!("xtask-checks-{}", std::process::id()));
        let logs = checks.logs.clone();
        checks.beside(vec![("good one", shell("echo fine")), ("bad one", shell("exit 3"))]);
        checks.beside(vec![("never", shell("true"))]);
        assert_eq!(std::fs::read_to_string(logs.join("good-one.log")).unwrap(), "fine\n");
        assert!(logs.join("failed/bad_one.txt").exists());
        std::fs::remove_dir_all(logs).unwrap();
        assert_eq!(checks.left_out, ["never"]);
        assert_eq!(checks.finish().unwrap_err().to_string(), "test: failed: bad one");
    }

    #[test]
    fn all_passed_is_no_error() {
        let mut checks = Checks::new("test", After::Stop);
        checks.run("first", || Ok(()));
        assert!(checks.finish().is_ok());
    }

    #[test]
    fn each_check_has_its_time_and_share() {
        let times = [(Duration::from_secs(15), "one".to_owned()), (Duration::from_secs(5), "two".to_owned())];
        let text = table("test", &times, Duration::from_secs(20));
        assert_eq!(text, "[test]    15.0 s  75 % one\n[test]     5.0 s  25 % two\n");
    }
}
