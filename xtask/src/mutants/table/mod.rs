//! The bugs: for each rule of the gate, by its number in `docs/rules.md`, some that break it, as a change of one place in
//! knock-common, or in what puts it into the kernel.

mod answers;
mod flows;
mod frames;
mod gate;
mod kernel;
mod knocks;
mod state;
#[cfg(test)]
mod survival;

use std::fmt;

/// Which tests must catch a mutant.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Suite {
    /// The unit tests of knock-common and `tests/host`: no root.
    Host,
    /// The loaded program, for what is compiled for the kernel alone.
    Kernel,
}

impl fmt::Display for Suite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Host => "host",
            Self::Kernel => "kernel",
        })
    }
}

/// A bug.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Mutant {
    /// The rule that it breaks, by its number in `docs/rules.md`.
    pub rule: u8,
    /// What the gate does then.
    pub what: &'static str,
    /// The folder of the crate that it is in.
    pub root: &'static str,
    /// The item that it is in, by its name or by its path: see [`Sources::places`](super::source::Sources::places).
    pub item: &'static str,
    /// Text that stands there once, token for token.
    pub from: &'static str,
    /// What stands there instead.
    pub to: &'static str,
    /// What must catch it.
    pub suite: Suite,
    /// Planted by `cargo xtask test` as well, together with the others of these: the test of the binary `host` that
    /// sees this one and none of the others.
    pub seen_by: Option<&'static str>,
    /// Why no test can see it, or none for certain.
    pub explained: Option<&'static str>,
}

impl Mutant {
    /// A bug that the tests of the host must catch.
    pub const fn new(
        rule: u8,
        what: &'static str,
        (root, item): (&'static str, &'static str),
        from: &'static str,
        to: &'static str,
    ) -> Self {
        Self { rule, what, root, item, from, to, suite: Suite::Host, seen_by: None, explained: None }
    }

    /// In what only the kernel runs.
    const fn kernel(self) -> Self {
        Self { suite: Suite::Kernel, ..self }
    }

    /// One of the few that `cargo xtask test` plants, and the test that sees it.
    pub const fn quick(self, seen_by: &'static str) -> Self {
        Self { seen_by: Some(seen_by), ..self }
    }

    /// No bug that can be seen for certain, and why.
    pub const fn explained(self, why: &'static str) -> Self {
        Self { explained: Some(why), ..self }
    }
}

impl fmt::Display for Mutant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "rule {}, {}", self.rule, self.what)
    }
}

/// Rows by item: the rule, what the gate does, the text in the item, what it becomes, and marks.
macro_rules! mutants {
    (in $root:literal $($item:literal { $($rule:literal $what:literal: $from:literal => $to:literal
        $(, $mark:ident($($with:literal)?))*;)* })*) => {
        &[$($(Mutant::new($rule, $what, ($root, $item), $from, $to)$(.$mark($($with)?))*,)*)*]
    };
    ($($rows:tt)*) => {
        mutants!(in "knock-common" $($rows)*)
    };
}
use mutants;

/// All of them, in the order of their rules.
pub fn all() -> impl Iterator<Item = &'static Mutant> {
    let tables = [
        knocks::MUTANTS,
        gate::MUTANTS,
        answers::MUTANTS,
        frames::MUTANTS,
        state::MUTANTS,
        flows::MUTANTS,
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
