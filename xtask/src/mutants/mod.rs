//! `cargo xtask mutants`: bugs planted in what decides, against each rule of `docs/rules.md`: one at a time, or a few of
//! them together. The tests must catch every one.

mod changes;
mod figures;
mod heard;
mod placed;
mod source;
mod suite;
mod table;
mod together;
mod tree;

use std::collections::BTreeSet;
use std::time::Instant;

use anyhow::{Result, bail, ensure};
use clap::Args;

use self::figures::{Figures, say};
use self::placed::{Placed, placed};
use self::suite::{Build, Outcome, Suites};
use self::table::Suite;
use self::tree::Tree;
use crate::setup::{self, Purpose};
use crate::{changed, paths, root, step};

/// Which are planted: all that no flag leaves out.
#[derive(Args, Default)]
pub struct MutantsArgs {
    /// Only those of the rule with this number in docs/rules.md
    #[arg(long, value_name = "N")]
    rule: Option<u8>,
    /// Only those with this text, or one of several, in what they do
    #[arg(long, value_name = "TEXT")]
    only: Vec<String>,
    /// Only those of the rules that a change touches: of each that has a bug in a file that is not as it is in BASE,
    /// which is HEAD unless it is given
    #[arg(long, value_name = "BASE", num_args = 0..=1, default_missing_value = "HEAD")]
    changed: Option<String>,
    /// Only those that `test` plants, all together in one build, and of each the one test that sees it
    #[arg(long)]
    quick: bool,
    /// Say which there are and where, and plant none
    #[arg(long)]
    list: bool,
}

/// The rules that have bugs.
pub fn rules() -> BTreeSet<u8> {
    table::all().map(|mutant| mutant.rule).collect()
}

/// The verb.
pub fn verb(args: &MutantsArgs) -> Result<()> {
    let all = placed(&paths::workspace())?;
    let is_asked_for = |(mutant, _): &&Placed| {
        let has_text = args.only.is_empty() || args.only.iter().any(|text| mutant.what.contains(text.as_str()));
        args.rule.is_none_or(|rule| mutant.rule == rule) && has_text && (mutant.seen_by.is_some() || !args.quick)
    };
    let mut chosen: Vec<&Placed> = all.iter().filter(is_asked_for).collect();
    ensure!(!chosen.is_empty(), "mutants: there is none of these");
    say_renamed(&all);
    if let Some(base) = &args.changed {
        let files = changed::since(base)?;
        let rules = touched(&all, &files);
        let count = chosen.len();
        chosen.retain(|(mutant, _)| rules.contains(&mutant.rule));
        println!("{}", changes::said(base, &rules, chosen.len(), count - chosen.len()));
    }
    if args.list {
        chosen.iter().for_each(|(mutant, place)| println!("{mutant}: {place}"));
        return Ok(());
    }
    if chosen.is_empty() { Ok(()) } else { plant_all(&chosen, args.quick) }
}

/// The rules that have a bug in one of the files.
fn touched(all: &[Placed], files: &changed::Files) -> BTreeSet<u8> {
    all.iter().filter(|(_, place)| files.contains(&place.file)).map(|(mutant, _)| mutant.rule).collect()
}

/// Says which names of the rows the source has others for, so that somebody mends the rows.
fn say_renamed(all: &[Placed]) {
    let renamed: BTreeSet<_> = all.iter().flat_map(|(_, place)| &place.renamed).collect();
    if !renamed.is_empty() {
        let names: Vec<_> = renamed.iter().map(|(from, to)| format!("{from} (now {to})")).collect();
        println!("[mutants] found by its shape what the table names otherwise: {}", names.join(", "));
    }
}

fn plant_all(chosen: &[&Placed], is_quick: bool) -> Result<()> {
    let mut figures = Figures::default();
    let is_needed = |suite: &Suite| chosen.iter().any(|(mutant, _)| mutant.suite == *suite);
    let tools = if is_needed(&Suite::Kernel) {
        root::require("mutants", "to load BPF programs")?;
        Some(setup::setup(Some(Purpose::Build))?)
    } else {
        None
    };
    let tree = Tree::copy()?;
    let copied = placed(tree.root())?;
    ensure!(chosen.iter().all(|bug| copied.contains(bug)), "mutants: the sources have changed meanwhile; begin anew");
    let mut suites = Suites::new(&tree, tools);
    if is_quick {
        together::plant(&tree, &suites, chosen, &mut figures)?;
    } else {
        for suite in [Suite::Host, Suite::Kernel].into_iter().filter(is_needed) {
            step::block("mutants", format!("the untouched tree, {suite}"), || suites.measure(suite))?;
        }
        for bug in chosen {
            plant_alone(&tree, &mut suites, bug, &mut figures)?;
        }
    }
    println!("{figures}");
    match figures.faults() {
        [] => Ok(()),
        faults => bail!("mutants: {}", faults.join("; ")),
    }
}

/// Plants one bug, and adds what came of it. If it is a quick one, this shows whether the tests are well chosen that
/// see all of those together.
fn plant_alone(tree: &Tree, suites: &mut Suites, (mutant, place): &Placed, figures: &mut Figures) -> Result<()> {
    let start = Instant::now();
    let planted = tree.plant(&[place])?;
    let outcome = suites.judge(mutant.suite).and_then(|outcome| {
        if mutant.seen_by.is_some() && !matches!(outcome, Outcome::Broken(_)) {
            let quick: Vec<_> = table::quick().collect();
            let names: Vec<_> = quick.iter().filter_map(|mutant| mutant.seen_by).collect();
            figures.add_faults(together::faults(mutant, &quick, &suites.ask(Build::Lean, &names)?));
        }
        Ok(outcome)
    });
    planted.restore()?;
    let outcome = outcome?;
    say(mutant, &outcome, Some(start.elapsed()));
    figures.add(mutant, &outcome);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::source::Site;
    use super::table::Mutant;
    use super::*;

    #[test]
    fn a_change_touches_the_rules_that_have_a_bug_in_its_files() {
        const fn bug(rule: u8) -> Mutant {
            Mutant::new(rule, "a bug", ("crate", "item"), "from", "to")
        }
        static BUGS: [Mutant; 4] = [bug(1), bug(2), bug(3), bug(4)];
        let at = |bug, file: &str| {
            let (item, to, renamed) = Default::default();
            (bug, Site { file: file.into(), item, line: 1, octets: 0..1, to, renamed })
        };
        let [one, two, three, four] = BUGS.each_ref();
        let all = [at(one, "a"), at(two, "a"), at(two, "b"), at(three, "b"), at(four, "c")];
        let touched = |files: &[&str]| Vec::from_iter(touched(&all, &files.iter().map(Into::into).collect()));
        assert_eq!(touched(&[]), [0; 0]);
        assert_eq!(touched(&["a"]), [1, 2]);
        assert_eq!(touched(&["b", "d"]), [2, 3]);
    }
}
