//! Rules: more doors, and more protected ports.

use std::fmt::Write as _;

use anyhow::Result;

use super::sources::one;
use crate::bench::gate::{self, Gate};
use crate::bench::peers::Kind;
use crate::bench::plan::Plan;
use crate::bench::rounds::Rounds;
use crate::bench::sheet::Sheet;
use crate::kernel::{Bare, XDP_DROP, XDP_PASS};
use crate::packet::{CLIENT_V4, PacketBuilder, SERVER_V4, STRANGER_V4, SYN};

/// A config with so many protected ports, from 10000 on, and so many doors.
fn config(ports: u16, doors: u16) -> String {
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
    let ours = gate::usable(plan.ours(), &config(1, 1), &[], "growth.* of doors and ports", sheet, |_| Ok(()))?;
    for (what, ports, doors) in [("doors_1", 1, 1), ("doors_64", 1, 64)] {
        with(plan, sheet, &ours, what, (ports, doors), true)?;
    }
    for (what, ports) in [("ports_1", 1), ("ports_1000", 1_000)] {
        with(plan, sheet, &ours, what, (ports, 1), false)?;
    }
    Ok(())
}

/// So many ports and doors, and a source each, on the last of the ports or doors.
fn with(
    plan: Plan<'_>,
    sheet: &mut Sheet,
    ours: &[Kind],
    what: &str,
    (ports, doors): (u16, u16),
    knocks: bool,
) -> Result<()> {
    let runs = plan.choose(1_000_000, 300_000) as u32;
    let bare = Bare::load()?;
    let syn = |from, port| PacketBuilder::between(from, SERVER_V4).tcp(40_000, port, SYN).build();
    let mut cases =
        vec![("unrelated", syn(STRANGER_V4, 443), XDP_PASS), ("denied_syn", syn(STRANGER_V4, 9_999 + ports), XDP_DROP)];
    if knocks {
        cases.push(("duplicate", syn(CLIENT_V4, 19_999 + doors), XDP_PASS));
    }
    let mut rounds = vec![Rounds::default(); cases.len()];
    for turn in 0..plan.rounds() {
        let gates = Gate::of_each(ours, turn, &config(ports, doors), &[])?;
        for ((_, frame, action), rounds) in cases.iter().zip(&mut rounds) {
            one(&gates, &bare, frame, *action, runs, turn, rounds)?;
        }
    }
    for ((path, ..), rounds) in cases.iter().zip(&rounds) {
        sheet.add(rounds.figure(format!("growth.{path}.{what}"), "ns").note("one source"));
    }
    Ok(())
}
