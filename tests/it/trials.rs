//! How a function becomes a trial.

/// Trials named by a path and the functions' own names: `trials!["e2e::lab"; one, two]`.
macro_rules! trials {
    [$path:literal; $($function:ident),* $(,)?] => {
        vec![$($crate::trials::trial(concat!($path, "::", stringify!($function)), $function)),*]
    };
}
pub(crate) use trials;

use anyhow::Result;
use libtest_mimic::{Failed, Trial};

/// A trial that fails with an error or a panic. An error is told at once: a run that is ended before its summary
/// has said what failed.
pub fn trial(name: impl Into<String>, test: impl FnOnce() -> Result<()> + Send + 'static) -> Trial {
    Trial::test(name, move || {
        test().map_err(|error| {
            let text = format!("{error:?}");
            println!("\n{text}");
            Failed::from(text)
        })
    })
}
