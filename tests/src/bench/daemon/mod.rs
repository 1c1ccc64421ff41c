//! `daemon`: what the daemon takes of a host, beside knockd and fwknopd, and how soon it does what it is told.

mod idle;
mod maps;
mod reload;
mod start;

use std::fs;
use std::time::{Duration, Instant};

use anyhow::Result;

use super::ground::Ground;
use super::peers::{Kind, usable};
use super::{Plan, Sheet};
use crate::lab::{TIMEOUT, until};

/// Others that have a program.
const PEERS: [Kind; 2] = [Kind::Knockd, Kind::Fwknop];

/// The section.
///
/// # Errors
///
/// If the ground cannot be made, or the gate does not stand.
pub fn measure(plan: Plan<'_>, sheet: &mut Sheet) -> Result<()> {
    let ground = Ground::new(None)?;
    let kinds = usable(&plan.ours_and(&PEERS), "daemon", &ground, sheet)?;
    start::measure(plan, &kinds, sheet)?;
    idle::measure(plan, &kinds, sheet)?;
    let ours: Vec<_> = kinds.into_iter().filter(|kind| kind.is_ours()).collect();
    maps::measure(&ours, sheet)?;
    reload::measure(plan, &ours, sheet)
}

/// Octets as MiB.
fn mib(octets: u64) -> f64 {
    octets as f64 / f64::from(1 << 20)
}

/// Waits until a daemon has done what it does after its start: a spare program is loaded by a thread.
fn settle(process: u32) -> Result<()> {
    /// By when the thread has begun.
    const BEGUN: Duration = Duration::from_secs(4);
    let loads = || {
        let threads = fs::read_dir(format!("/proc/{process}/task")).into_iter().flatten().flatten();
        let names = threads.filter_map(|thread| fs::read_to_string(thread.path().join("comm")).ok());
        names.into_iter().any(|name| name.trim_end() == "spare")
    };
    let start = Instant::now();
    until("the spare program to be loaded", TIMEOUT, || (loads() || start.elapsed() > BEGUN).then_some(()))?;
    until("the spare program", TIMEOUT, || (!loads()).then_some(()))
}
