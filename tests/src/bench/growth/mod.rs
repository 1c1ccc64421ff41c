//! Section `growth`: what a packet costs as the tables grow, beside a program that only passes. Frames come from
//! one source, whose part of the tables the processor has at hand, or from many, whose part it has not.

mod attempts;
mod grants;
mod rules;

use std::net::{IpAddr, Ipv4Addr};

use anyhow::Result;

use super::gate::Gate;
use super::{Plan, Rounds, Sheet, cost, meter, order};
use crate::kernel::crowd::{Crowd, Face, source};
use crate::kernel::{self, Bare, XDP_PASS};
use crate::lab::Lab;
use crate::packet::{PacketBuilder, SERVER_V4, SERVER_V6};

/// Measures.
pub(super) fn measure(plan: Plan<'_>, sheet: &mut Sheet) -> Result<()> {
    let addresses: [IpAddr; 2] = [SERVER_V4.into(), SERVER_V6.into()];
    // Gates stand on its server until they have their programs.
    let _lab = Lab::new()?;
    kernel::alone(&addresses, || {
        grants::measure(plan, sheet)?;
        rules::measure(plan, sheet)?;
        attempts::measure(plan, sheet)
    })
}

/// Runs over which what a test run takes by itself is nothing.
const ENOUGH: u32 = 300_000;

/// A frame of many sources in turn.
struct Many {
    frame: Vec<u8>,
    own: Vec<Crowd>,
    passing: Crowd,
}

impl Many {
    /// Frames that `make` makes of the sources with these numbers, in front of each of the gates and of a program that
    /// only passes.
    fn new(
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
    fn round(
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
        rounds.peer(cost::BARE, pass);
        Ok(())
    }
}

/// Measures each of the gates on one frame, and the program that only passes.
fn one(
    gates: &[Gate],
    bare: &Bare,
    frame: &[u8],
    action: u32,
    runs: u32,
    turn: usize,
    rounds: &mut Rounds,
) -> Result<()> {
    rounds.peer(cost::BARE, meter::mean(bare.fd(), frame, XDP_PASS, runs)?);
    for index in order(gates.len(), turn) {
        gates[index].kind.record(rounds, meter::mean(gates[index].fd(), frame, action, runs)?);
    }
    Ok(())
}
