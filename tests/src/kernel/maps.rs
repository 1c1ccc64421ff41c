//! The maps of a loaded program, typed.

use std::collections::{BTreeSet, HashMap as Table, HashSet};
use std::net::IpAddr;
use std::os::fd::{AsFd as _, BorrowedFd};

use anyhow::{Context as _, Result};
use aya::maps::lpm_trie::Key;
use aya::maps::{Array, HashMap, IterableMap, LpmTrie, Map, MapData, PerCpuArray, PerCpuValues, RingBuf};
use aya::util::nr_cpus;
use aya::{Ebpf, Pod};
use knock_common::abi::attempt_filter;
use knock_common::abi::counter::Counter;
use knock_common::abi::event::Event;
use knock_common::abi::flow::{Flow, FlowKey, FlowState};
use knock_common::abi::grant::{Grant, GrantKey, HOST_BITS};
use knock_common::abi::key::LastTimes;
use knock_common::abi::layout::{InterfaceReport, name};
use knock_common::abi::rules::SLOTS;
use knock_common::abi::used::Used;
use knock_common::addr::Addr;
use knock_common::gate::reject::cells::{ERROR_CELLS, cell_of};
use knock_user::kernel::{each_element, read_array, read_per_cpu, write_elements};

use super::sys;
use crate::links;
use crate::memory::ERRORS_KEY;
use crate::packet::HERE;

/// A value that is plain bytes.
#[repr(transparent)]
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plain<T>(pub(crate) T);

macro_rules! plain {
    ($($kind:ty)*) => {
        // SAFETY: made of numbers only, without padding, as the layout asserts.
        $(unsafe impl Pod for Plain<$kind> {})*
    };
}

plain!(Addr FlowKey GrantKey Grant InterfaceReport Used);

/// All maps that a test reads or writes.
pub(super) struct Maps {
    pub(super) clock: Array<MapData, u64>,
    grants: HashMap<MapData, Plain<GrantKey>, Plain<Grant>>,
    flows: HashMap<MapData, Plain<FlowKey>, [u64; 2]>,
    own: LpmTrie<MapData, Plain<Addr>, u32>,
    guests: BTreeSet<IpAddr>,
    used: HashMap<MapData, u64, Plain<Used>>,
    locked: HashMap<MapData, Plain<Addr>, u64>,
    /// Those that are locked out: to look through the table takes longer than to remember them.
    sites: HashSet<Addr>,
    attempts: HashMap<MapData, Plain<Addr>, [u64; SLOTS]>,
    attempt_filter: Array<MapData, u64>,
    budget: PerCpuArray<MapData, u64>,
    errors: MapData,
    last_times: Array<MapData, [u64; LastTimes::WORDS]>,
    wall_clock: Array<MapData, [u64; 2]>,
    /// Slots that something was written to.
    slots: HashSet<u32>,
    tokens: PerCpuArray<MapData, u64>,
    counters: MapData,
    events: RingBuf<MapData>,
    cpus: usize,
}

/// Takes a map out of an object.
pub(super) fn take<T: TryFrom<Map, Error: Into<anyhow::Error>>>(ebpf: &mut Ebpf, name: &str) -> Result<T> {
    let map = ebpf.take_map(name).with_context(|| format!("the object holds no map {name}"))?;
    T::try_from(map).map_err(Into::into).with_context(|| format!("map {name}"))
}

impl Maps {
    pub(super) fn take(ebpf: &mut Ebpf) -> Result<Self> {
        let Some(Map::PerCpuArray(counters)) = ebpf.take_map(name::COUNTERS) else {
            anyhow::bail!("the object holds no map {} of its type", name::COUNTERS);
        };
        let Some(Map::Array(errors)) = ebpf.take_map(name::ERRORS) else {
            anyhow::bail!("the object holds no map {} of its type", name::ERRORS);
        };
        let mut places: HashMap<MapData, u32, Plain<InterfaceReport>> = take(ebpf, name::INTERFACES)?;
        for index in links::ALL {
            let scope = if links::PORTS.contains(&index) { links::BOND } else { 0 };
            places.insert(index, Plain(InterfaceReport { mac: HERE, ttl: 64, hop_limit: 64, scope }), 0)?;
        }
        let mut own: LpmTrie<MapData, Plain<Addr>, u32> = take(ebpf, name::OWN)?;
        own.insert(&Key::new(0, Plain(Addr::ANY)), 1, 0)?;
        Ok(Self {
            flows: take(ebpf, name::FLOWS)?,
            own,
            guests: BTreeSet::new(),
            clock: take(ebpf, name::CLOCK)?,
            grants: take(ebpf, name::GRANTS)?,
            used: take(ebpf, name::SPENT)?,
            locked: take(ebpf, name::LOCKED)?,
            sites: HashSet::new(),
            attempts: take(ebpf, name::ATTEMPTS)?,
            attempt_filter: take(ebpf, name::WATCH)?,
            budget: take(ebpf, name::BUDGET)?,
            errors,
            last_times: take(ebpf, name::LAST_TIMES)?,
            wall_clock: take(ebpf, name::WALL_CLOCK)?,
            slots: HashSet::new(),
            tokens: take(ebpf, name::TOKENS)?,
            counters,
            events: take(ebpf, name::EVENTS)?,
            cpus: nr_cpus().map_err(|(file, error)| anyhow::anyhow!("{file}: {error}"))?,
        })
    }

