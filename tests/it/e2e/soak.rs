//! The soak, for half a minute.

use std::time::Duration;

use anyhow::{Context as _, Result};
use tests::soak::{self, Plan};
use tests::trial::{Trial, trials};

/// The trials.
pub fn trials() -> Vec<Trial> {
    trials!["e2e::soak"; nothing_is_lost_nobody_let_in_and_nothing_grows]
}

fn nothing_is_lost_nobody_let_in_and_nothing_grows() -> Result<()> {
    let seed = fastrand::u64(..1 << 32);
    let plan = Plan { span: Duration::from_secs(30), seed, aloud: false };
    let report = soak::run(plan).with_context(|| format!("seed {seed}"))?;
    println!("{report}");
    report.check()
}
