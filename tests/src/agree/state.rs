//! What can be seen of a gate, in the words of the model.

use std::collections::BTreeMap;
use std::fmt;

use knock_common::abi::counter::Counter;

use crate::model::{self, FlowPlace, GrantPlace, Nanos, Source};

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
