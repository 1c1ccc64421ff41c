//! Attempts: a packet to an unrelated port, and a first knock, while more and more others are under way.

use std::net::Ipv4Addr;

use anyhow::Result;

use super::{Many, round};
use crate::bench::gate::Gate;
use crate::bench::{Plan, Rounds, Sheet, meter};
use crate::kernel::crowd::{Crowd, Face, source};
use crate::kernel::{Bare, XDP_PASS};
use crate::packet::{PacketBuilder, SERVER_V4, SYN};

const CONFIG: &str = r#"
[options]
interfaces = ["eth0"]

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
    // None is told of: who floods a gate is not.
    let mut gate = Gate::load(CONFIG, |settings| settings.attempt_rate = 0)?;
    let strangers = Many::new(gate.kernel.fd(), &bare, unrelated, STRANGERS..STRANGERS + SENDERS)?;
    let mut knockers = Many::new(gate.kernel.fd(), &bare, knock, STRANGERS..STRANGERS + KNOCKERS)?;
    let faces: Vec<_> = (0..SENDERS).map(|number| Face::of(&knock(source(number)).build())).collect();
    let others = Crowd::before(gate.kernel.fd(), true, &knock(source(0)).build(), &faces)?;
    for size in SIZES {
        let (mut passing, mut beginning) = (Rounds::default(), Rounds::default());
        for turn in 0..plan.rounds() as u32 {
            gate.kernel.reset();
            if size > 0 {
                others.restart()?;
                meter::mean(others.fd(), &knock(source(0)).build(), XDP_PASS, size)?;
            }
            let runs = plan.choose(1_000_000, 300_000) as u32;
            round(&mut passing, strangers.mean(&bare, XDP_PASS, runs)?);
            let first = STRANGERS + turn * KNOCKERS;
            knockers.send(knock, first..first + KNOCKERS)?;
            round(&mut beginning, knockers.mean(&bare, XDP_PASS, KNOCKERS)?);
        }
        let note = format!("{SENDERS} sources in turn that are not under way");
        sheet.add(passing.figure(format!("growth.unrelated.attempts_{size}"), "ns").note(note));
        let note = format!("{KNOCKERS} sources that knock for the first time, beyond attempt_rate");
        sheet.add(beginning.figure(format!("growth.knock_first.attempts_{size}"), "ns").note(note));
    }
    Ok(())
}
