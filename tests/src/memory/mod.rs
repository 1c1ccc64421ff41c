//! The gate's surroundings in plain memory, so that it runs without a kernel.
//!
//! Everything is shared and changed through `&self`, as maps are: several threads may judge frames
//! in one [`Memory`] at once, and race as CPUs do.

mod answer;
mod beside;
mod env;
mod programs;
mod slots;
mod subject;

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use knock_common::abi::attempt::Attempts;
use knock_common::abi::attempt_filter::ATTEMPT_CELLS;
use knock_common::abi::counter::Counter;
use knock_common::abi::event::Event;
use knock_common::abi::flow::{Flow, FlowKey, FlowState};
use knock_common::abi::grant::{Grant, GrantKey};
use knock_common::abi::key::{LastTimes, WallClock};
use knock_common::abi::report_budget::Budget;
use knock_common::abi::rules::PortRoles;
use knock_common::abi::used::Used;
use knock_common::addr::Addr;
use knock_common::atomic::Atomic64;
use knock_common::gate::Verdict;
use knock_common::gate::reject::cells::ERROR_CELLS;
use knock_common::packet::flags::Segments;

pub use self::beside::Beside;
use self::slots::Slots;
use crate::links;
use crate::model::Sockets;
use crate::tables::Tables;

/// A host with a gate.
#[derive(Debug)]
pub struct Memory {
    tables: Arc<Tables>,
    /// The same ports as in the rules, to be found by number.
    ports: HashMap<u16, PortRoles>,
    /// Which segments to unrelated ports are looked at.
    segments: Segments,
    now: AtomicU64,
    interface: AtomicU32,
    sockets: Mutex<Sockets>,
    grants: Mutex<HashMap<GrantKey, Grant>>,
    max_grants: usize,
    used: Mutex<HashMap<u64, Used>>,
    locked: Mutex<HashMap<Addr, u64>>,
    sources: Slots<Addr, Attempts>,
    flows: Slots<FlowKey, Flow>,
    attempt_filter: Vec<Atomic64>,
    errors: Vec<Atomic64>,
    budget: Budget,
    last_times: Vec<LastTimes>,
    wall_clock: WallClock,
    token_budget: Budget,
    removed: Mutex<HashSet<u32>>,
    tokens: Atomic64,
    counters: [AtomicU64; Counter::COUNT],
    events: Mutex<Vec<Event>>,
    interruption: Mutex<Option<Interruption>>,
    /// The interruption comes at so many look-ups of a door from now; 0: at that of a socket.
    doors_left: AtomicUsize,
    beside: Option<Mutex<Box<dyn Beside>>>,
}

/// The key of the cells of ICMP errors in tests, the same on the host and in the kernel: so they agree on who shares one.
pub const ERRORS_KEY: [u64; 2] = [0x0706_0504_0302_0100, 0x0f0e_0d0c_0b0a_0908];

/// What another CPU does meanwhile.
struct Interruption(Box<dyn FnOnce(&Memory) + Send>);

impl fmt::Debug for Interruption {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Interruption")
    }
}

impl Memory {
    /// Room for sources under way, unless another is asked for.
    pub const MAX_SOURCES: usize = 64;
    /// Room for flows.
    pub const MAX_FLOWS: usize = 128;
    /// Room for keys.
    pub const MAX_KEYS: usize = 16;

    /// A host on which nothing listens and nobody has knocked, at boot.
    #[must_use]
    pub fn new(tables: impl Into<Arc<Tables>>) -> Self {
        let tables = tables.into();
        Self {
            ports: tables.rules.ports.iter().copied().collect(),
            segments: tables.rules.segments(),
            tables,
            now: AtomicU64::new(0),
            interface: AtomicU32::new(links::LO),
            sockets: Mutex::default(),
            grants: Mutex::default(),
            max_grants: usize::MAX,
            used: Mutex::default(),
            locked: Mutex::default(),
            sources: Slots::new(Self::MAX_SOURCES),
            flows: Slots::new(Self::MAX_FLOWS),
            attempt_filter: vec![Atomic64::default(); ATTEMPT_CELLS as usize],
            errors: vec![Atomic64::default(); ERROR_CELLS as usize],
            budget: Budget::default(),
            last_times: (0..Self::MAX_KEYS).map(|_| LastTimes::default()).collect(),
            wall_clock: WallClock::default(),
            token_budget: Budget::default(),
            removed: Mutex::default(),
            tokens: Atomic64::default(),
            counters: [const { AtomicU64::new(0) }; Counter::COUNT],
            events: Mutex::default(),
            interruption: Mutex::default(),
            doors_left: AtomicUsize::new(0),
            beside: None,
        }
    }

    /// The same host with room for that many grants and that many sources under way.
    #[must_use]
    pub fn with_room(mut self, grants: usize, sources: usize) -> Self {
        self.max_grants = grants;
        self.sources = Slots::new(sources);
        self
    }

    /// The same host with these sockets.
    #[must_use]
    pub fn with_sockets(self, sockets: Sockets) -> Self {
        *lock(&self.sockets) = sockets;
        self
    }

    /// The same host with so many denials that may still be logged.
    #[must_use]
    pub fn with_tokens(mut self, tokens: u64) -> Self {
        self.tokens = Atomic64::new(tokens);
        self
    }

    /// The same host with another gate, which must do whatever this one does.
    #[must_use]
    pub fn with_beside(mut self, gate: impl Beside + 'static) -> Self {
        self.beside = Some(Mutex::new(Box::new(gate)));
        self
    }

    /// Room for grants and for sources under way.
    #[must_use]
    pub fn room(&self) -> (usize, usize) {
        (self.max_grants, self.sources.room())
    }

