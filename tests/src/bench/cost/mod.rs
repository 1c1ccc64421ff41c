//! Section `cost`: what one packet costs on each path through the gate, beside a program that only passes and
//! beside xdp-filter, on the same frames.

mod filter;
mod knocks;

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::os::fd::AsFd as _;

use anyhow::{Context as _, Result};

use super::gate::{self, Gate};
use super::meter;
use super::paths::{self, CONFIG, HOLDER_V4, HOLDER_V6, Path};
use super::peers::Kind;
use super::plan::Plan;
use super::rounds::{BARE, Rounds, order};
use super::sheet::Sheet;
use crate::kernel::{self, Bare, RealSockets, Run};
use crate::lab::Lab;
use crate::model::Sockets;
use crate::packet::{CLIENT_V4, CLIENT_V6, SERVER_V4, SERVER_V6};
use filter::Filter;

/// Measures.
pub(super) fn measure(plan: Plan<'_>, sheet: &mut Sheet) -> Result<()> {
    on_the_server(|| {
        let filters = filters(sheet);
        packets(plan, sheet, &filters)?;
        knocks::measure(plan, sheet)
    })
}

/// Goes each path of this section by the present gate, as a run does before it measures.
///
/// # Errors
///
/// If a packet does not go the way that its figure is of.
pub fn rehearse() -> Result<()> {
    on_the_server(|| {
        let sockets = connected()?;
        go(&Gate::stand(Kind::Own, CONFIG, &holders())?, &paths::all())?;
        drop(sockets);
        knocks::rehearse()
    })
}

/// Does `work` in a network like that of the server. Gates stand on the server of a lab until they have their programs.
fn on_the_server(work: impl FnOnce() -> Result<()> + Send) -> Result<()> {
    let _lab = Lab::new()?;
    let addresses: [IpAddr; 4] = [CLIENT_V4.into(), CLIENT_V6.into(), SERVER_V4.into(), SERVER_V6.into()];
    kernel::alone(&addresses, work)
}

/// Those who hold grants throughout.
fn holders() -> [IpAddr; 2] {
    [HOLDER_V4.into(), HOLDER_V6.into()]
}

/// The connection that a packet of the client belongs to.
fn connected() -> Result<RealSockets> {
    let mut sockets = RealSockets::default();
    let connections = BTreeSet::from([paths::connection()]);
    sockets.become_like(&Sockets { connections, ..Sockets::default() })?;
    Ok(sockets)
}

/// Goes each path once.
fn go(gate: &Gate, paths: &[Path]) -> Result<()> {
    under_way(gate)?;
    let once = |path: &Path| meter::mean(gate.fd(), &path.frame, path.action, 1).with_context(|| path.id.to_owned());
    paths.iter().try_for_each(|path| once(path).map(drop))
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

/// Lets the client begin, whose attempt lasts for seconds only.
fn under_way(gate: &Gate) -> Result<()> {
    Run::new(&paths::first_knock()).on(gate.fd()).map(drop)
}

/// The paths that change nothing, so that one run is like the other.
fn packets(plan: Plan<'_>, sheet: &mut Sheet, filters: &[Filter]) -> Result<()> {
    let runs = plan.choose(1_000_000, 300_000) as u32;
    let bare = Bare::load()?;
    let holders = holders();
    let _sockets = connected()?;
    let paths = paths::all();
    let ours = gate::usable(plan.ours(), CONFIG, &holders, "cost.*", sheet, |gate| go(gate, &paths))?;
    let mut rounds = vec![Rounds::default(); paths.len()];
    for turn in 0..plan.rounds() {
        // Anew: where the kernel happens to put a program makes a difference of some per cent.
        let gates = Gate::of_each(&ours, turn, CONFIG, &holders)?;
        gates.iter().try_for_each(under_way)?;
        for (Path { id, frame, action, by_filter }, rounds) in paths.iter().zip(&mut rounds) {
            rounds.peer(BARE, meter::mean(bare.fd(), frame, crate::kernel::XDP_PASS, runs)?);
            for filter in filters {
                let took = meter::mean(filter.fd.as_fd(), frame, *by_filter, runs);
                rounds.peer(filter.name, took.with_context(|| format!("{} on cost.{id}", filter.name))?);
            }
            for gate in order(gates.len(), turn).map(|index| &gates[index]) {
                let took = meter::mean(gate.fd(), frame, *action, runs);
                gate.kind.record(rounds, took.with_context(|| format!("{} on cost.{id}", gate.kind.name()))?);
            }
        }
    }
    let programs: Vec<_> = filters.iter().map(|filter| format!("{}: {}", filter.name, filter.program)).collect();
    let note = programs.join("; ");
    for (path, rounds) in paths.iter().zip(&rounds) {
        sheet.add(rounds.figure(format!("cost.{}", path.id), "ns").note(&note));
    }
    Ok(())
}
