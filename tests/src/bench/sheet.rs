//! All figures of a run, and the lines in which people read them.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{Beside, Figure, Machine};

/// The figures, and what could not be measured.
#[derive(Clone, Serialize, Deserialize, Debug)]
pub struct Sheet {
    /// The machine that they are of.
    pub machine: Machine,
    /// The hash of the commit that was measured; with `+` behind it if the code was changed beyond that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit: Option<String>,
    /// True if there were fewer rounds, and smaller ones.
    pub quick: bool,
    /// The commit that was measured beside it, as `before`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub beside: Option<Commit>,
    /// What was measured, in the order in which it was.
    pub figures: Vec<Figure>,
    /// What could not be measured.
    pub missing: Vec<Missing>,
}

/// Another commit of ours.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, Debug)]
pub struct Commit {
    /// Its hash.
    pub hash: String,
    /// True if it is the one that all are held against in the long run.
    pub is_base: bool,
    /// What of it could not be measured.
    pub missing: Vec<Missing>,
}

/// A figure that there is not.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, Debug)]
pub struct Missing {
    /// The figure's id, or that of a group of them.
    pub id: String,
    /// Why it is missing.
    pub why: String,
}

impl Sheet {
    /// An empty one.
    #[must_use]
    pub const fn new(machine: Machine, quick: bool) -> Self {
        Self { machine, commit: None, quick, beside: None, figures: Vec::new(), missing: Vec::new() }
    }

    /// The commit as documents show it.
    #[must_use]
    pub fn commit_shown(&self) -> String {
        let Some(commit) = &self.commit else { return "a commit that was not noted".to_owned() };
        let (hash, changes) = commit.strip_suffix('+').map_or((&**commit, ""), |hash| (hash, " with changes"));
        format!("commit {}{changes}", hash.get(..10).unwrap_or(hash))
    }

    /// Adds a figure, and prints it at once: a run takes minutes.
    pub fn add(&mut self, figure: Figure) {
        println!("{}", Line(&figure));
        self.figures.push(figure);
    }

    /// Says that a figure could not be measured.
    pub fn cannot(&mut self, id: impl Into<String>, why: impl fmt::Display) {
        let missing = Missing { id: id.into(), why: why.to_string() };
        println!("{:<34} not measured: {}", missing.id, missing.why);
        self.missing.push(missing);
    }

    /// Says that a figure of the other commit could not be measured.
    pub fn cannot_compare(&mut self, id: impl Into<String>, why: impl fmt::Display) {
        let missing = Missing { id: id.into(), why: why.to_string() };
        println!("{:<34} of before not measured: {}", missing.id, missing.why);
        if let Some(commit) = &mut self.beside {
            commit.missing.push(missing);
        }
    }

    /// A figure by its id.
    #[must_use]
    pub fn get(&self, id: &str) -> Option<&Figure> {
        self.figures.iter().find(|figure| figure.id == id)
    }
}

/// A figure as a line.
struct Line<'a>(&'a Figure);

impl fmt::Display for Line<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Figure { id, unit, value, spread: [least, most], peers, ratio, beside, note } = self.0;
        let value = format!("{} {unit}", Short(*value));
        write!(out, "{id:<34} {value:>14} ({} to {})", Short(*least), Short(*most))?;
        for (name, value) in peers {
            write!(out, "  {name} {}", Short(*value))?;
            if let Some(ratio) = ratio.get(name) {
                write!(out, " (x{})", Short(*ratio))?;
            }
        }
        if let Some(Beside { control: [least, most], .. }) = beside {
            write!(out, "  noise x{} to x{}", Short(*least), Short(*most))?;
        }
        if !note.is_empty() {
            write!(out, "  [{note}]")?;
        }
        Ok(())
    }
}

/// A number with three digits that count.
pub struct Short(pub f64);

impl fmt::Display for Short {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = match self.0.abs() {
            0.0 => 0,
            size if size >= 100.0 => 0,
            size if size >= 10.0 => 1,
            size if size >= 1.0 => 2,
            size if size >= 0.1 => 3,
            size if size >= 0.01 => 4,
            _ => 5,
        };
        write!(out, "{:.digits$}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_three_digits_that_count() {
        let shown = [0.0, 1234.5, 12.345, 1.2345, 0.12345, 0.012345].map(|number| Short(number).to_string());
        assert_eq!(shown, ["0", "1234", "12.3", "1.23", "0.123", "0.0123"]);
    }
}
