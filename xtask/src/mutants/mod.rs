//! `cargo xtask mutants`: bugs planted one at a time in what decides, against each rule of the gate. The tests
//! must catch every one.

mod figures;
mod suite;
mod table;
mod tree;

use std::time::Instant;

use anyhow::{Result, bail, ensure};

use self::figures::Figures;
use self::suite::{Outcome, Suites};
use self::table::{Mutant, Suite};
use self::tree::Tree;
use crate::setup::{self, Purpose};
use crate::{root, step};

/// The verb: all of them, or those of one rule, or those with one of the texts in what they do; of these, the
/// quick ones.
pub fn verb(rule: Option<u8>, only: &[String], is_quick: bool, list: bool) -> Result<()> {
    let is_asked_for = |mutant: &&Mutant| {
        let has_text = only.is_empty() || only.iter().any(|text| mutant.what.contains(text.as_str()));
        rule.is_none_or(|rule| mutant.rule == rule) && has_text && (mutant.quick || !is_quick)
    };
    let chosen: Vec<_> = table::all().filter(is_asked_for).collect();
    ensure!(!chosen.is_empty(), "mutants: there is none of these");
    if list {
        chosen.iter().for_each(|mutant| println!("{mutant}"));
        return Ok(());
    }
    plant_all(&chosen, is_quick)
}

fn plant_all(chosen: &[&Mutant], is_quick: bool) -> Result<()> {
    let mut figures = Figures::default();
    let is_needed = |suite: &Suite| chosen.iter().any(|mutant| mutant.suite == *suite);
    let tools = if is_needed(&Suite::Kernel) {
        root::require("mutants", "to load BPF programs")?;
        Some(setup::setup(Some(Purpose::Build))?)
    } else {
        None
    };
    let tree = Tree::copy()?;
    let mut suites = Suites::new(&tree, tools, is_quick);
    for suite in [Suite::Host, Suite::Kernel].into_iter().filter(is_needed) {
        step::block("mutants", format!("the untouched tree, {suite}"), || suites.measure(suite))?;
    }
    for mutant in chosen {
        let start = Instant::now();
        let planted = tree.plant(mutant)?;
        let outcome = suites.judge(mutant.suite);
        planted.restore()?;
        let outcome = outcome?;
        println!("[mutants] {mutant}: {outcome} ({:.1} s)", start.elapsed().as_secs_f64());
        if let Outcome::Broken(text) = &outcome {
            println!("{text}");
        }
        figures.add(mutant, &outcome);
    }
    println!("{figures}");
    match figures.faults() {
        [] => Ok(()),
        faults => bail!("mutants: {}", faults.join("; ")),
    }
}
