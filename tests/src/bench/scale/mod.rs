//! `scale`: clients that knock at once, from an address each.

mod crowd;
mod tree;

use std::time::Duration;

use anyhow::{Context as _, Result};

use super::ground::Ground;
use super::peers::{Kind, STEPS, usable};
use super::plan::Plan;
use super::rounds::Rounds;
use super::sheet::Sheet;
use crate::lab::Status;

use crowd::{Came, all_at_once};
use tree::Tree;

const CLIENTS: [usize; 3] = [1, 100, 10_000];
/// knockd starts a shell for each, which stays for as long as the port is open.
const KINDS: [Kind; 2] = [Kind::Own, Kind::Knockd];

#[derive(Default)]
struct Figures {
    share: Rounds,
    time: Rounds,
    cpu: Rounds,
    memory: Rounds,
}

/// The section.
///
/// # Errors
///
/// If the ground cannot be made, or the gate does not stand.
pub fn measure(plan: Plan<'_>, sheet: &mut Sheet) -> Result<()> {
    if plan.beside.is_some() {
        sheet.cannot_compare("scale.*", "thousands of clients are let in too seldom to tell noise");
    }
    let patience = Duration::from_secs(plan.choose(20, 5) as u64);
    let kinds = usable(&KINDS, "scale", &Ground::new(None)?, sheet)?;
    let mut figures = [(); CLIENTS.len()].map(|()| Figures::default());
    for _ in 0..plan.choose(7, 3) {
        // One ground for each round: it has no more clients than that.
        let ground = Ground::new(None)?;
        for &kind in &kinds {
            for (figures, count) in figures.iter_mut().zip(CLIENTS) {
                let guard = kind.start()?;
                let process = guard.process().context("it runs a program")?;
                let before = Tree::of(process)?;
                let Came { share, time, took: after } = all_at_once(&ground.sources(count), process, patience)?;
                if share < 1.0 && kind == Kind::Own {
                    let (came, all) = (Status::read()?.counter("knock_packet"), STEPS.len() * count);
                    eprintln!("bench: scale: {share} of {count} got in: {came} of {all} knocks came to the gate");
                }
                kind.record(&mut figures.share, share);
                kind.record(&mut figures.time, time.as_secs_f64());
                kind.record(&mut figures.cpu, (after.cpu - before.cpu) * 1e3);
                kind.record(&mut figures.memory, after.memory);
            }
        }
    }
    for (Figures { share, time, cpu, memory }, count) in figures.into_iter().zip(CLIENTS) {
        let id = |what| format!("scale.clients_{count}.{what}");
        sheet.add(share.figure(id("opened_share"), "share").note(format!("within {patience:?}")));
        sheet.add(time.figure(id("time"), "s").note("from the first knock to the last client that got in"));
        sheet.add(cpu.figure(id("cpu"), "ms").note("of the daemon and what it starts"));
        sheet.add(memory.figure(id("rss"), "MiB").note("of the daemon and what it starts, shared pages once"));
    }
    Ok(())
}
