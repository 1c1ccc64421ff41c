//! What a run of a program takes: the CPU time of this thread over many of them.
//!
//! The kernel says of a test run only whole nanoseconds; the CPU time over a hundred thousand runs and more has
//! three digits behind them, and leaves out what other threads take meanwhile.

use std::os::fd::BorrowedFd;

use anyhow::{Context as _, Result, ensure};
use nix::time::{ClockId, clock_gettime};

use crate::kernel::Run;

/// The mean of `runs` runs on a frame in ns, the last of which has to return `action`.
///
/// # Errors
///
/// If the kernel does not run it, or it returns something else.
pub(super) fn mean(program: BorrowedFd<'_>, frame: &[u8], action: u32, runs: u32) -> Result<f64> {
    let begin = cpu_time()?;
    let ran = Run::new(frame).repeat(runs).on(program)?;
    let took = cpu_time()? - begin;
    ensure!(ran.action == action, "the program returned {} and not {action}", ran.action);
    Ok(took as f64 / f64::from(runs))
}

/// The CPU time of this thread in ns.
fn cpu_time() -> Result<i64> {
    let time = clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).context("CLOCK_THREAD_CPUTIME_ID")?;
    Ok(time.tv_sec() * 1_000_000_000 + time.tv_nsec())
}
