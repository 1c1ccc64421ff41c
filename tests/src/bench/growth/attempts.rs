//! Attempts: a packet to an unrelated port, and a first knock, while more and more others are under way.

use std::net::Ipv4Addr;

use anyhow::Result;

use super::sources::Many;
use crate::bench::gate::{self, Gate};
use crate::bench::meter;
use crate::bench::plan::Plan;
use crate::bench::rounds::Rounds;
use crate::bench::sheet::Sheet;
use crate::kernel::crowd::{Crowd, Face, source};
use crate::kernel::{Bare, XDP_PASS};
use crate::packet::{PacketBuilder, SERVER_V4, SYN};

const CONFIG: &str = r#"
[options]
interfaces = ["eth0"]
# Next to none is told of: who floods a gate is not.
attempt_rate = 1

[services.ssh2]
ports = ["2222/tcp"]

[doors.open]
service = "ssh2"
sequence = ["7000/tcp", "8000/udp", "9000/tcp"]
seq_timeout = "30s"
"#;

/// As many as the table holds at most.
const SIZES: [u32; 3] = [0, 1_000, 65_536];
/// The first number of those who have not knocked.
const STRANGERS: u32 = 8_000_000;
/// How many of them send to an unrelated port.
const SENDERS: u32 = 65_536;
/// How many of them knock in one round.
const KNOCKERS: u32 = 4_096;

fn knock(from: Ipv4Addr) -> PacketBuilder {
    PacketBuilder::between(from, SERVER_V4).tcp(40_000, 7000, SYN)
}

fn unrelated(from: Ipv4Addr) -> PacketBuilder {
    PacketBuilder::between(from, SERVER_V4).tcp(40_000, 443, SYN)
}

pub(super) fn measure(plan: Plan<'_>, sheet: &mut Sheet) -> Result<()> {
    let bare = Bare::with_frags()?;
    let ours = gate::usable(plan.ours(), CONFIG, &[], "growth.*.attempts_*", sheet, |_| Ok(()))?;
    let faces: Vec<_> = (0..SENDERS).map(|number| Face::of(&knock(source(number)).build())).collect();
    let first = knock(source(0)).build();
    for size in SIZES {
        let (mut passing, mut beginning) = (Rounds::default(), Rounds::default());
        for turn in 0..plan.rounds() {
            let gates = Gate::of_each(&ours, turn, CONFIG, &[])?;
            if size > 0 {
                for gate in &gates {
                    let others = Crowd::before(gate.fd(), true, &first, &faces)?;
                    meter::mean(others.fd(), &first, XDP_PASS, size)?;
                }
            }
            let runs = plan.choose(1_000_000, 300_000) as u32;
            let strangers = Many::new(&gates, &bare, unrelated, STRANGERS..STRANGERS + SENDERS)?;
            strangers.round(&gates, &bare, XDP_PASS, runs, turn, &mut passing)?;
            let knockers = Many::new(&gates, &bare, knock, STRANGERS..STRANGERS + KNOCKERS)?;
            knockers.round(&gates, &bare, XDP_PASS, KNOCKERS, turn, &mut beginning)?;
        }
        let note = format!("{SENDERS} sources in turn that are not under way");
        sheet.add(passing.figure(format!("growth.unrelated.attempts_{size}"), "ns").note(note));
        let note = format!("{KNOCKERS} sources that knock for the first time, beyond attempt_rate");
        sheet.add(beginning.figure(format!("growth.knock_first.attempts_{size}"), "ns").note(note));
    }
    Ok(())
}