    pub(super) fn grants(&self) -> Table<GrantKey, Grant> {
        let mut grants = Table::new();
        let each = |key: Plain<GrantKey>, grant: Plain<Grant>| {
            grants.insert(key.0, grant.0);
        };
        each_element(IterableMap::map(&self.grants).fd().as_fd(), each).expect("grants can be read");
        grants
    }

    pub(super) fn put_grant(&mut self, key: GrantKey, grant: Grant) {
        self.grants.insert(Plain(key), Plain(grant), 0).expect("there is room for the grant");
    }

    pub(super) fn put_grants(&mut self, keys: impl Iterator<Item = GrantKey>, grant: Grant) {
        let keys: Vec<_> = keys.map(Plain).collect();
        let values = vec![Plain(grant); keys.len()];
        write_elements(IterableMap::map(&self.grants).fd().as_fd(), &keys, &values).expect("there is room for them");
    }

    pub(super) fn flows(&self) -> Table<FlowKey, FlowState> {
        let mut flows = Table::new();
        let each = |key: Plain<FlowKey>, words: [u64; 2]| {
            flows.insert(key.0, FlowState(words[0]));
        };
        each_element(IterableMap::map(&self.flows).fd().as_fd(), each).expect("flows can be read");
        flows
    }

    pub(super) fn put_flow(&mut self, key: FlowKey, state: FlowState) -> Result<()> {
        const NOEXIST: u64 = 1;
        const _: () = assert!(size_of::<Flow>() == size_of::<[u64; 2]>());
        match self.flows.insert(Plain(key), [state.0, 0], NOEXIST) {
            Err(_) if self.flows.get(&Plain(key), 0).is_ok() => Ok(()),
            result => Ok(result?),
        }
    }

    /// All addresses but these are this host's own.
    pub(super) fn set_guests(&mut self, guests: &BTreeSet<IpAddr>) {
        let key = |guest: &IpAddr| Key::new(HOST_BITS, Plain(Addr::from(*guest)));
        for guest in self.guests.difference(guests) {
            self.own.remove(&key(guest)).expect("guests can be removed");
        }
        for guest in guests.difference(&self.guests) {
            self.own.insert(&key(guest), 0, 0).expect("there is room for guests");
        }
        self.guests.clone_from(guests);
    }

    pub(super) fn used(&self) -> Table<u64, Used> {
        let entries = self.used.iter().map(|entry| entry.expect("used sequences can be read"));
        entries.map(|(key, used)| (key, used.0)).collect()
    }

    pub(super) fn fill_used(&mut self, count: u32) {
        for number in 0..count {
            let nobody = Used { at: 0, source: Addr::ANY, door: 0, reserved: 0 };
            self.used.insert(u64::from(number) + 1, Plain(nobody), 0).expect("there is room");
        }
    }

    pub(super) fn lock_out(&mut self, source: Addr, until: u64) {
        self.locked.insert(Plain(source.site()), until, 0).expect("there is room");
        self.sites.insert(source.site());
    }

    pub(super) fn attempts(&self) -> Table<Addr, [u64; SLOTS]> {
        let entries = self.attempts.iter().map(|entry| entry.expect("attempts can be read"));
        entries.map(|(source, words)| (source.0, words)).collect()
    }

    pub(super) fn attempts_of(&self, source: &Addr) -> [u64; SLOTS] {
        self.attempts.get(&Plain(*source), 0).unwrap_or_default()
    }

    pub(super) fn counters(&self) -> [u64; Counter::COUNT] {
        let values = read_per_cpu(self.counters_fd(), Counter::COUNT as u32, self.cpus).expect("counters can be read");
        let mut sums = [0; Counter::COUNT];
        for (sum, cpus) in sums.iter_mut().zip(values.chunks(self.cpus)) {
            *sum = cpus.iter().sum();
        }
        sums
    }

