//! Frames of one source, and of many in turn, in front of each of the gates and of a program that only passes.

use std::net::Ipv4Addr;

use anyhow::Result;

use crate::bench::gate::Gate;
use crate::bench::meter;
use crate::bench::rounds::{BARE, Rounds, order};
use crate::kernel::crowd::{Crowd, Face, source};
use crate::kernel::{Bare, XDP_PASS};
use crate::packet::PacketBuilder;

/// Runs over which what a test run takes by itself is nothing.
const ENOUGH: u32 = 300_000;

/// A frame of many sources in turn.
pub(super) struct Many {
    frame: Vec<u8>,
    own: Vec<Crowd>,
    passing: Crowd,
}

impl Many {
    /// Frames that `make` makes of the sources with these numbers, in front of each of the gates and of a program that
    /// only passes.
    pub(super) fn new(
        gates: &[Gate],
        bare: &Bare,
        make: fn(Ipv4Addr) -> PacketBuilder,
        numbers: impl Iterator<Item = u32>,
    ) -> Result<Self> {
        let faces: Vec<_> = numbers.map(|number| Face::of(&make(source(number)).build())).collect();
        let frame = make(source(0)).build();
        let own = gates.iter().map(|gate| Crowd::before(gate.fd(), true, &frame, &faces)).collect::<Result<_>>()?;
        let passing = Crowd::before(bare.fd(), true, &frame, &faces)?;
        Ok(Self { frame, own, passing })
    }

    /// Measures each of the gates over `runs` runs, less what choosing the source takes, and the program that only passes.
    pub(super) fn round(
        &self,
        gates: &[Gate],
        bare: &Bare,
        action: u32,
        runs: u32,
        turn: usize,
        rounds: &mut Rounds,
    ) -> Result<()> {
        self.passing.restart()?;
        let passing = meter::mean(self.passing.fd(), &self.frame, XDP_PASS, runs)?;
        let pass = meter::mean(bare.fd(), &self.frame, XDP_PASS, runs.max(ENOUGH))?;
        for index in order(gates.len(), turn) {
            let crowd = &self.own[index];
            crowd.restart()?;
            let own = meter::mean(crowd.fd(), &self.frame, action, runs)?;
            gates[index].kind.record(rounds, own - passing + pass);
        }
        rounds.peer(BARE, pass);
        Ok(())
    }
}

/// Measures each of the gates on one frame, and the program that only passes.
pub(super) fn one(
    gates: &[Gate],
    bare: &Bare,
    frame: &[u8],
    action: u32,
    runs: u32,
    turn: usize,
    rounds: &mut Rounds,
) -> Result<()> {
    rounds.peer(BARE, meter::mean(bare.fd(), frame, XDP_PASS, runs)?);
    for index in order(gates.len(), turn) {
        gates[index].kind.record(rounds, meter::mean(gates[index].fd(), frame, action, runs)?);
    }
    Ok(())
}
