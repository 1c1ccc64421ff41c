//! Grants: a packet under one of them, and a SYN without, with more and more others in the table.

use std::net::Ipv4Addr;

use anyhow::Result;

use super::{Many, round};
use crate::bench::gate::Gate;
use crate::bench::{Plan, Rounds, Sheet, meter};
use crate::kernel::crowd::source;
use crate::kernel::{Bare, XDP_DROP, XDP_PASS};
use crate::packet::{PacketBuilder, SERVER_V4, SYN};

const CONFIG: &str = r#"
[options]
interfaces = ["eth0"]
max_grants = 1_000_000

[services.ssh2]
ports = ["2222/tcp"]

[doors.open]
service = "ssh2"
sequence = ["7000/tcp", "8000/udp", "9000/tcp"]
"#;

const SIZES: [u32; 5] = [0, 1, 1_000, 65_536, 1_000_000];
/// The first number of those who hold no grant.
const STRANGERS: u32 = 8_000_000;
/// How many of them send.
const SENDERS: u32 = 65_536;

fn syn(from: Ipv4Addr) -> PacketBuilder {
    PacketBuilder::between(from, SERVER_V4).tcp(40_000, 2222, SYN)
}

pub(super) fn measure(plan: Plan<'_>, sheet: &mut Sheet) -> Result<()> {
    let bare = Bare::with_frags()?;
    let mut gate = Gate::load(CONFIG, |_| ())?;
    let strangers = Many::new(gate.kernel.fd(), &bare, syn, STRANGERS..STRANGERS + SENDERS)?;
    let mut known = 0;
    for size in SIZES {
        gate.allow((known..size).map(|number| source(number).into()));
        known = size;
        denied(plan, sheet, &bare, &strangers, size)?;
        if size > 0 {
            one(plan, sheet, &bare, &gate, size)?;
        }
        if size > 1 {
            many(plan, sheet, &bare, &gate, size)?;
        }
    }
    Ok(())
}

fn denied(plan: Plan<'_>, sheet: &mut Sheet, bare: &Bare, strangers: &Many, size: u32) -> Result<()> {
    let runs = plan.choose(1_000_000, 300_000) as u32;
    let mut rounds = Rounds::default();
    for _ in 0..plan.rounds() {
        round(&mut rounds, strangers.mean(bare, XDP_DROP, runs)?);
    }
    let note = format!("{SENDERS} sources without a grant in turn");
    sheet.add(rounds.figure(format!("growth.denied_syn.grants_{size}"), "ns").note(note));
    Ok(())
}

fn one(plan: Plan<'_>, sheet: &mut Sheet, bare: &Bare, gate: &Gate, size: u32) -> Result<()> {
    let runs = plan.choose(1_000_000, 300_000) as u32;
    let frame = syn(source(0)).build();
    let mut rounds = Rounds::default();
    for _ in 0..plan.rounds() {
        let pass = meter::mean(bare.fd(), &frame, XDP_PASS, runs)?;
        round(&mut rounds, (meter::mean(gate.kernel.fd(), &frame, XDP_PASS, runs)?, pass));
    }
    sheet.add(rounds.figure(format!("growth.granted_hot.grants_{size}"), "ns").note("one source"));
    Ok(())
}

fn many(plan: Plan<'_>, sheet: &mut Sheet, bare: &Bare, gate: &Gate, size: u32) -> Result<()> {
    // In no order, or the processor would have fetched the next one.
    let mut numbers: Vec<u32> = (0..size.next_power_of_two()).map(|number| number % size).collect();
    fastrand::Rng::with_seed(u64::from(size)).shuffle(&mut numbers);
    let runs = (numbers.len() as u32).max(plan.choose(1_000_000, 300_000) as u32);
    let holders = Many::new(gate.kernel.fd(), bare, syn, numbers.into_iter())?;
    let mut rounds = Rounds::default();
    for _ in 0..plan.rounds() {
        round(&mut rounds, holders.mean(bare, XDP_PASS, runs)?);
    }
    let note = format!("{size} sources in no order, each under its own grant");
    sheet.add(rounds.figure(format!("growth.granted.grants_{size}"), "ns").note(note));
    Ok(())
}
