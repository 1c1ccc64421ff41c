//! What came of the mutants: a line for each, and one for all.

use std::fmt;
use std::time::{Duration, Instant};

use super::suite::Outcome;
use super::table::Mutant;

/// All figures.
pub struct Figures {
    start: Instant,
    planted: usize,
    caught: usize,
    explained: usize,
    survived: usize,
    faults: Vec<String>,
}

impl Default for Figures {
    fn default() -> Self {
        Self { start: Instant::now(), planted: 0, caught: 0, explained: 0, survived: 0, faults: Vec::new() }
    }
}

impl Figures {
    /// Adds what came of one. It is a fault to survive without an explanation, or to be no program. What is
    /// explained may be caught all the same: some of it by chance.
    pub fn add(&mut self, mutant: &Mutant, outcome: &Outcome) {
        self.planted += 1;
        match (outcome, mutant.explained) {
            (Outcome::Caught(_), _) => self.caught += 1,
            (Outcome::Survived, Some(_)) => self.explained += 1,
            (Outcome::Survived, None) => {
                self.survived += 1;
                self.fault(mutant, "survived");
            }
            (Outcome::Broken(_), _) => self.fault(mutant, "does not compile"),
            (Outcome::NoTest(name), _) => {
                self.fault(mutant, &format!("has a row that names {name}, which is no test"));
            }
        }
    }

    /// Adds what is wrong with the table otherwise.
    pub fn add_faults(&mut self, faults: Vec<String>) {
        self.faults.extend(faults);
    }

    fn fault(&mut self, mutant: &Mutant, what: &str) {
        self.faults.push(format!("{mutant} {what}"));
    }

    /// What is wrong with the tests, or with the table.
    pub fn faults(&self) -> &[String] {
        &self.faults
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { planted, caught, explained, survived, .. } = self;
        let seconds = self.start.elapsed().as_secs();
        write!(
            f,
            "mutants: {planted} planted, {caught} caught, {explained} explained, {survived} survived, in {seconds} s"
        )
    }
}

/// The line of a bug; how long it took, if it was planted alone.
pub fn say(mutant: &Mutant, outcome: &Outcome, time: Option<Duration>) {
    let time = time.map_or_else(String::new, |time| format!(" ({:.1} s)", time.as_secs_f64()));
    println!("[mutants] {mutant}: {outcome}{time}");
    if let Outcome::Broken(text) = outcome {
        println!("{text}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: Mutant = Mutant::new(8, "a bug", ("crate", "item"), "from", "to");

    #[test]
    fn what_survives_without_a_reason_is_a_fault() {
        let mut figures = Figures::default();
        figures.add(&PLAIN, &Outcome::Caught(vec!["a::test".to_owned()]));
        figures.add(&PLAIN.explained("no test can see it"), &Outcome::Survived);
        figures.add(&PLAIN.explained("only by chance"), &Outcome::Caught(Vec::new()));
        assert!(figures.faults().is_empty());
        figures.add(&PLAIN, &Outcome::Survived);
        figures.add(&PLAIN, &Outcome::Broken(String::new()));
        assert_eq!(figures.faults().len(), 2);
        let line = figures.to_string();
        assert!(line.starts_with("mutants: 5 planted, 2 caught, 1 explained, 1 survived, in "), "{line}");
    }
}
