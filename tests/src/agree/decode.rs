//! What a gate has stored, in the words of the model.

use std::net::IpAddr;

use knock_common::abi::attempt::{Attempt, Ticks};
use knock_common::abi::counter::Counter;
use knock_common::abi::flow::Phase;
use knock_common::abi::grant::{FOR_GOOD, Grant, GrantKey};
use knock_common::addr::Addr;

use super::state::State;
use super::subject::{Subject, stored};
use crate::model::{self, Config, GrantPlace, Nanos, Network, Port, Protocol, Source, Stage};
use crate::tables::Tables;

/// Reads the state of `subject`; an error if it holds what it never should.
pub(super) fn state(
    subject: &mut dyn Subject,
    tables: &Tables,
    config: &Config,
    sources: &[Source],
    now: Nanos,
    before: &[u64],
) -> Result<State, String> {
    let mut state = State::default();
    for source in sources {
        for word in subject.attempts(&stored(*source)) {
            let Some((door, attempt)) = live_attempt(word, tables, config, now) else { continue };
            if state.attempts.insert((*source, door), attempt).is_some() {
                return Err(format!("{source} has two attempts at door d{door}"));
            }
        }
    }
    for (key, grant) in subject.grants() {
        if grant.until > now {
            let (place, value) = live_grant(&key, &grant, tables)?;
            state.grants.insert(place, value);
        }
    }
    for (key, flow) in subject.flows() {
        if flow.is_live(key.is_udp(), now, tables.flow_idle) {
            let protocol = if key.is_udp() { Protocol::Udp } else { Protocol::Tcp };
            let place = (source_of(&key.source), key.sport, key.dest.destination(), Port(key.dport, protocol));
            let stage = match flow.phase().ok_or_else(|| format!("a live flow of no phase: {key:?}"))? {
                Phase::Opening => Stage::Asked,
                Phase::Open => Stage::Stands,
                Phase::Closing => Stage::Ends,
            };
            state.flows.insert(place, model::Flow { stage, seen: flow.seen() });
        }
    }
    state.counters = counters(before, &subject.counters());
    Ok(state)
}

fn source_of(addr: &Addr) -> Source {
    Source { ip: (*addr).into(), link: addr.interface() }
}

fn live_attempt(word: u64, tables: &Tables, config: &Config, now: Nanos) -> Option<(usize, model::Attempt)> {
    let attempt = Attempt(word);
    if word == 0 || attempt.made() == 0 {
        return None;
    }
    let index = attempt.door() as usize;
    let age = Ticks::span_ns(Ticks::at(now).since(attempt.started()));
    let alive = attempt.check() == tables.rules.doors[index].check && age < config.doors[index].seq_timeout;
    alive.then(|| (index, model::Attempt { made: attempt.made() as usize, started: now - age }))
}

type PlacedGrant = (GrantPlace, (Option<Nanos>, Nanos));

fn live_grant(key: &GrantKey, grant: &Grant, tables: &Tables) -> Result<PlacedGrant, String> {
    let service = tables.rules.services.iter().position(|service| service.tag == key.service);
    let service = service.ok_or_else(|| format!("a grant for no service: {key:?}"))?;
    let base = IpAddr::from(key.source);
    let bits = key.bits as u8 - if base.is_ipv4() { 96 } else { 0 };
    let network = Network { base, bits };
    if Network::of(base, bits) != network {
        return Err(format!("a grant to {network}, which has bits set behind its prefix"));
    }
    let until = (grant.until != FOR_GOOD).then_some(grant.until);
    Ok(((service, network, key.source.interface()), (until, grant.since)))
}

fn counters(before: &[u64], after: &[u64]) -> Vec<u64> {
    let grown = |counter: &Counter| after[*counter as usize] - before[*counter as usize];
    Counter::ALL.iter().map(|counter| if is_about_rules(*counter) { grown(counter) } else { 0 }).collect()
}

/// False for counters of the machinery around the gate, and of tokens: of both the model knows nothing.
#[must_use]
pub fn is_about_rules(counter: Counter) -> bool {
    counter != Counter::EventLost
        && counter != Counter::FlowLost
        && counter != Counter::AttemptLost
        && counter != Counter::GrantRefused
        && !counter.name().starts_with("token_")
}
