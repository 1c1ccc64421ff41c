//! The few bugs that `cargo xtask test` plants: all together in one build, and for each the one test that sees it and
//! none of the others. The whole run, which plants one at a time, shows that this is so.

use anyhow::Result;

use super::figures::{Figures, say};
use super::heard::Heard;
use super::placed::Placed;
use super::suite::{Build, Outcome, Suites};
use super::table::Mutant;
use super::tree::Tree;
use crate::step;

/// Plants them, and adds what came of each. The untouched tree is not built: the same tests must pass in the stage
/// "unit and host" of `cargo xtask test`, which builds it anyway.
pub fn plant(tree: &Tree, suites: &Suites, chosen: &[&Placed], figures: &mut Figures) -> Result<()> {
    println!(
        "[mutants] the untouched tree is not built: it passes these tests in the stage \"unit and host\" of `test`"
    );
    let places: Vec<_> = chosen.iter().map(|(_, place)| place).collect();
    let names: Vec<_> = chosen.iter().filter_map(|(mutant, _)| mutant.seen_by).collect();
    let planted = tree.plant(&places)?;
    let heard = step::block("mutants", format!("{} bugs in one build, and a test for each", names.len()), || {
        suites.ask(Build::Quickest, &names)
    });
    planted.restore()?;
    for (((mutant, _), heard), name) in chosen.iter().zip(heard?).zip(names) {
        let outcome = outcome(heard, name);
        say(mutant, &outcome, None);
        figures.add(mutant, &outcome);
    }
    Ok(())
}

fn outcome(heard: Heard, name: &'static str) -> Outcome {
    match heard {
        Heard::Failed => Outcome::Caught(vec![name.to_owned()]),
        Heard::Passed => Outcome::Survived,
        Heard::Missing => Outcome::NoTest(name),
    }
}

/// What is wrong with the choice of tests, by what is heard of them while one of the bugs is planted alone: its own
/// test must fail, and no other may, as that one would then fail without its own bug.
pub fn faults(alone: &Mutant, quick: &[&Mutant], heard: &[Heard]) -> Vec<String> {
    let fault = |(mutant, heard): (&&Mutant, &Heard)| {
        let name = mutant.seen_by?;
        match (*mutant == alone, heard) {
            (true, Heard::Failed) | (false, Heard::Passed | Heard::Missing) => None,
            (true, Heard::Passed) => Some(format!("{alone} is not seen by {name}, which its row names")),
            (true, Heard::Missing) => Some(format!("{alone} has a row that names {name}, which is no test")),
            (false, Heard::Failed) => Some(format!("{alone} is seen by {name} too, which is to see only: {mutant}")),
        }
    };
    quick.iter().zip(heard).filter_map(fault).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn bug(rule: u8, seen_by: &'static str) -> Mutant {
        Mutant::new(rule, "a bug", ("crate", "item"), "from", "to").quick(seen_by)
    }

    #[test]
    fn a_test_that_passes_makes_a_survivor_and_one_that_is_not_there_an_error() {
        const BUG: Mutant = bug(8, "gate::a_test");
        let faults = |heard| {
            let mut figures = Figures::default();
            figures.add(&BUG, &outcome(heard, "gate::a_test"));
            figures.faults().to_vec()
        };
        assert_eq!(faults(Heard::Failed), [""; 0]);
        assert_eq!(faults(Heard::Passed), ["rule 8, a bug survived"]);
        assert_eq!(faults(Heard::Missing), ["rule 8, a bug has a row that names gate::a_test, which is no test"]);
    }

    #[test]
    fn a_bug_alone_must_be_seen_by_its_own_test_and_by_no_other_of_them() {
        const ONE: Mutant = bug(1, "a::one");
        const TWO: Mutant = bug(2, "a::two");
        let faults = |heard: [Heard; 2]| faults(&TWO, &[&ONE, &TWO], &heard);
        assert_eq!(faults([Heard::Passed, Heard::Failed]), [""; 0]);
        assert_eq!(
            faults([Heard::Passed, Heard::Passed]),
            ["rule 2, a bug is not seen by a::two, which its row names"]
        );
        assert_eq!(
            faults([Heard::Failed, Heard::Failed]),
            ["rule 2, a bug is seen by a::one too, which is to see only: rule 1, a bug"]
        );
        assert_eq!(faults([Heard::Failed, Heard::Missing]).len(), 2);
    }
}
