//! Section `growth`: what a packet costs as the tables grow, beside a program that only passes. Frames come from
//! one source, whose part of the tables the processor has at hand, or from many, whose part it has not.

mod attempts;
mod grants;
mod rules;

use std::net::{IpAddr, Ipv4Addr};
use std::os::fd::BorrowedFd;

use anyhow::Result;

use super::{Plan, Rounds, Sheet, cost, meter};
use crate::kernel::crowd::{Crowd, Face, source};
use crate::kernel::{self, Bare, XDP_PASS};
use crate::packet::{PacketBuilder, SERVER_V4, SERVER_V6};

/// Measures.
pub(super) fn measure(plan: Plan<'_>, sheet: &mut Sheet) -> Result<()> {
    let addresses: [IpAddr; 2] = [SERVER_V4.into(), SERVER_V6.into()];
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
    faces: Vec<Face>,
    own: Crowd,
    passing: Crowd,
}

impl Many {
    /// Frames that `make` makes of the sources with these numbers, in front of the gate and of a program that only
    /// passes.
    fn new(
        gate: BorrowedFd<'_>,
        bare: &Bare,
        make: fn(Ipv4Addr) -> PacketBuilder,
        numbers: impl Iterator<Item = u32>,
    ) -> Result<Self> {
        let faces: Vec<_> = numbers.map(|number| Face::of(&make(source(number)).build())).collect();
        let frame = make(source(0)).build();
        let own = Crowd::before(gate, true, &frame, &faces)?;
        let passing = Crowd::before(bare.fd(), true, &frame, &faces)?;
        Ok(Self { frame, faces, own, passing })
    }

    /// Takes other numbers, as many.
    fn send(&mut self, make: fn(Ipv4Addr) -> PacketBuilder, numbers: impl Iterator<Item = u32>) -> Result<()> {
        self.faces = numbers.map(|number| Face::of(&make(source(number)).build())).collect();
        self.own.send(&self.faces)?;
        self.passing.send(&self.faces)
    }

    /// The mean of `runs` runs in ns, less what choosing the source takes, and that of a program that only passes.
    fn mean(&self, bare: &Bare, action: u32, runs: u32) -> Result<(f64, f64)> {
        self.own.restart()?;
        let own = meter::mean(self.own.fd(), &self.frame, action, runs)?;
        self.passing.restart()?;
        let passing = meter::mean(self.passing.fd(), &self.frame, XDP_PASS, runs)?;
        let pass = meter::mean(bare.fd(), &self.frame, XDP_PASS, runs.max(ENOUGH))?;
        Ok((own - passing + pass, pass))
    }
}

/// A round: what is the gate's, and what the program's that only passes.
fn round(rounds: &mut Rounds, (own, pass): (f64, f64)) {
    rounds.own(own);
    rounds.peer(cost::BARE, pass);
}