    fn counters_fd(&self) -> BorrowedFd<'_> {
        self.counters.fd().as_fd()
    }

    pub(super) fn zero_counters(&mut self) {
        let zeros = vec![0; self.cpus];
        for counter in 0..Counter::COUNT as u32 {
            sys::write_array(self.counters_fd(), counter, &zeros).expect("counters can be written");
        }
    }

    pub(super) fn attempt_filter(&self, cell: u32) -> u64 {
        self.attempt_filter.get(&cell, 0).expect("the filter can be read")
    }

    pub(super) fn take_events(&mut self) -> Vec<Event> {
        let mut events = Vec::new();
        while let Some(item) = self.events.next() {
            assert_eq!(item.len(), size_of::<Event>(), "every record is an event");
            // SAFETY: as long as an event, which is made of numbers only.
            events.push(unsafe { item.as_ptr().cast::<Event>().read_unaligned() });
        }
        events
    }

    pub(super) fn set_tokens(&mut self, tokens: u64) {
        let values = PerCpuValues::try_from(vec![tokens; self.cpus]).expect("a value for each CPU");
        self.tokens.set(0, values, 0).expect("tokens can be set");
    }

    pub(super) fn tokens(&self) -> Vec<u64> {
        self.tokens.get(&0, 0).expect("tokens can be read").to_vec()
    }

    pub(super) fn set_wall_clock(&mut self, offset: u64, since: u64) {
        self.wall_clock.set(0, [offset, since], 0).expect("the clock can be set");
    }

    pub(super) fn last_times(&self, slot: u32) -> [u64; LastTimes::WORDS] {
        self.last_times.get(&slot, 0).expect("last times can be read")
    }

    pub(super) fn set_last_times(&mut self, slot: u32, words: [u64; LastTimes::WORDS]) {
        if self.last_times(slot) != words {
            self.last_times.set(slot, words, 0).expect("last times can be written");
            self.slots.insert(slot);
        }
    }

    /// Forgets all, with the ICMP errors that any source has used up.
    pub(super) fn forget(&mut self) {
        self.forget_but_errors();
        let errors = self.errors.fd().as_fd();
        let cells: Vec<u64> = read_array(errors, ERROR_CELLS).expect("the cells can be read");
        for (index, _) in (0..).zip(&cells).filter(|(_, cell)| **cell != 0) {
            sys::write_array(errors, index, &[0]).expect("the cells can be written");
        }
    }

    /// The same where nobody but these sources can have used up errors. To read all cells takes longer than the rest.
    pub(super) fn forget_of(&mut self, sources: impl Iterator<Item = Addr>) {
        self.forget_but_errors();
        for source in sources {
            let cell = cell_of(&source, ERRORS_KEY);
            sys::write_array(self.errors.fd().as_fd(), cell, &[0]).expect("the cells can be written");
        }
    }

    /// Forgets attempts with their part of the filter, the budget, grants, flows, who is locked out, and which one-time
    /// sequences were used.
    fn forget_but_errors(&mut self) {
        let sources: Vec<_> = self.attempts.keys().map(|key| key.expect("attempts can be read")).collect();
        for source in sources {
            self.attempt_filter.set(attempt_filter::cell_of(&source.0), 0, 0).expect("the filter can be written");
            self.attempts.remove(&source).expect("attempts can be removed");
        }
        for key in self.flows().into_keys() {
            self.flows.remove(&Plain(key)).expect("flows can be removed");
        }
        let keys: Vec<_> = self.grants.keys().map(|key| key.expect("grants can be read")).collect();
        for key in keys {
            self.grants.remove(&key).expect("grants can be removed");
        }
        for site in std::mem::take(&mut self.sites) {
            self.locked.remove(&Plain(site)).expect("sources can be removed");
        }
        let keys: Vec<_> = self.used.keys().map(|key| key.expect("used sequences can be read")).collect();
        for key in keys {
            self.used.remove(&key).expect("used sequences can be removed");
        }
        for slot in std::mem::take(&mut self.slots) {
            self.last_times.set(slot, [0; LastTimes::WORDS], 0).expect("last times can be written");
        }
        for budget in 0..2 {
            let zeros = PerCpuValues::try_from(vec![0; self.cpus]).expect("a value for each CPU");
            self.budget.set(budget, zeros, 0).expect("the budget can be set");
        }
    }
}
