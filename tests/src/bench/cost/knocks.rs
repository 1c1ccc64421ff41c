//! The paths that change something: what a knock is to a source depends on the one before. Thousands of sources make
//! each of them once, in one test run (`kernel::crowd`); what choosing a source takes is measured in front of a
//! program that only passes, and taken off.

use std::net::Ipv4Addr;

use anyhow::{Context as _, Result, ensure};
use knock_common::counter::Counter;

use super::BARE;
use crate::bench::gate::Gate;
use crate::bench::paths::{self, CONFIG};
use crate::bench::{Plan, Rounds, Sheet, meter};
use crate::kernel::crowd::{Crowd, Face, source};
use crate::kernel::{Bare, XDP_PASS};
use crate::packet::PacketBuilder;

/// Sources in one run: their events fit into the ring buffer, so that none is lost.
const SOURCES: u32 = 4096;

/// What has to be known of these figures.
const NOTE: &str = "4096 sources once each in one test run, on an emptied ring buffer; less what choosing the source \
                    takes, which is measured in front of xdp_pass";

/// A step of a story that every source goes through.
struct Step {
    /// Its figure is `cost.` and this.
    id: &'static str,
    make: fn(Ipv4Addr) -> PacketBuilder,
    /// Counted once for each source.
    counter: Counter,
    /// It was measured already and only leads to the next.
    again: bool,
}

const fn step(id: &'static str, make: fn(Ipv4Addr) -> PacketBuilder, counter: Counter) -> Step {
    Step { id, make, counter, again: false }
}

const STEPS: [Step; 5] = [
    step("knock_first.tcp4", paths::first, Counter::AttemptStarted),
    step("knock_middle.udp4", paths::middle, Counter::AttemptAdvanced),
    step("knock_last.tcp4", paths::last, Counter::GrantOpened),
    Step { again: true, ..step("knock_first.tcp4", paths::first, Counter::AttemptStarted) },
    step("wrong_knock.tcp4", paths::wrong, Counter::AttemptEnded),
];

pub(super) fn measure(plan: Plan<'_>, sheet: &mut Sheet) -> Result<()> {
    let stories = plan.choose(12, 6);
    // Each is told of: with the budget that a config has, most would not be, and cost less.
    let mut gate = Gate::load(CONFIG, |settings| settings.attempt_rate = u32::MAX)?;
    let bare = Bare::with_frags()?;
    let mut chosen = Vec::new();
    for step in &STEPS {
        let faces: Vec<_> = (0..SOURCES).map(|number| Face::of(&(step.make)(source(number)).build())).collect();
        let frame = (step.make)(source(0)).build();
        let before = |target| Crowd::before(target, true, &frame, &faces);
        let pair = (before(gate.kernel.fd())?, before(bare.fd())?);
        chosen.push((step, frame, pair));
    }
    let mut rounds = STEPS.map(|_| Rounds::default());
    for _ in 0..plan.rounds() {
        let mut took = [(0.0, 0.0); STEPS.len()];
        for _ in 0..stories {
            gate.kernel.reset();
            for ((step, frame, (own, passing)), took) in chosen.iter().zip(&mut took) {
                let before = gate.kernel.all_counters()[step.counter as usize];
                own.restart()?;
                took.0 += meter::mean(own.fd(), frame, XDP_PASS, SOURCES)?;
                let counted = gate.kernel.all_counters()[step.counter as usize] - before;
                ensure!(counted == u64::from(SOURCES), "{}: {} counted {counted}", step.id, step.counter.name());
                drop(gate.kernel.take_events());
                passing.restart()?;
                took.1 += meter::mean(passing.fd(), frame, XDP_PASS, SOURCES)?;
            }
        }
        let frame = paths::first(source(0)).build();
        let pass = meter::mean(bare.fd(), &frame, XDP_PASS, 300_000).context("xdp_pass")?;
        for ((own, passing), rounds) in took.into_iter().zip(&mut rounds) {
            rounds.own((own - passing) / stories as f64 + pass);
            rounds.peer(BARE, pass);
        }
    }
    for (step, rounds) in STEPS.iter().zip(&rounds).filter(|(step, _)| !step.again) {
        sheet.add(rounds.figure(format!("cost.{}", step.id), "ns").note(NOTE));
    }
    Ok(())
}
