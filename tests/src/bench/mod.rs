//! The bench: what the gate costs beside what people use today. Everything is measured in turn within one run, so
//! that ratios hold on a machine that does other things too.
//!
//! A section measures one kind of thing and adds its figures to the [`Sheet`]; `SECTIONS` is the table of them.

pub mod cost;
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
mod plan;
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

pub use figure::{Beside, Figure};
pub use machine::Machine;
pub use plan::Plan;
pub use rounds::Rounds;
pub use runs::{Row, Runs};
pub use sheet::{Commit, Missing, Sheet, Short};
pub use verdict::Verdict;

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
