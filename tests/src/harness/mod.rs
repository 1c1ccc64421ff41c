//! Tests: what needs root, each in a process and a sandbox of its own.

mod attempt;
mod company;
pub mod failure;
mod inside;
mod record;
mod runner;

/// Tests named by a path and the functions' own names: `tests!["e2e::lab"; one, two]`.
#[macro_export]
macro_rules! tests {
    [$path:literal; $($function:ident),* $(,)?] => {
        vec![$($crate::harness::Test::new(concat!($path, "::", stringify!($function)), $function)),*]
    };
}

/// The same for tests that mostly wait: see [`Test::waiting`].
#[macro_export]
macro_rules! waiting_tests {
    [$path:literal; $($function:ident),* $(,)?] => {
        vec![$($crate::harness::Test::new(concat!($path, "::", stringify!($function)), $function).waiting()),*]
    };
}

use anyhow::Result;
pub use attempt::itself;
use company::Company;
pub use runner::run;

pub use crate::{ensure_measured, tests, waiting_tests};

/// What is tried in a sandbox of its own.
pub struct Test {
    name: String,
    test: Box<dyn FnOnce() -> Result<()> + Send>,
    company: Company,
    is_ignored: bool,
}

impl Test {
    /// A test that fails with an error or a panic.
    pub fn new(name: impl Into<String>, test: impl FnOnce() -> Result<()> + Send + 'static) -> Self {
        Self { name: name.into(), test: Box::new(test), company: Company::Beside, is_ignored: false }
    }

    /// The same, with nobody on the other CPUs: it measures, or it needs them all.
    #[must_use]
    pub fn alone(self) -> Self {
        Self { company: Company::Alone, ..self }
    }

    /// The same, for one that mostly waits, for seconds that somebody else counts: a `cmd_timeout`, a program that is
    /// compared with ours, a machine that boots. It leaves the CPUs to others and takes no place of theirs.
    #[must_use]
    pub fn waiting(self) -> Self {
        Self { company: Company::Waiting, ..self }
    }

    /// The same, for those alone who ask for it.
    #[must_use]
    pub fn ignored(self) -> Self {
        Self { is_ignored: true, ..self }
    }
}
