//! What the gate is to cost at most: against a peer, measured in the same rounds. What no machine has a part in,
//! instructions and calls of helpers, is `kernel::budget`'s.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use anyhow::{Context as _, Result};
use serde::Deserialize;

use super::Runs;
use super::table::range;

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

/// The committed budget of `kernel::budget`.
const BUDGET: &str = include_str!("../../it/kernel/budget.json");

/// A row for each target, with what the machines have measured.
///
/// # Errors
///
/// If one of them is of a figure that no machine has.
pub(super) fn table(runs: &Runs) -> Result<String> {
    let mut text = String::from("| figure | beside | at most | measured | |\n|---|---|---:|---:|---|\n");
    for Target { id, peer, most } in TARGETS {
        let rows = runs.rows(id);
        let ratios = rows.first().map(|row| row.ratios(peer)).unwrap_or_default();
        let worst = ratios.iter().copied().reduce(f64::max).with_context(|| format!("no {id} beside {peer}"))?;
        let verdict = if worst <= most { "met" } else { "missed" };
        let _ = writeln!(text, "| `{id}` | {peer} | {most:.2} | {} | {verdict} |", range(&ratios));
    }
    Ok(text)
}

/// A row for each path of the budget.
///
/// # Errors
///
/// If it is none.
pub(super) fn budget() -> Result<String> {
    #[derive(Deserialize)]
    struct Cost {
        instructions: u32,
        calls: BTreeMap<String, u32>,
    }
    let budget: BTreeMap<String, Cost> = serde_json::from_str(BUDGET).context("budget.json")?;
    let mut text = String::from("| path | instructions | calls of helpers | which |\n|---|---:|---:|---|\n");
    for (path, Cost { instructions, calls }) in budget {
        let which: Vec<_> = calls
            .iter()
            .map(|(name, times)| if *times == 1 { name.clone() } else { format!("{name} {times}x") })
            .collect();
        let count: u32 = calls.values().sum();
        let _ = writeln!(text, "| `{path}` | {instructions} | {count} | {} |", which.join(", "));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::{Machine, Rounds, Sheet};

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

    #[test]
    fn the_budget_that_is_committed_is_a_table() {
        assert!(budget().unwrap().contains("\n| `denied_syn.tcp4` | "), "{}", budget().unwrap());
    }
}
