//! Section `cost`: what one packet costs on each path through the gate, beside a program that only passes and
//! beside xdp-filter, on the same frames.

mod filter;
mod knocks;

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::os::fd::AsFd as _;

use anyhow::{Context as _, Result};

use super::gate::Gate;
use super::paths::{self, CONFIG, HOLDER_V4, HOLDER_V6, Path};
use super::{Plan, Rounds, Sheet, meter};
use crate::kernel::{self, Bare, RealSockets};
use crate::model::Sockets;
use crate::packet::{CLIENT_V4, CLIENT_V6, SERVER_V4, SERVER_V6};
use filter::Filter;

/// A program that passes every frame.
pub(super) const BARE: &str = "xdp_pass";

/// Measures.
pub(super) fn measure(plan: Plan<'_>, sheet: &mut Sheet) -> Result<()> {
    let addresses: [IpAddr; 4] = [CLIENT_V4.into(), CLIENT_V6.into(), SERVER_V4.into(), SERVER_V6.into()];
    kernel::alone(&addresses, || {
        let filters = filters(sheet);
        packets(plan, sheet, &filters)?;
        knocks::measure(plan, sheet)
    })
}

/// xdp-filter as one would load it for the ports of the gate, and with the least that it can do.
fn filters(sheet: &mut Sheet) -> Vec<Filter> {
    let mut filters = Vec::new();
    for (name, features) in [("xdp-filter", "tcp,udp"), ("xdp-filter_tcp", "tcp")] {
        match Filter::load(name, features, paths::PORT) {
            Ok(filter) => filters.push(filter),
            Err(error) => sheet.cannot(format!("cost.* beside {name}"), format!("{error:#}")),
        }
    }
    filters
}

/// The paths that change nothing, so that one run is like the other.
fn packets(plan: Plan<'_>, sheet: &mut Sheet, filters: &[Filter]) -> Result<()> {
    let runs = plan.choose(1_000_000, 300_000) as u32;
    let bare = Bare::load()?;
    let mut gate = Gate::load(CONFIG, |_| ())?;
    gate.allow([HOLDER_V4.into(), HOLDER_V6.into()].into_iter());
    let mut sockets = RealSockets::default();
    let connections = BTreeSet::from([paths::connection()]);
    sockets.become_like(&Sockets { connections, ..Sockets::default() })?;
    let paths = paths::all();
    let mut rounds = vec![Rounds::default(); paths.len()];
    for _ in 0..plan.rounds() {
        // An attempt under way lasts for seconds only.
        let _ = gate.kernel.judge_frame(&paths::first_knock())?;
        for (Path { id, frame, action, by_filter }, rounds) in paths.iter().zip(&mut rounds) {
            rounds.peer(BARE, meter::mean(bare.fd(), frame, crate::kernel::XDP_PASS, runs)?);
            for filter in filters {
                let took = meter::mean(filter.fd.as_fd(), frame, *by_filter, runs);
                rounds.peer(filter.name, took.with_context(|| format!("{} on cost.{id}", filter.name))?);
            }
            let took = meter::mean(gate.kernel.fd(), frame, *action, runs);
            rounds.own(took.with_context(|| format!("cost.{id}"))?);
        }
    }
    let programs: Vec<_> = filters.iter().map(|filter| format!("{}: {}", filter.name, filter.program)).collect();
    let note = programs.join("; ");
    for (path, rounds) in paths.iter().zip(&rounds) {
        sheet.add(rounds.figure(format!("cost.{}", path.id), "ns").note(&note));
    }
    Ok(())
}
