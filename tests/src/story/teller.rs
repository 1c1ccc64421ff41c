//! Tells each step: what was expected, what happened, how long it took.

use std::time::{Duration, Instant};

use anyhow::{Error, Result};

/// What happened in a step.
#[derive(Debug)]
pub struct Happened {
    /// In the words of what was expected.
    what: String,
    /// A detail beside it.
    note: String,
}

impl Happened {
    /// With a detail that may be as it likes.
    #[must_use]
    pub fn note(what: impl Into<String>, note: impl Into<String>) -> Self {
        Self { what: what.into(), note: note.into() }
    }

    /// Without the detail.
    #[must_use]
    pub fn what(&self) -> &str {
        &self.what
    }
}

impl<T: Into<String>> From<T> for Happened {
    fn from(what: T) -> Self {
        Self::note(what, "")
    }
}

/// Tells the story, and remembers what differed.
pub struct Teller {
    aloud: bool,
    told: String,
    steps: usize,
    differing: Vec<String>,
    failed: Option<Error>,
}

impl Teller {
    /// One that tells on standard output as it goes.
    #[must_use]
    pub fn aloud() -> Self {
        Self { aloud: true, told: String::new(), steps: 0, differing: Vec::new(), failed: None }
    }

    /// One that tells nothing until it is asked.
    #[must_use]
    pub fn quiet() -> Self {
        Self { aloud: false, ..Self::aloud() }
    }

    /// Begins a chapter.
    pub fn chapter(&mut self, title: &str) {
        self.tell(&format!("\n{title}\n"));
    }

    /// All that was told.
    #[must_use]
    pub fn told(&self) -> &str {
        &self.told
    }

    fn tell(&mut self, text: &str) {
        if self.aloud {
            print!("{text}");
        }
        self.told += text;
    }

    /// Does a step, and tells it. A step that fails has happened differently.
    pub fn step(&mut self, title: &str, expected: &str, step: impl FnOnce() -> Result<Happened>) {
        self.steps += 1;
        let number = self.steps;
        let start = Instant::now();
        let happened = step().unwrap_or_else(|error| {
            let text = format!("{error:#}");
            // What differs behind it may only follow from it.
            if self.differing.is_empty() {
                self.failed = Some(error);
            }
            text.into()
        });
        let took = start.elapsed();
        let same = happened.what == expected;
        let note = if happened.note.is_empty() { String::new() } else { format!(" ({})", happened.note) };
        let verdict = if same { "as expected" } else { "DIFFERENT" };
        let (what, took) = (happened.what.trim_end(), time(took));
        self.tell(&format!("{number:4}  {title}\n"));
        for line in [format!("expected: {expected}"), format!("happened: {what}{note}"), format!("{verdict}, {took}")] {
            self.tell(&format!("      {line}\n"));
        }
        if !same {
            self.differing.push(format!("step {number}: {title}"));
        }
    }

    /// The end of the story.
    #[must_use]
    pub fn summary(&self, took: Duration) -> String {
        let (steps, took) = (self.steps, time(took));
        if self.differing.is_empty() {
            return format!("{steps} steps as expected, in {took}");
        }
        let differing = self.differing.join("\n  ");
        format!("{} of {steps} steps DIFFERENT, in {took}:\n  {differing}", self.differing.len())
    }

    /// Whether all went as expected.
    ///
    /// # Errors
    ///
    /// What differed and all that was told. If the first step that differed failed, its error is the cause.
    pub fn verdict(self) -> Result<()> {
        if self.differing.is_empty() {
            return Ok(());
        }
        let text = format!("{}\n{}", self.differing.join("\n"), self.told);
        Err(self.failed.map_or_else(|| Error::msg(text.clone()), |error| error.context(text.clone())))
    }

    /// How many steps there were.
    #[must_use]
    pub fn steps(&self) -> usize {
        self.steps
    }

    /// The steps in which something else happened.
    #[must_use]
    pub fn differing(&self) -> &[String] {
        &self.differing
    }
}

/// A time for people.
#[must_use]
pub fn time(time: Duration) -> String {
    match time.as_micros() {
        micros @ 0..10_000 => format!("{:.2} ms", micros as f64 / 1e3),
        micros @ 10_000..1_000_000 => format!("{:.0} ms", micros as f64 / 1e3),
        _ => format!("{:.2} s", time.as_secs_f64()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::harness::failure;

    #[test]
    fn only_what_differs_is_remembered() {
        let mut teller = Teller::quiet();
        teller.step("the same", "open", || Ok("open".into()));
        teller.step("with a note", "open", || Ok(Happened::note("open", "soon")));
        teller.step("not the same", "open", || Ok("silent".into()));
        teller.step("an error", "open", || anyhow::bail!("no way"));
        assert_eq!(teller.steps(), 4);
        assert_eq!(teller.differing(), ["step 3: not the same", "step 4: an error"]);
    }

    #[test]
    fn the_first_step_that_differs_decides_whether_the_machine_may_be_the_reason() {
        let late = || Err(failure::Late("no answer".to_owned()).into());
        let mut teller = Teller::quiet();
        teller.step("a wait", "open", late);
        teller.step("what follows", "open", || Ok("silent".into()));
        assert_eq!(failure::code_of(&teller.verdict().unwrap_err()), failure::UNSTABLE);

        let mut teller = Teller::quiet();
        teller.step("who gets in", "silent", || Ok("open".into()));
        teller.step("a wait", "open", late);
        assert_eq!(failure::code_of(&teller.verdict().unwrap_err()), failure::BROKEN);
        assert!(Teller::quiet().verdict().is_ok());
    }

    #[test]
    fn times_are_short() {
        assert_eq!(time(Duration::from_micros(210)), "0.21 ms");
        assert_eq!(time(Duration::from_millis(31)), "31 ms");
        assert_eq!(time(Duration::from_millis(4_006)), "4.01 s");
    }
}
