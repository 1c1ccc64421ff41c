//! `open`: from the last knock to the first connection, and whether the very next SYN gets in.

use std::thread;
use std::time::Duration;

use anyhow::{Result, ensure};

use super::ground::Ground;
use super::knock::{Reached, reach};
use super::peers::{Guard, Kind, is_shut, usable};
use super::plan::Plan;
use super::rounds::{Rounds, median, order};
use super::sheet::Sheet;
use crate::lab::Host;

const PEERS: [Kind; 3] = [Kind::Knockd, Kind::Fwknop, Kind::Nftables];
/// Longer than any of them takes on a machine that is busy.
const PATIENCE: Duration = Duration::from_secs(10);

/// The section.
///
/// # Errors
///
/// If the ground cannot be made, or ours does not open.
pub fn measure(plan: Plan<'_>, sheet: &mut Sheet) -> Result<()> {
    let ground = Ground::new(None)?;
    let kinds = usable(&plan.ours_and(&PEERS), "open", &ground, sheet)?;
    let (mut latency, mut accepted) = (Rounds::default(), Rounds::default());
    for turn in 0..plan.rounds() {
        for kind in order(kinds.len(), turn).map(|index| kinds[index]) {
            let guard = kind.start()?;
            let opened: Vec<Reached> =
                (0..plan.choose(15, 5)).map(|_| open(&*guard, &ground)).collect::<Result<_>>()?;
            let times: Vec<f64> = opened.iter().map(|one| one.time.as_secs_f64() * 1e3).collect();
            kind.record(&mut latency, median(&times));
            let next = opened.iter().filter(|one| one.unanswered == 0).count();
            kind.record(&mut accepted, next as f64 / opened.len() as f64);
        }
    }
    let each = plan.choose(15, 5);
    sheet.add(latency.figure("open.latency", "ms").note(format!("medians of {each} new clients in each round")));
    sheet.add(accepted.figure("open.next_syn_accepted", "share"));
    Ok(())
}

/// A client that was not there yet knocks and connects.
fn open(guard: &dyn Guard, ground: &Ground) -> Result<Reached> {
    let source = ground.source();
    ensure!(is_shut(source)?, "the port is open without a knock");
    let knock = guard.knock(source)?;
    // Some look for packets in intervals: come at any time of these.
    thread::sleep(Duration::from_micros(fastrand::u64(..100_000)));
    Host::Client.enter(|| reach(source, knock.send(source)?, PATIENCE))
}
