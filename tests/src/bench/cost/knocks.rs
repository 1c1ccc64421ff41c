//! The paths that change something: what a knock is to a source depends on the one before, and a flow is new once.
//! Thousands of sources make each of them once, in one test run (`kernel::crowd`); what choosing a source takes is
//! measured in front of a program that only passes, and taken off.

use std::net::Ipv4Addr;

use anyhow::{Context as _, Result, ensure};

use crate::bench::gate::{self, Gate};
use crate::bench::meter;
use crate::bench::paths::{self, CONFIG};
use crate::bench::peers::Kind;
use crate::bench::plan::Plan;
use crate::bench::rounds::{BARE, Rounds, order};
use crate::bench::sheet::Sheet;
use crate::kernel::crowd::{Crowd, Face, source};
use crate::kernel::{Bare, XDP_PASS};
use crate::lab::Config;
use crate::packet::PacketBuilder;

/// Sources in one run: their events fit into the ring buffer, so that none is lost.
const SOURCES: u32 = 2048;

/// What has to be known of these figures.
const NOTE: &str = "2048 sources once each in one test run, on an emptied ring buffer; less what choosing the source \
                    takes, which is measured in front of xdp_pass";

/// A step of a story that every source goes through.
struct Step {
    /// Its figure is `cost.` and this.
    id: &'static str,
    make: fn(Ipv4Addr) -> PacketBuilder,
    /// It was measured already and only leads to the next.
    again: bool,
    /// The log is told of it.
    told: bool,
}

const fn step(id: &'static str, make: fn(Ipv4Addr) -> PacketBuilder) -> Step {
    Step { id, make, again: false, told: true }
}

const STEPS: [Step; 6] = [
    step("knock_first.tcp4", paths::first),
    step("knock_middle.udp4", paths::middle),
    step("knock_last.tcp4", paths::last),
    Step { told: false, ..step(paths::NEW_FLOW, paths::begin) },
    Step { again: true, ..step("knock_first.tcp4", paths::first) },
    step("wrong_knock.tcp4", paths::wrong),
];

/// A step, and the frames of all sources.
struct Chosen {
    step: &'static Step,
    frame: Vec<u8>,
    faces: Vec<Face>,
    passing: Crowd,
}

/// The config. Each knock is told of: with the budget that a config has, most would not be, and cost less.
fn config() -> Config {
    Config(CONFIG.to_owned()).option("attempt_rate", &u32::MAX.to_string())
}

/// All sources make all steps once.
pub(super) fn rehearse() -> Result<()> {
    let chosen = chosen(&Bare::with_frags()?)?;
    let mut gate = Gate::stand(Kind::Own, &config().0, &[])?;
    let crowds = crowds(&gate, &chosen)?;
    // A flow is new in each story.
    for _ in 0..2 {
        story(&mut gate, &crowds, &chosen, Flows::Counted)?;
    }
    Ok(())
}

/// Each step with its frames, in front of a program that only passes.
fn chosen(bare: &Bare) -> Result<Vec<Chosen>> {
    let mut chosen = Vec::new();
    for step in &STEPS {
        let faces: Vec<_> = (0..SOURCES).map(|number| Face::of(&(step.make)(source(number)).build())).collect();
        let frame = (step.make)(source(0)).build();
        let passing = Crowd::before(bare.fd(), true, &frame, &faces)?;
        chosen.push(Chosen { step, frame, faces, passing });
    }
    Ok(chosen)
}

pub(super) fn measure(plan: Plan<'_>, sheet: &mut Sheet) -> Result<()> {
    let stories = plan.choose(12, 6);
    let config = config();
    let bare = Bare::with_frags()?;
    let chosen = chosen(&bare)?;
    let ours = gate::usable(plan.ours(), &config.0, &[], "cost.* of knocks", sheet, |gate| {
        let crowds = crowds(gate, &chosen)?;
        story(gate, &crowds, &chosen, Flows::Counted).map(drop)
    })?;
    let mut rounds = STEPS.map(|_| Rounds::default());
    for turn in 0..plan.rounds() {
        let mut gates = Gate::of_each(&ours, turn, &config.0, &[])?;
        let crowds: Vec<_> = gates.iter().map(|gate| crowds(gate, &chosen)).collect::<Result<_>>()?;
        let mut took = vec![[0.0; STEPS.len()]; gates.len()];
        let mut passed = [0.0; STEPS.len()];
        for story_number in 0..stories {
            for index in order(gates.len(), story_number) {
                let story = story(&mut gates[index], &crowds[index], &chosen, Flows::Trusted)?;
                took[index].iter_mut().zip(story).for_each(|(took, step)| *took += step);
            }
            for (Chosen { frame, passing, .. }, passed) in chosen.iter().zip(&mut passed) {
                passing.restart()?;
                *passed += meter::mean(passing.fd(), frame, XDP_PASS, SOURCES)?;
            }
        }
        let frame = paths::first(source(0)).build();
        let pass = meter::mean(bare.fd(), &frame, XDP_PASS, 300_000).context("xdp_pass")?;
        for (gate, took) in gates.iter().zip(&took) {
            for ((took, passed), rounds) in took.iter().zip(&passed).zip(&mut rounds) {
                gate.kind.record(rounds, (took - passed) / stories as f64 + pass);
            }
        }
        rounds.iter_mut().for_each(|rounds| rounds.peer(BARE, pass));
    }
    for (step, rounds) in STEPS.iter().zip(&rounds).filter(|(step, _)| !step.again) {
        sheet.add(rounds.figure(format!("cost.{}", step.id), "ns").note(NOTE));
    }
    Ok(())
}

/// The crowds of all steps, in front of a gate.
fn crowds(gate: &Gate, chosen: &[Chosen]) -> Result<Vec<Crowd>> {
    chosen.iter().map(|step| Crowd::before(gate.fd(), true, &step.frame, &step.faces)).collect()
}

/// What is done about the flows that a step begins.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Flows {
    /// Each has to be noted.
    Counted,
    /// Nothing: to read the tables would leave others in the caches than the step before has.
    Trusted,
}

/// What each step takes of a gate that has forgotten the story before.
fn story(gate: &mut Gate, crowds: &[Crowd], chosen: &[Chosen], flows: Flows) -> Result<[f64; STEPS.len()]> {
    gate.program.forget()?;
    gate.program.take_events();
    let mut took = [0.0; STEPS.len()];
    for ((Chosen { step, frame, .. }, crowd), took) in chosen.iter().zip(crowds).zip(&mut took) {
        crowd.restart()?;
        // Another commit may know of no flows.
        let counts = !step.told && flows == Flows::Counted && gate.kind != Kind::Before;
        let known = if counts { gate.program.learned()? } else { 0 };
        *took = meter::mean(crowd.fd(), frame, XDP_PASS, SOURCES)?;
        // Each source has made its step.
        let (told, who) = (gate.program.take_events(), gate.kind.name());
        let made = if step.told { SOURCES as usize } else { 0 };
        ensure!(told == made, "{}: {who} told of {told} steps, and {SOURCES} were made", step.id);
        if counts {
            let begun = gate.program.learned()?.saturating_sub(known);
            ensure!(begun == SOURCES as usize, "{}: {who} noted {begun} flows, and {SOURCES} were begun", step.id);
        }
    }
    Ok(took)
}
