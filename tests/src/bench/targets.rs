//! What the gate is to cost at most: against a peer, measured in the same rounds. What no machine has a part in,
//! instructions and calls of helpers, is `kernel::budget`'s.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use anyhow::{Context as _, Result};

use super::table::range;
use super::{Runs, Sheet};

/// A figure is to be at most so many times a peer's.
struct Target {
    id: &'static str,
    peer: &'static str,
    most: f64,
}

const fn target(id: &'static str, peer: &'static str, most: f64) -> Target {
    Target { id, peer, most }
}

const TARGETS: [Target; 8] = [
    target("cost.unrelated.tcp4", "xdp-filter", 0.40),
    target("cost.denied_syn.tcp4", "xdp-filter", 0.40),
    target("cost.granted.tcp4", "xdp-filter", 1.00),
    target("flood.cpu", "nftables", 0.30),
    target("flood.cpu", "iptables", 0.30),
    target("open.latency", "nftables", 1.00),
    target("open.latency", "knockd", 0.01),
    target("scale.clients_10000.time", "knockd", 0.50),
];

/// A row for each target, with what the machines have measured.
///
/// # Errors
///
/// If one of them is of a figure that no machine has.
pub(super) fn table(runs: &Runs) -> Result<String> {
    let mut commits: Vec<_> = runs.shown().map(Sheet::commit_shown).collect();
    // Once each, in the order of the runs.
    let mut seen = BTreeSet::new();
    commits.retain(|commit| seen.insert(commit.clone()));
    let measured = format!("measured at {}", commits.join(", "));
    let mut text = format!("| figure | beside | at most | {measured} | |\n|---|---|---:|---:|---|\n");
    for Target { id, peer, most } in TARGETS {
        let rows = runs.rows(id);
        let ratios = rows.first().map(|row| row.ratios(peer)).unwrap_or_default();
        let worst = ratios.iter().copied().reduce(f64::max).with_context(|| format!("no {id} beside {peer}"))?;
        let verdict = if worst <= most { "met" } else { "missed" };
        let _ = writeln!(text, "| `{id}` | {peer} | {most:.2} | {} | {verdict} |", range(&ratios));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::bench::{Machine, Rounds};

    #[test]
    fn a_target_is_missed_if_one_machine_misses_it() {
        let run = |kernel: &str, own: f64| {
            let machine = Machine { cpu: "a CPU".into(), cpus: 2, memory_mib: 2048, kernel: kernel.into(), load: 0.5 };
            let mut all: BTreeMap<&str, Rounds> = BTreeMap::new();
            for Target { id, peer, most } in TARGETS {
                let rounds = all.entry(id).or_insert_with(|| {
                    let mut rounds = Rounds::default();
                    rounds.own(own);
                    rounds
                });
                rounds.peer(peer, most.recip());
            }
            let figures = all.iter().map(|(id, rounds)| rounds.figure(*id, "ns")).collect();
            Sheet { figures, ..Sheet::new(machine, true) }
        };
        let mut runs = Runs::of(run("6.18", 0.5));
        let verdicts = |runs: &Runs, verdict: &str| table(runs).unwrap().matches(&format!("| {verdict} |")).count();
        assert_eq!((verdicts(&runs, "met"), verdicts(&runs, "missed")), (TARGETS.len(), 0));
        runs.put(run("6.19", 2.0));
        assert_eq!(verdicts(&runs, "missed"), TARGETS.len());
    }
}
