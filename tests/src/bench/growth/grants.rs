//! Grants: a packet under one of them, and a SYN without, with more and more others in the table.

use std::net::Ipv4Addr;
use std::thread;
use std::time::Duration;

use anyhow::Result;

use super::sources::{Many, one};
use crate::bench::gate::{self, Gate};
use crate::bench::plan::Plan;
use crate::bench::rounds::Rounds;
use crate::bench::sheet::Sheet;
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
seq_timeout = "1s"
cmd_timeout = "1h"
"#;

/// That of the config.
const SEQ_TIMEOUT: Duration = Duration::from_secs(1);

const SIZES: [u32; 5] = [0, 1, 1_000, 65_536, 1_000_000];
/// The first number of those who hold no grant.
const STRANGERS: u32 = 8_000_000;
/// How many of them send.
const SENDERS: u32 = 65_536;

fn syn(from: Ipv4Addr) -> PacketBuilder {
    PacketBuilder::between(from, SERVER_V4).tcp(40_000, 2222, SYN)
}

fn first(from: Ipv4Addr) -> PacketBuilder {
    PacketBuilder::between(from, SERVER_V4).tcp(40_000, 7000, SYN)
}

fn second(from: Ipv4Addr) -> PacketBuilder {
    PacketBuilder::between(from, SERVER_V4).udp(40_000, 8000)
}

fn third(from: Ipv4Addr) -> PacketBuilder {
    PacketBuilder::between(from, SERVER_V4).tcp(40_000, 9000, SYN)
}

const SEQUENCE: [fn(Ipv4Addr) -> PacketBuilder; 3] = [first, second, third];

pub(super) fn measure(plan: Plan<'_>, sheet: &mut Sheet) -> Result<()> {
    let bare = Bare::with_frags()?;
    let opens = |gate: &mut Gate| gate.let_in(0..2, &SEQUENCE, syn);
    let ours = gate::usable(plan.ours(), CONFIG, &[], "growth.*.grants_*", sheet, opens)?;
    let mut gates = Gate::of_each(&ours, 0, CONFIG, &[])?;
    let strangers = Many::new(&gates, &bare, syn, STRANGERS..STRANGERS + SENDERS)?;
    let mut known = 0;
    for size in SIZES {
        for gate in &mut gates {
            gate.let_in(known..size, &SEQUENCE, syn)?;
        }
        known = size;
        // Then none of those who have knocked is under way any more.
        thread::sleep(SEQ_TIMEOUT);
        denied(plan, sheet, &bare, &gates, &strangers, size)?;
        if size > 0 {
            hot(plan, sheet, &bare, &gates, size)?;
        }
        if size > 1 {
            many(plan, sheet, &bare, &gates, size)?;
        }
    }
    Ok(())
}

fn denied(plan: Plan<'_>, sheet: &mut Sheet, bare: &Bare, gates: &[Gate], strangers: &Many, size: u32) -> Result<()> {
    let runs = plan.choose(1_000_000, 300_000) as u32;
    let mut rounds = Rounds::default();
    for turn in 0..plan.rounds() {
        strangers.round(gates, bare, XDP_DROP, runs, turn, &mut rounds)?;
    }
    let note = format!("{SENDERS} sources without a grant in turn");
    sheet.add(rounds.figure(format!("growth.denied_syn.grants_{size}"), "ns").note(note));
    Ok(())
}

fn hot(plan: Plan<'_>, sheet: &mut Sheet, bare: &Bare, gates: &[Gate], size: u32) -> Result<()> {
    let runs = plan.choose(1_000_000, 300_000) as u32;
    let frame = syn(source(0)).build();
    let mut rounds = Rounds::default();
    for turn in 0..plan.rounds() {
        one(gates, bare, &frame, XDP_PASS, runs, turn, &mut rounds)?;
    }
    sheet.add(rounds.figure(format!("growth.granted_hot.grants_{size}"), "ns").note("one source"));
    Ok(())
}

fn many(plan: Plan<'_>, sheet: &mut Sheet, bare: &Bare, gates: &[Gate], size: u32) -> Result<()> {
    // In no order, or the processor would have fetched the next one.
    let mut numbers: Vec<u32> = (0..size.next_power_of_two()).map(|number| number % size).collect();
    fastrand::Rng::with_seed(u64::from(size)).shuffle(&mut numbers);
    let runs = (numbers.len() as u32).max(plan.choose(1_000_000, 300_000) as u32);
    let holders = Many::new(gates, bare, syn, numbers.into_iter())?;
    let mut rounds = Rounds::default();
    for turn in 0..plan.rounds() {
        holders.round(gates, bare, XDP_PASS, runs, turn, &mut rounds)?;
    }
    let note = format!("{size} sources in no order, each under its own grant");
    sheet.add(rounds.figure(format!("growth.granted.grants_{size}"), "ns").note(note));
    Ok(())
}
