//! Trials: what needs root, each in a process and a sandbox of its own.

mod runner;

/// Trials named by a path and the functions' own names: `trials!["e2e::lab"; one, two]`.
#[macro_export]
macro_rules! trials {
    [$path:literal; $($function:ident),* $(,)?] => {
        vec![$($crate::trial::Trial::new(concat!($path, "::", stringify!($function)), $function)),*]
    };
}

use anyhow::Result;
pub use runner::{itself, run};

pub use crate::trials;

/// What is tried in a sandbox of its own.
pub struct Trial {
    name: String,
    test: Box<dyn FnOnce() -> Result<()> + Send>,
    is_alone: bool,
    is_ignored: bool,
}

impl Trial {
    /// A trial that fails with an error or a panic.
    pub fn new(name: impl Into<String>, test: impl FnOnce() -> Result<()> + Send + 'static) -> Self {
        Self { name: name.into(), test: Box::new(test), is_alone: false, is_ignored: false }
    }

    /// The same, with nobody on the other CPUs: it measures, or it needs them all.
    #[must_use]
    pub fn alone(self) -> Self {
        Self { is_alone: true, ..self }
    }

    /// The same, for those alone who ask for it.
    #[must_use]
    pub fn ignored(self) -> Self {
        Self { is_ignored: true, ..self }
    }
}
