//! The soak, for half a minute.

use std::time::Duration;

use anyhow::{Context as _, Result};
use tests::harness::{Test, tests};
use tests::soak::{self, Plan};

/// The tests.
pub fn tests() -> Vec<Test> {
    tests!["e2e::soak"; nothing_is_lost_nobody_let_in_and_nothing_grows]
}

fn nothing_is_lost_nobody_let_in_and_nothing_grows() -> Result<()> {
    let seed = fastrand::u64(..1 << 32);
    let plan = Plan { span: Duration::from_secs(30), seed, aloud: false };
    let report = soak::run(plan).with_context(|| format!("seed {seed}"))?;
    println!("{report}");
    report.check()
}
