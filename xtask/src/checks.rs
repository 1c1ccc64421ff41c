//! A run of checks that goes on after a failure and names all failures at the end.

use std::time::Instant;

use anyhow::{Result, bail};

use crate::step;

/// The checks of one verb.
pub struct Checks {
    verb: &'static str,
    start: Instant,
    done: usize,
    failed: Vec<String>,
}

impl Checks {
    /// No checks yet; the clock runs from here.
    pub fn new(verb: &'static str) -> Self {
        Self { verb, start: Instant::now(), done: 0, failed: Vec::new() }
    }

    /// Makes one check, and remembers if it failed.
    pub fn run(&mut self, what: &str, check: impl FnOnce() -> Result<()>) {
        self.done += 1;
        if let Err(error) = step::block(self.verb, what, check) {
            eprintln!("[{}] {what}: {error:#}", self.verb);
            self.failed.push(what.to_owned());
        }
    }

    /// Prints the total; an error if any check failed.
    pub fn finish(self) -> Result<()> {
        let (verb, done, failed) = (self.verb, self.done, self.failed.len());
        let seconds = self.start.elapsed().as_secs_f64();
        println!("[{verb}] {} of {done} checks passed, {seconds:.1} s in total", done - failed);
        if failed > 0 {
            bail!("{verb}: failed: {}", self.failed.join("; "));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_failure_does_not_stop_the_others_and_is_named_at_the_end() {
        let mut checks = Checks::new("test");
        let mut ran = 0;
        checks.run("first", || bail!("no"));
        checks.run("second", || {
            ran += 1;
            Ok(())
        });
        assert_eq!(ran, 1);
        let error = checks.finish().unwrap_err().to_string();
        assert_eq!(error, "test: failed: first");
    }

    #[test]
    fn all_passed_is_no_error() {
        let mut checks = Checks::new("test");
        checks.run("first", || Ok(()));
        assert!(checks.finish().is_ok());
    }
}
