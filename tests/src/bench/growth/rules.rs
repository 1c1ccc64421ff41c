//! Rules: more doors, and more protected ports.

use std::fmt::Write as _;

use anyhow::Result;

use super::round;
use crate::bench::gate::Gate;
use crate::bench::{Plan, Rounds, Sheet, meter};
use crate::kernel::{Bare, XDP_DROP, XDP_PASS};
use crate::packet::{CLIENT_V4, PacketBuilder, SERVER_V4, STRANGER_V4, SYN};

/// A config with so many protected ports, from 10000 on, and so many doors.
fn config(ports: u32, doors: u32) -> String {
    let mut config = format!(
        "[options]\ninterfaces = [\"eth0\"]\n[services.many]\nports = [\"10000-{}/tcp\"]\n",
        9_999 + ports.max(1)
    );
    for door in 0..doors {
        let (first, second) = (20_000 + door, 30_000 + door);
        write!(
            config,
            "[doors.d{door}]\nservice = \"many\"\nsequence = [\"{first}/tcp\", \"{second}/udp\"]\nseq_timeout = \"10s\"\n"
        )
        .expect("a string takes all");
    }
    config
}

pub(super) fn measure(plan: Plan<'_>, sheet: &mut Sheet) -> Result<()> {
    for (what, ports, doors) in [("doors_1", 1, 1), ("doors_64", 1, 64)] {
        gate(plan, sheet, what, &Gate::load(&config(ports, doors), |_| ())?, true)?;
    }
    for (what, ports) in [("ports_1", 1), ("ports_1000", 1_000)] {
        gate(plan, sheet, what, &Gate::load(&config(ports, 1), |_| ())?, false)?;
    }
    Ok(())
}

/// One source each, on the last of the ports or doors.
fn gate(plan: Plan<'_>, sheet: &mut Sheet, what: &str, gate: &Gate, knocks: bool) -> Result<()> {
    let runs = plan.choose(1_000_000, 300_000) as u32;
    let bare = Bare::load()?;
    let syn = |from, port| PacketBuilder::between(from, SERVER_V4).tcp(40_000, port, SYN).build();
    let doors = gate.kernel.doors().len() as u16;
    let port = if what == "ports_1000" { 10_999 } else { 10_000 };
    let mut cases =
        vec![("unrelated", syn(STRANGER_V4, 443), XDP_PASS), ("denied_syn", syn(STRANGER_V4, port), XDP_DROP)];
    if knocks {
        cases.push(("duplicate", syn(CLIENT_V4, 19_999 + doors), XDP_PASS));
    }
    let mut rounds = vec![Rounds::default(); cases.len()];
    for _ in 0..plan.rounds() {
        for ((_, frame, action), rounds) in cases.iter().zip(&mut rounds) {
            let pass = meter::mean(bare.fd(), frame, XDP_PASS, runs)?;
            round(rounds, (meter::mean(gate.kernel.fd(), frame, *action, runs)?, pass));
        }
    }
    for ((path, ..), rounds) in cases.iter().zip(&rounds) {
        sheet.add(rounds.figure(format!("growth.{path}.{what}"), "ns").note("one source"));
    }
    Ok(())
}
