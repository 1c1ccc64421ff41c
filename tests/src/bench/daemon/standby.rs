//! The standby program, which a daemon loads behind its start.

use std::fs;
use std::time::{Duration, Instant};

use anyhow::Result;

use crate::lab::{TIMEOUT, until};

/// Waits until a daemon has done what it does after its start: a standby program is loaded by a thread.
pub(super) fn settle(process: u32) -> Result<()> {
    /// By when the thread has begun.
    const BEGUN: Duration = Duration::from_secs(4);
    /// What it is called, and was called before.
    const THREADS: [&str; 2] = ["standby", "spare"];
    let loads = || {
        let threads = fs::read_dir(format!("/proc/{process}/task")).into_iter().flatten().flatten();
        let names = threads.filter_map(|thread| fs::read_to_string(thread.path().join("comm")).ok());
        names.into_iter().any(|name| THREADS.contains(&name.trim_end()))
    };
    let start = Instant::now();
    until("the standby program to be loaded", TIMEOUT, || (loads() || start.elapsed() > BEGUN).then_some(()))?;
    until("the standby program", TIMEOUT, || (!loads()).then_some(()))
}
