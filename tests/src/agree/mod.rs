//! Holds a gate against the reference model, step by step.

mod decode;
mod shrink;

use std::collections::BTreeMap;
use std::fmt;

use knock_common::addr::Addr;
use knock_common::counter::Counter;
use knock_common::flow::{FlowKey, FlowState};
use knock_common::gate::Verdict;
use knock_common::grant::{Grant, GrantKey};
use knock_common::rules::SLOTS;

use crate::history::Scenario;
use crate::model::{self, FlowPlace, GrantPlace, Model, Nanos, Source};
use crate::tables::Tables;

pub use shrink::shrink;

/// A source of a scenario, as a gate stores it.
#[must_use]
pub fn stored(source: Source) -> Addr {
    Addr::from(source.ip).scoped(source.link)
}

/// A gate under test: the host build in memory, or the program in the kernel.
pub trait Subject {
    /// Judges a frame that comes at `now` on this interface of [`crate::links`].
    fn judge(&mut self, now: Nanos, interface: u32, frame: &[u8]) -> Verdict;
    /// The stored attempts of a source, a word each.
    fn attempts(&mut self, source: &Addr) -> [u64; SLOTS];
    /// All stored grants.
    fn grants(&mut self) -> Vec<(GrantKey, Grant)>;
    /// All stored flows.
    fn flows(&mut self) -> Vec<(FlowKey, FlowState)>;
    /// All counters, in the order of [`Counter::ALL`].
    fn counters(&mut self) -> Vec<u64>;
}

/// Everything that can be seen of a gate.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct State {
    /// The attempts that are alive, by source and index of the door.
    pub attempts: BTreeMap<(Source, usize), model::Attempt>,
    /// The live grants: end and beginning.
    pub grants: BTreeMap<GrantPlace, (Option<Nanos>, Nanos)>,
    /// The live flows.
    pub flows: BTreeMap<FlowPlace, model::Flow>,
    /// What was counted since the beginning, in the order of [`Counter::ALL`].
    pub counters: Vec<u64>,
}

impl fmt::Display for State {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for ((source, door), attempt) in &self.attempts {
            write!(out, "\n  {source} at d{door}: {attempt:?}")?;
        }
        for ((service, network, link), (until, since)) in &self.grants {
            write!(out, "\n  s{service} for {network} on {link}: since {since} until {until:?}")?;
        }
        for ((source, from, dest, to), flow) in &self.flows {
            write!(out, "\n  {source} {from} to {dest} {to}: {flow:?}")?;
        }
        for (counter, count) in Counter::ALL.iter().zip(&self.counters).filter(|(_, count)| **count > 0) {
            write!(out, "\n  {} = {count}", counter.name())?;
        }
        Ok(())
    }
}

/// Where the gate and the model part.
#[derive(Clone, Debug)]
pub struct Mismatch {
    /// The number of the packet.
    pub step: usize,
    /// What the model says, and what the gate does.
    pub what: String,
}

impl fmt::Display for Mismatch {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "after packet {}: {}", self.step, self.what)
    }
}

/// Plays the scenario to both. The verdict is compared at every packet, the state after every
/// packet whose number is a multiple of `every`, and after the last one. Returns what was counted,
/// in the order of [`Counter::ALL`].
///
/// # Errors
///
/// The first difference.
pub fn agree(
    subject: &mut dyn Subject,
    tables: &Tables,
    scenario: &Scenario,
    every: usize,
) -> Result<Vec<u64>, Mismatch> {
    let mut model = Model::new(scenario.config.clone(), scenario.sockets.clone());
    let sources = scenario.sources();
    let before = subject.counters();
    let mut counted = vec![0; Counter::COUNT];
    for (step, (now, packet)) in scenario.packets.iter().enumerate() {
        let differ = |what: String| Mismatch { step, what };
        let expected = model.step(*now, packet);
        for counter in &expected.counted {
            counted[*counter as usize] += 1;
        }
        let verdict = subject.judge(*now, packet.interface, &packet.frame());
        if verdict != expected.verdict {
            return Err(differ(format!("the model says {:?}, the gate {verdict:?}", expected.verdict)));
        }
        if step % every != 0 && step + 1 != scenario.packets.len() {
            continue;
        }
        let wanted = state_of_model(&model, *now, &counted);
        let found = decode::state(subject, tables, &scenario.config, &sources, *now, &before).map_err(differ)?;
        if wanted != found {
            return Err(differ(format!("the model has {wanted}\nthe gate has {found}")));
        }
    }
    Ok(counted)
}

fn state_of_model(model: &Model, now: Nanos, counted: &[u64]) -> State {
    State {
        attempts: model.attempts(now),
        grants: model.grants(now).into_iter().map(|(key, grant)| (key, (grant.until, grant.since))).collect(),
        flows: model.flows(now),
        counters: counted.to_vec(),
    }
}

/// Counters that tell of the machinery around the gate, of which the model knows nothing.
fn is_about_rules(counter: Counter) -> bool {
    counter != Counter::EventLost
        && counter != Counter::FlowLost
        && counter != Counter::AttemptLost
        && counter != Counter::GrantRefused
}
