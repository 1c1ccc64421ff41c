//! The bugs: for each rule of the gate, by its number in `docs/rules.md`, some that break it, as a change of one place in
//! knock-common, or in what puts it into the kernel.

mod answers;
mod flows;
mod frames;
mod gate;
mod kernel;
mod knocks;
mod mutant;
mod state;
#[cfg(test)]
mod survival;
mod tokens;

pub use self::mutant::{Mutant, Suite};

/// All of them, in the order of their rules.
pub fn all() -> impl Iterator<Item = &'static Mutant> {
    let tables = [
        knocks::MUTANTS,
        gate::MUTANTS,
        answers::MUTANTS,
        frames::MUTANTS,
        state::MUTANTS,
        flows::MUTANTS,
        tokens::MUTANTS,
        kernel::MUTANTS,
    ];
    let mut all: Vec<_> = tables.into_iter().flatten().collect();
    all.sort_by_key(|mutant| mutant.rule);
    all.into_iter()
}

/// The few that `cargo xtask test` plants.
pub fn quick() -> impl Iterator<Item = &'static Mutant> {
    all().filter(|mutant| mutant.seen_by.is_some())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_rule_has_bugs_and_no_two_are_the_same() {
        let rules: BTreeSet<_> = all().map(|mutant| mutant.rule).collect();
        assert_eq!(rules, crate::rules::numbers().unwrap());
        let said: BTreeSet<_> = all().map(|mutant| mutant.what).collect();
        let planted: BTreeSet<_> = all().map(|mutant| (mutant.root, mutant.item, mutant.from, mutant.to)).collect();
        assert_eq!((said.len(), planted.len()), (all().count(), all().count()));
    }

    #[test]
    fn the_quick_ones_are_of_different_rules_have_a_test_each_and_need_no_kernel() {
        let quick: Vec<_> = quick().collect();
        let rules: BTreeSet<_> = quick.iter().map(|mutant| mutant.rule).collect();
        let tests: BTreeSet<_> = quick.iter().filter_map(|mutant| mutant.seen_by).collect();
        assert_eq!((quick.len(), rules.len(), tests.len()), (7, 7, 7));
        assert!(quick.iter().all(|mutant| mutant.suite == Suite::Host && mutant.explained.is_none()));
    }
}
