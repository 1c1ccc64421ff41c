//! Holds a gate against the reference model, step by step.

mod decode;
mod shrink;
mod state;
mod subject;

use std::fmt;

use knock_common::abi::counter::Counter;

use crate::history::Scenario;
use crate::model::{Model, Nanos};
use crate::tables::Tables;

pub use decode::is_about_rules;
pub use shrink::shrink;
pub use state::State;
pub use subject::{Subject, stored};

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
