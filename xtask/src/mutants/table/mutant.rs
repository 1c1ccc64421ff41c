//! What a bug is, which tests must catch it, and how a table writes its rows.

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
    /// The item that it is in, by its name or by its path: see [`Sources::places`](crate::mutants::source::Sources::places).
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
    pub(super) const fn kernel(self) -> Self {
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
pub(super) use mutants;
