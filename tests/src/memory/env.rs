//! [`Env`] in plain memory.

use std::sync::atomic::Ordering::Relaxed;

use knock_common::abi::attempt::Attempts;
use knock_common::abi::counter::Counter;
use knock_common::abi::event::Event;
use knock_common::abi::flow::{Flow, FlowKey};
use knock_common::abi::grant::{Grant, GrantKey};
use knock_common::abi::key::{Key, LastTimes, WallClock};
use knock_common::abi::layout::MAX_USED;
use knock_common::abi::report_budget::Budget;
use knock_common::abi::rules::{Door, Knock, PortRoles, Service};
use knock_common::abi::used::Used;
use knock_common::addr::Addr;
use knock_common::atomic::Atomic64;
use knock_common::gate::env::{Env, Socket};
use knock_common::gate::scratch::Scratch;
use knock_common::packet::Packet;
use knock_common::packet::flags::TcpFlags;

use super::{ERRORS_KEY, Memory, lock};
use crate::links;
use crate::model::{Port, Protocol};
use crate::packet::HERE;

impl Env for Memory {
    type Scratch = Scratch;
    type FlowKey = FlowKey;

    fn now(&self) -> u64 {
        self.now.load(Relaxed)
    }

    fn interface(&self) -> u32 {
        self.interface.load(Relaxed)
    }

    fn scope(&self) -> u32 {
        let interface = self.interface();
        if links::PORTS.contains(&interface) { links::BOND } else { interface }
    }

    fn stealth(&self) -> bool {
        self.tables.stealth
    }

    fn verify_checksums(&self) -> bool {
        self.tables.verify_checksums
    }

    fn attempt_rate(&self) -> u32 {
        self.tables.attempt_rate
    }

    fn heeds(&self, flags: TcpFlags) -> bool {
        self.segments.has(flags)
    }

    fn log_denied(&self) -> bool {
        self.tables.log_denied
    }

    fn observes(&self) -> bool {
        self.tables.observe
    }

    fn trial_until(&self) -> u64 {
        self.tables.trial_until
    }

    fn rejects(&self) -> bool {
        self.tables.reject
    }

    fn is_addressed(&self, high: u32, low: u16) -> bool {
        let [a, b, c, d, e, f] = HERE;
        (high, low) == (u32::from_ne_bytes([a, b, c, d]), u16::from_be_bytes([e, f]))
    }

    fn errors(&self, cell: u32) -> Option<&Atomic64> {
        self.errors.get(cell as usize)
    }

    fn errors_key(&self) -> [u64; 2] {
        ERRORS_KEY
    }

    fn ports(&self, port: u16) -> PortRoles {
        self.ports.get(&port).copied().unwrap_or_default()
    }

    fn knock(&self, index: u32) -> Option<&Knock> {
        self.tables.rules.knocks.get(index as usize)
    }

    fn door(&self, index: u32) -> Option<&Door> {
        if self.doors_left.load(Relaxed) > 0 && self.doors_left.fetch_sub(1, Relaxed) == 1 {
            self.be_interrupted();
        }
        self.tables.rules.doors.get(index as usize)
    }

    fn service(&self, index: u32) -> Option<&Service> {
        self.tables.rules.services.get(index as usize)
    }

    fn trusts(&self, source: &Addr) -> bool {
        let source = &source.on_wire();
        self.tables.rules.trust_filter.may_hold(source)
            && self.tables.rules.trusted.iter().any(|(bits, base)| source.masked(*bits) == *base)
    }

    fn grant(&self, key: &GrantKey) -> Option<Grant> {
        lock(&self.grants).get(key).copied()
    }

    fn put_grant(&self, key: &GrantKey, grant: &Grant) -> bool {
        let mut grants = lock(&self.grants);
        if grants.len() >= self.max_grants && !grants.contains_key(key) {
            return false;
        }
        grants.insert(*key, *grant);
        true
    }

    fn put_new_grant(&self, key: &GrantKey, grant: &Grant) -> bool {
        let mut grants = lock(&self.grants);
        if grants.len() >= self.max_grants || grants.contains_key(key) {
            return false;
        }
        grants.insert(*key, *grant);
        true
    }

