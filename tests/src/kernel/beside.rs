//! The program in the kernel beside the host build: every frame goes through both, and whatever can
//! be seen of one must be seen of the other.

use std::cell::{Cell, RefCell};
use std::collections::{HashMap, HashSet};
use std::fmt;
use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;

use anyhow::Result;
use knock_common::abi::counter::Counter;
use knock_common::abi::flow::FlowKey;
use knock_common::abi::rules::{PortRole, Role, SLOTS};
use knock_common::addr::Addr;
use knock_common::gate::Verdict;
use knock_common::gate::env::Env as _;

use super::{Kernel, LEAST, LINEAR, Pool, RealSockets, Room, enter_network, stay_on_cpu};
use crate::memory::{Beside, Memory};
use crate::tables::Tables;

/// A program from the pool of this process, taken at the first frame.
pub struct KernelBeside {
    addresses: Vec<IpAddr>,
    running: Option<Running>,
}

struct Running {
    kernel: Kernel,
    tables: Tables,
    room: Room,
    /// Events before the frame.
    known: usize,
    /// Flows that the kernel has been given, or has noted itself.
    flows: HashSet<FlowKey>,
}

static POOL: Mutex<Option<Pool>> = Mutex::new(None);

thread_local! {
    static IS_IN: Cell<bool> = const { Cell::new(false) };
    /// Those of the namespace that this thread is in, whichever host was asked last.
    static SOCKETS: RefCell<RealSockets> = RefCell::default();
}

/// Counters of what changes grants or attempts.
const CHANGES: [Counter; 10] = [
    Counter::AttemptStarted,
    Counter::AttemptAdvanced,
    Counter::AttemptEnded,
    Counter::GrantOpened,
    Counter::GrantExtended,
    Counter::GrantClosed,
    Counter::GrantRefused,
    Counter::TokenOpened,
    Counter::TokenExtended,
    Counter::TokenClosed,
];

/// Counters of what changes flows.
const FLOWS: [Counter; 4] = [Counter::PassFlow, Counter::PassGranted, Counter::PassTrusted, Counter::FlowLost];

impl KernelBeside {
    /// A program for a host with these addresses.
    #[must_use]
    pub fn new(addresses: &[IpAddr]) -> Self {
        Self { addresses: addresses.to_vec(), running: None }
    }

    fn give_back(&mut self) {
        if let Some(running) = self.running.take() {
            pool().get_or_insert_default().put(&running.tables, running.room, running.kernel);
        }
    }
}

impl Running {
    fn begin(memory: &Memory, addresses: &[IpAddr]) -> Result<Self> {
        enter_once(addresses)?;
        let room = Room { grants: memory.room().0.min(Room::default().grants as usize) as u32, ..Room::default() };
        let tables = memory.tables().clone();
        let kernel = pool().get_or_insert_default().take(&tables, room)?;
        Ok(Self { kernel, tables, room, known: 0, flows: HashSet::new() })
    }

    /// Takes over what a test has changed since the last frame.
    fn follow(&mut self, memory: &Memory) -> Result<()> {
        SOCKETS.with_borrow_mut(|sockets| sockets.become_like(&memory.sockets()))?;
        if self.tables != *memory.tables() {
            self.tables = memory.tables().clone();
            self.kernel.replace_rules(&self.tables.rules)?;
        }
        self.kernel.set_now(memory.now());
        self.kernel.set_tokens(memory.tokens().map_or(0, knock_common::atomic::Atomic64::load));
        let stored = self.kernel.all_grants();
        for (key, grant) in memory.grants() {
            if stored.get(&key) != Some(&grant) {
                self.kernel.allow(key, grant);
            }
        }
        self.kernel.set_guests(&memory.sockets().guests);
        for (key, state) in memory.all_flows() {
            if self.flows.insert(key) {
                self.kernel.take_over(key, state)?;
            }
        }
        if !memory.tables().rules.keys.is_empty() {
            let clock = memory.clock();
            self.kernel.set_wall_clock(clock.offset.load(), clock.since.load());
            for (slot, times) in (0..).zip(memory.all_last_times()) {
                self.kernel.set_last_times(slot, times);
            }
            for id in memory.removed_keys() {
                self.kernel.remove_key(id);
            }
        }
        for (source, until) in memory.locked() {
            self.kernel.lock_out(source, until);
        }
        self.known = memory.events_after(usize::MAX).1;
        Ok(())
    }

