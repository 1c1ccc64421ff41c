//! `daemon`: what the daemon takes of a host, beside knockd and fwknopd, and how soon it does what it is told.

mod idle;
mod maps;
mod reload;
mod standby;
mod start;

use anyhow::Result;

use super::ground::Ground;
use super::peers::{Kind, usable};
use super::plan::Plan;
use super::sheet::Sheet;

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
