//! The bench: what the gate costs beside what people use today. Everything is measured in turn within one run, so
//! that ratios hold on a machine that does other things too.
//!
//! A section measures one kind of thing and adds its figures to the [`Sheet`]; `SECTIONS` is the table of them.

mod cost;
mod daemon;
pub mod docs;
mod figure;
mod flood;
mod gate;
mod ground;
mod growth;
mod knock;
mod machine;
mod meter;
mod open;
pub mod paths;
mod peers;
pub mod plot;
mod rounds;
mod runs;
mod scale;
mod server;
mod sheet;
mod table;
mod targets;
mod verdict;

use std::time::Instant;

use anyhow::{Result, ensure};
use peers::Kind;

pub use figure::{Beside, Figure};
pub use machine::Machine;
pub use rounds::{Rounds, median};
pub use runs::{Row, Runs};
pub use sheet::{Commit, Missing, Sheet, Short};
pub use verdict::Verdict;

/// What is to be measured, and how long it may take.
#[derive(Clone, Copy, Debug)]
pub struct Plan<'a> {
    /// Fewer and smaller rounds: under ten minutes in all.
    pub quick: bool,
    /// Only the sections with this text in their name.
    pub only: Option<&'a str>,
    /// What is measured beside it.
    pub beside: Option<&'a Commit>,
}

impl Plan<'_> {
    /// The number of rounds, or of runs in each, for a full and for a quick bench.
    #[must_use]
    pub const fn choose(&self, full: usize, quick: usize) -> usize {
        if self.quick { quick } else { full }
    }

    /// The rounds of anything that is cheap to measure: never fewer than seven.
    #[must_use]
    pub const fn rounds(&self) -> usize {
        self.choose(15, 7)
    }

    /// Those that are ours: another commit and the control are among them if one is measured beside.
    #[must_use]
    const fn ours(&self) -> &'static [Kind] {
        const OURS: [Kind; 3] = [Kind::Own, Kind::Before, Kind::Control];
        if self.beside.is_some() { &OURS } else { &[Kind::Own] }
    }

    /// Ours, and these peers.
    #[must_use]
    fn ours_and(&self, peers: &[Kind]) -> Vec<Kind> {
        [self.ours(), peers].concat()
    }
}

/// A section by its name, which its figures begin with.
struct Section {
    name: &'static str,
    measure: fn(Plan<'_>, &mut Sheet) -> Result<()>,
}

const SECTIONS: [Section; 6] = [
    Section { name: "cost", measure: cost::measure },
    Section { name: "growth", measure: growth::measure },
    Section { name: "open", measure: open::measure },
    Section { name: "daemon", measure: daemon::measure },
    Section { name: "flood", measure: flood::measure },
    Section { name: "scale", measure: scale::measure },
];

/// The numbers below `count`, in another order each turn: none always comes behind the same one.
fn order(count: usize, turn: usize) -> impl Iterator<Item = usize> {
    (0..count).map(move |index| (index + turn) % count)
}

/// Measures all that the plan asks for. A section that fails is an error at the end, and keeps no other from being
/// measured.
///
/// # Errors
///
/// If the machine does not say what it is, or no section has such a name.
pub fn run(plan: Plan<'_>) -> Result<Sheet> {
    let mut sheet = Sheet::new(Machine::here()?, plan.quick);
    sheet.beside = plan.beside.cloned();
    let chosen = || SECTIONS.iter().filter(|section| plan.only.is_none_or(|only| section.name.contains(only)));
    ensure!(
        chosen().next().is_some(),
        "no section is called so: choose of {}",
        SECTIONS.iter().map(|section| section.name).collect::<Vec<_>>().join(", ")
    );
    for section in chosen() {
        let begin = Instant::now();
        println!("-- {}", section.name);
        if let Err(error) = (section.measure)(plan, &mut sheet) {
            sheet.cannot(section.name, format!("{error:#}"));
        }
        println!("-- {}: {:.1} s", section.name, begin.elapsed().as_secs_f64());
    }
    Ok(sheet)
}