    fn replace_grant(&self, key: &GrantKey, grant: &Grant) -> bool {
        match lock(&self.grants).get_mut(key) {
            Some(old) => {
                *old = *grant;
                true
            }
            None => false,
        }
    }

    fn remove_grant(&self, key: &GrantKey) -> bool {
        lock(&self.grants).remove(key).is_some()
    }

    fn flow_key(&self, packet: &Packet) -> Option<FlowKey> {
        Some(packet.flow_key())
    }

    fn flow(&self, key: &FlowKey) -> Option<&Flow> {
        self.flows.find(key)
    }

    fn put_flow(&self, key: &FlowKey, flow: Flow) -> bool {
        self.flows.put(key, flow)
    }

    fn flow_idle(&self) -> u64 {
        self.tables.flow_idle
    }

    fn is_own(&self, dest: &Addr) -> bool {
        !lock(&self.sockets).guests.contains(&dest.destination())
    }

    fn use_up(&self, key: u64, used: &Used) -> bool {
        use std::collections::hash_map::Entry;
        let mut all = lock(&self.used);
        let room = all.len() < MAX_USED as usize;
        match all.entry(key) {
            Entry::Vacant(entry) if room => {
                entry.insert(*used);
                true
            }
            _ => false,
        }
    }

    fn locks_out(&self) -> bool {
        self.tables.lockout
    }

    fn locked_until(&self, site: &Addr) -> u64 {
        lock(&self.locked).get(site).copied().unwrap_or(0)
    }

    fn attempts(&self, source: &Addr) -> Option<&Attempts> {
        self.sources.find(source)
    }

    fn attempts_or_new(&self, source: &Addr) -> Option<&Attempts> {
        self.sources.find_or_new(source)
    }

    fn attempt_filter(&self, cell: u32) -> Option<&Atomic64> {
        self.attempt_filter.get(cell as usize)
    }

    fn budget(&self) -> Option<&Budget> {
        Some(&self.budget)
    }

    fn takes_tokens(&self) -> bool {
        self.tables.tokens.is_some()
    }

    fn key(&self, id: u32) -> Option<&Key> {
        if lock(&self.removed).contains(&id) {
            return None;
        }
        self.tables.rules.keys.iter().find(|(of, _)| *of == id).map(|(_, key)| key)
    }

    fn last_times(&self, slot: u32) -> Option<&LastTimes> {
        self.last_times.get(slot as usize)
    }

    fn wall_clock(&self) -> Option<&WallClock> {
        Some(&self.wall_clock)
    }

    fn door_of(&self, tag: u32) -> Option<u32> {
        self.tables.rules.doors.iter().position(|door| door.tag == tag).map(|index| index as u32)
    }

    fn token_mask(&self) -> [u64; 2] {
        self.tables.tokens.map_or([0; 2], |tokens| tokens.mask)
    }

    fn token_window(&self) -> u64 {
        self.tables.tokens.map_or(0, |tokens| tokens.window)
    }

    fn token_ahead(&self) -> u64 {
        self.tables.tokens.map_or(0, |tokens| tokens.ahead)
    }

    fn token_budget(&self) -> Option<&Budget> {
        Some(&self.token_budget)
    }

    fn scratch(&self, packet: &Packet) -> Option<Scratch> {
        Some(Scratch::new(*packet))
    }

    fn socket_of(&self, flow: &FlowKey) -> Socket {
        if self.doors_left.load(Relaxed) == 0 {
            self.be_interrupted();
        }
        let sockets = lock(&self.sockets);
        let place = (flow.source.into(), flow.sport, flow.dest.destination(), flow.dport);
        let connected = if flow.is_udp() { &sockets.questions } else { &sockets.connections };
        if connected.contains(&place) {
            return Socket::Connected;
        }
        let port = Port(flow.dport, if flow.is_udp() { Protocol::Udp } else { Protocol::Tcp });
        if sockets.listening.contains(&port) { Socket::Listening } else { Socket::Nothing }
    }

    fn count(&self, counter: Counter) {
        self.counters[counter as usize].fetch_add(1, Relaxed);
    }

    fn tokens(&self) -> Option<&Atomic64> {
        Some(&self.tokens)
    }

    fn emit(&self, event: &Event) {
        lock(&self.events).push(*event);
    }
}