    fn compare(&mut self, memory: &Memory, frame: &[u8], verdict: Verdict) -> Result<()> {
        let before = self.kernel.all_counters();
        assert_eq!(self.kernel.judge_on(memory.interface(), frame)?, verdict, "{frame:02x?}");
        let counters = self.kernel.all_counters();
        for (counter, found) in Counter::ALL.iter().zip(counters) {
            assert_eq!(found, memory.counter(*counter), "{} in the kernel, and in memory", counter.name());
        }
        let events = memory.events_after(self.known).0;
        assert_eq!(self.kernel.take_events(), events, "events in the kernel, and in memory");
        if !memory.tables().rules.keys.is_empty() {
            for (slot, times) in (0..).zip(memory.all_last_times()) {
                assert_eq!(self.kernel.last_times(slot), times.words(), "last times in the kernel, and in memory");
            }
        }
        if CHANGES.iter().any(|counter| before[*counter as usize] != counters[*counter as usize]) {
            assert_eq!(self.kernel.all_grants(), memory.grants(), "grants in the kernel, and in memory");
            assert_eq!(self.kernel.all_attempts(), attempts(memory), "attempts in the kernel, and in memory");
        }
        if FLOWS.iter().any(|counter| before[*counter as usize] != counters[*counter as usize]) {
            assert_eq!(self.kernel.all_flows(), memory.all_flows(), "flows in the kernel, and in memory");
        }
        Ok(())
    }
}

impl Beside for KernelBeside {
    fn before(&mut self, memory: &Memory) {
        // A small table takes no new source in memory, while the kernel's forgets an old one. And rules
        // that a test has torn have slots that memory lacks, while the kernel's are zeroed.
        if memory.room().1 < Memory::MAX_SOURCES || !is_whole(memory.tables()) {
            self.give_back();
            return;
        }
        if self.running.is_none() {
            self.running = Some(Running::begin(memory, &self.addresses).expect("the program can be loaded"));
        }
        if let Some(running) = &mut self.running {
            running.follow(memory).expect("the kernel can be given what the host has");
        }
    }

    fn after(&mut self, memory: &Memory, frame: &[u8], verdict: Verdict) {
        // Others the kernel cannot run, or spreads over buffers.
        if let Some(running) = &mut self.running
            && (LEAST..=LINEAR).contains(&frame.len())
        {
            running.compare(memory, frame, verdict).expect("the kernel runs the program");
        }
    }
}

/// True if every slot that a port or a door names is there, as in all rules that come from a config.
fn is_whole(tables: &Tables) -> bool {
    let rules = &tables.rules;
    let role_is_there = |role: PortRole| match role.role() {
        Role::Unrelated | Role::Token => true,
        Role::Knock(index) => (index as usize) < rules.knocks.len(),
        Role::Protected(index) => (index as usize) < rules.services.len(),
    };
    let doors = rules.knocks.iter().flat_map(|knock| knock.starts).all(|door| usize::from(door) <= rules.doors.len());
    doors && rules.ports.iter().all(|(_, roles)| role_is_there(roles.tcp) && role_is_there(roles.udp))
}

fn attempts(memory: &Memory) -> HashMap<Addr, [u64; SLOTS]> {
    let words = |slot: usize, attempts: &knock_common::abi::attempt::Attempts| attempts.slots[slot].load();
    let all = memory.all_attempts().into_iter();
    all.map(|(source, attempts)| (source, std::array::from_fn(|slot| words(slot, &attempts)))).collect()
}

impl Drop for KernelBeside {
    fn drop(&mut self) {
        self.give_back();
    }
}

impl fmt::Debug for KernelBeside {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("KernelBeside")
    }
}

/// What a test that failed left behind is put in order when it is taken.
fn pool() -> MutexGuard<'static, Option<Pool>> {
    POOL.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Each thread gets a network namespace and a CPU once.
fn enter_once(addresses: &[IpAddr]) -> Result<()> {
    static THREADS: AtomicUsize = AtomicUsize::new(0);
    if IS_IN.get() {
        return Ok(());
    }
    enter_network(addresses)?;
    let cpus = thread::available_parallelism()?.get();
    stay_on_cpu(THREADS.fetch_add(1, Relaxed) % cpus)?;
    IS_IN.set(true);
    Ok(())
}