    /// The sockets.
    #[must_use]
    pub fn sockets(&self) -> Sockets {
        lock(&self.sockets).clone()
    }

    /// The rules that are loaded.
    #[must_use]
    pub fn tables(&self) -> &Tables {
        &self.tables
    }

    /// Loads other rules; attempts, grants and counters stay, as they do in pinned maps.
    pub fn reload(&mut self, tables: impl Into<Arc<Tables>>) {
        self.tables = tables.into();
        self.ports = self.tables.rules.ports.iter().copied().collect();
        self.segments = self.tables.rules.segments();
        lock(&self.removed).clear();
    }

    /// Sets the clock, boot time in ns.
    pub fn set_now(&self, now: u64) {
        self.now.store(now, Relaxed);
    }

    /// Sets the index of the interface on which frames come: one of [`links::ALL`].
    pub fn set_interface(&self, interface: u32) {
        self.interface.store(interface, Relaxed);
    }

    /// Changes the sockets.
    pub fn change_sockets(&self, change: impl FnOnce(&mut Sockets)) {
        change(&mut lock(&self.sockets));
    }

    /// Does something at the next socket look-up, before its answer: a race that is always lost.
    pub fn interrupt(&self, meanwhile: impl FnOnce(&Self) + Send + 'static) {
        *lock(&self.interruption) = Some(Interruption(Box::new(meanwhile)));
    }

    /// The same at a look-up of a door, the first of which is number 1. An attempt is read before its door is looked up,
    /// and changed after it.
    pub fn interrupt_at_door(&self, number: usize, meanwhile: impl FnOnce(&Self) + Send + 'static) {
        self.interrupt(meanwhile);
        self.doors_left.store(number, Relaxed);
    }

    /// Lets happen what was to happen meanwhile.
    fn be_interrupted(&self) {
        let interruption = lock(&self.interruption).take();
        if let Some(Interruption(meanwhile)) = interruption {
            meanwhile(self);
        }
    }

    /// Gives each key its slot of last times, as the loader does, and says what the wall clock is ahead of boot time, and
    /// since when last times are noted, both in ns.
    ///
    /// # Panics
    ///
    /// If there are more than [`Self::MAX_KEYS`] keys.
    #[must_use]
    pub fn with_keys(mut self, offset: u64, since: u64) -> Self {
        for (id, key) in &self.tables.rules.keys {
            self.last_times[key.slot as usize] = LastTimes::of(*id);
        }
        self.wall_clock = WallClock { offset: Atomic64::new(offset), since: Atomic64::new(since) };
        self
    }

    /// When the key with this slot was last used.
    #[must_use]
    pub fn last_times_of(&self, slot: usize) -> &LastTimes {
        &self.last_times[slot]
    }

    /// All of them.
    #[must_use]
    pub fn all_last_times(&self) -> &[LastTimes] {
        &self.last_times
    }

    /// What the wall clock is ahead of boot time, to be changed.
    #[must_use]
    pub const fn clock(&self) -> &WallClock {
        &self.wall_clock
    }

    /// Removes a key, as `key rm` does while the program runs.
    pub fn remove_key(&self, id: u32) {
        lock(&self.removed).insert(id);
    }

    /// All keys that were removed.
    #[must_use]
    pub fn removed_keys(&self) -> HashSet<u32> {
        lock(&self.removed).clone()
    }

    /// Judges one frame.
    pub fn judge(&self, frame: &[u8]) -> Verdict {
        let Some(beside) = &self.beside else { return self.judge_one(frame) };
        let mut beside = lock(beside);
        beside.before(self);
        let verdict = self.judge_one(frame);
        beside.after(self, frame, verdict);
        verdict
    }

    /// Writes a grant, as `knockctl allow` does.
    pub fn allow(&self, key: GrantKey, grant: Grant) {
        lock(&self.grants).insert(key, grant);
    }

    /// Locks a source's site out until this boot time in ns, as the daemon does.
    pub fn lock_out(&self, source: impl Into<Addr>, until: u64) {
        lock(&self.locked).insert(source.into().site(), until);
    }

    /// All sites that are locked out, and until when.
    #[must_use]
    pub fn locked(&self) -> HashMap<Addr, u64> {
        lock(&self.locked).clone()
    }

    /// All grants, live or not.
    #[must_use]
    pub fn grants(&self) -> HashMap<GrantKey, Grant> {
        lock(&self.grants).clone()
    }

    /// Writes a flow that stands already, as the loader does at the start. False if it is there.
    pub fn take_over(&self, key: FlowKey, state: FlowState) -> bool {
        self.flows.put(&key, Flow::new(state, 0))
    }

    /// All flows that are stored, live or not.
    #[must_use]
    pub fn all_flows(&self) -> HashMap<FlowKey, FlowState> {
        self.flows.iter().map(|(key, flow)| (*key, FlowState(flow.state.load()))).collect()
    }

    /// All attempts that are stored, live or not.
    #[must_use]
    pub fn all_attempts(&self) -> Vec<(Addr, Attempts)> {
        self.sources.iter().map(|(source, attempts)| (*source, attempts.clone())).collect()
    }

    /// The counter.
    #[must_use]
    pub fn counter(&self, counter: Counter) -> u64 {
        self.counters[counter as usize].load(Relaxed)
    }

    /// The events but for the first `known`, and how many there are.
    #[must_use]
    pub fn events_after(&self, known: usize) -> (Vec<Event>, usize) {
        let events = lock(&self.events);
        (events.get(known..).unwrap_or_default().to_vec(), events.len())
    }

    /// Takes the events that have come since the last call.
    #[must_use]
    pub fn take_events(&self) -> Vec<Event> {
        std::mem::take(&mut lock(&self.events))
    }
}

/// What a test that failed in another thread left behind is still whole.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
