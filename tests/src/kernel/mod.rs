//! The real program in this kernel, attached nowhere and pinned nowhere: frames go through it by
//! `BPF_PROG_TEST_RUN`, time is what a test says, and every map can be seen.

mod bare;
mod beside;
pub mod crowd;
mod loaded;
mod maps;
mod namespace;
mod pool;
mod records;
mod run;
mod sockets;
mod sys;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::IpAddr;
use std::os::fd::{AsFd as _, BorrowedFd};

use anyhow::{Result, bail};
use aya::maps::{MapData, MapError};
use aya::programs::ProgramFd;
use knock_common::abi::attempt_filter;
use knock_common::abi::counter::Counter;
use knock_common::abi::event::Event;
use knock_common::abi::flow::{FlowKey, FlowState};
use knock_common::abi::grant::{Grant, GrantKey};
use knock_common::abi::key::{Key, LastTimes};
use knock_common::abi::layout::name;
use knock_common::abi::rules::{Door, SLOTS};
use knock_common::abi::used::Used;
use knock_common::addr::Addr;
use knock_common::gate::Verdict;
use knock_user::kernel::{Load, Program, Settings};
use knock_user::rules::RuleSet;

use crate::agree::Subject;
use crate::links;
use crate::memory;
use crate::tables::Tables;

pub use bare::Bare;
pub use beside::KernelBeside;
pub use crowd::Crowd;
pub use loaded::Loaded;
pub use namespace::{alone, enter_network, stay_on_cpu};
pub use pool::{Pool, spacious};
pub use records::put_records;
pub use run::{LEAST, LINEAR, Ran, Run};
pub use sockets::{DEFER_ACCEPT, RealSockets, set_tcp_option};

use maps::Maps;
pub(crate) use maps::Plain;

/// `XDP_DROP`.
pub const XDP_DROP: u32 = 1;
/// `XDP_PASS`.
pub const XDP_PASS: u32 = 2;
/// `XDP_TX`.
pub const XDP_TX: u32 = 3;

/// How much fits into the maps.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Room {
    /// `max_grants`.
    pub grants: u32,
    /// `max_attempts`.
    pub attempts: u32,
    /// `max_flows`.
    pub flows: u32,
}

impl Default for Room {
    fn default() -> Self {
        Self { grants: 4096, attempts: 4096, flows: 4096 }
    }
}

/// A loaded program.
pub struct Kernel {
    program: Program,
    fd: ProgramFd,
    maps: Maps,
}

impl Kernel {
    /// Loads the program as `knockctl run` does, but for its clock.
    ///
    /// # Errors
    ///
    /// As [`Program::load_as`].
    pub fn load(tables: &Tables, room: Room) -> Result<Self> {
        Self::load_as(name::PROGRAM, tables, room)
    }

    /// Loads one of the programs of the object.
    ///
    /// # Errors
    ///
    /// As [`Program::load_as`].
    pub fn load_as(name: &'static str, tables: &Tables, room: Room) -> Result<Self> {
        Self::load_with(name, &tables.rules, settings(tables, room))
    }

    /// Loads one of the programs with these constants.
    ///
    /// # Errors
    ///
    /// As [`Program::load_as`].
    pub fn load_with(name: &'static str, rules: &RuleSet, settings: Settings) -> Result<Self> {
        let mut program = Program::load_as(&Load { rules, settings, adopted: &BTreeMap::new() }, name)?;
        let maps = Maps::take(&mut program.ebpf)?;
        let fd = program.xdp().fd()?.try_clone()?;
        Ok(Self { program, fd, maps })
    }

    /// Puts other rules into the maps of the loaded program, as a reload does. The constants stay.
    ///
    /// # Errors
    ///
    /// If they need a larger map than those that it was loaded with.
    pub fn replace_rules(&mut self, rules: &RuleSet) -> Result<()> {
        self.program.write_rules(rules)
    }

    /// The program.
    #[must_use]
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }

    /// Sets the program's clock, boot time in ns.
    ///
    /// # Panics
    ///
    /// If the kernel refuses what it never does, as in all of these.
    pub fn set_now(&mut self, now: u64) {
        self.maps.clock.set(0, now, 0).expect("the clock can be set");
    }

    /// The verdict on a frame.
    ///
    /// # Errors
    ///
    /// If the kernel does not run it, for being shorter than [`LEAST`] octets for one.
    pub fn judge_frame(&self, frame: &[u8]) -> Result<Verdict> {
        self.judge_on(links::LO, frame)
    }

    /// The verdict on a frame that comes on an interface of [`links::ALL`].
    ///
    /// # Errors
    ///
    /// As [`Self::judge_frame`].
    pub fn judge_on(&self, interface: u32, frame: &[u8]) -> Result<Verdict> {
        verdict(Run::new(frame).on_interface(interface).on(self.fd())?.action)
    }

    /// The verdict on a frame of which only the first `linear` octets lie in the first buffer.
    ///
    /// # Errors
    ///
    /// If the kernel cannot, which Linux 6.18 can.
    pub fn judge_split(&self, frame: &[u8], linear: usize) -> Result<Verdict> {
        verdict(Run::new(frame).split_at(linear).on(self.fd())?.action)
    }

    /// All grants, live or not.
    #[must_use]
    pub fn all_grants(&self) -> HashMap<GrantKey, Grant> {
        self.maps.grants()
    }

    /// One-time sequences that were used.
    #[must_use]
    pub fn all_used(&self) -> HashMap<u64, Used> {
        self.maps.used()
    }

    /// Notes so many sequences as used that no door has.
    ///
    /// # Panics
    ///
    /// If there is no room.
    pub fn fill_used(&mut self, count: u32) {
        self.maps.fill_used(count);
    }

    /// The doors that are loaded.
    #[must_use]
    pub fn doors(&self) -> &[Door] {
        &self.program.rules().doors
    }

    /// Writes a grant, as `knockctl allow` does.
    ///
    /// # Panics
    ///
    /// If there is no room.
    pub fn allow(&mut self, key: GrantKey, grant: Grant) {
        self.maps.put_grant(key, grant);
    }

    /// Writes many grants of one kind.
    ///
    /// # Panics
    ///
    /// If there is no room.
    pub fn allow_all(&mut self, keys: impl Iterator<Item = GrantKey>, grant: Grant) {
        self.maps.put_grants(keys, grant);
    }

    /// Locks a source's site out until this boot time in ns, as the daemon does.
    pub fn lock_out(&mut self, source: Addr, until: u64) {
        self.maps.lock_out(source, until);
    }

    /// Writes a flow that stands already, as the loader does at the start, unless it is there.
    ///
    /// # Errors
    ///
    /// If the kernel takes it not.
    pub fn take_over(&mut self, key: FlowKey, state: FlowState) -> Result<()> {
        self.maps.put_flow(key, state)
    }

    /// All flows that are stored, live or not.
    #[must_use]
    pub fn all_flows(&self) -> HashMap<FlowKey, FlowState> {
        self.maps.flows()
    }

    /// Makes every address this host's own but these.
    pub fn set_guests(&mut self, guests: &BTreeSet<IpAddr>) {
        self.maps.set_guests(guests);
    }

    /// All attempts that are stored, live or not.
    #[must_use]
    pub fn all_attempts(&self) -> HashMap<Addr, [u64; SLOTS]> {
        self.maps.attempts()
    }

    /// The attempts of a source.
    #[must_use]
    pub fn attempts_of(&self, source: &Addr) -> [u64; SLOTS] {
        self.maps.attempts_of(source)
    }

    /// All counters, summed over the CPUs, in the order of [`Counter::ALL`].
    #[must_use]
    pub fn all_counters(&self) -> [u64; Counter::COUNT] {
        self.maps.counters()
    }

    /// Takes the events that have come since the last call.
    #[must_use]
    pub fn take_events(&mut self) -> Vec<Event> {
        self.maps.take_events()
    }

    /// Sets how many denials may still be logged on each CPU.
    pub fn set_tokens(&mut self, tokens: u64) {
        self.maps.set_tokens(tokens);
    }

    /// Denials that may still be logged, on each CPU.
    #[must_use]
    pub fn tokens(&self) -> Vec<u64> {
        self.maps.tokens()
    }

    /// Says what the wall clock is ahead of boot time, and since when last times are noted.
    pub fn set_wall_clock(&mut self, offset: u64, since: u64) {
        self.maps.set_wall_clock(offset, since);
    }

    /// Writes the last times of a slot, unless they are there.
    pub fn set_last_times(&mut self, slot: u32, times: &LastTimes) {
        self.maps.set_last_times(slot, times.words());
    }

    /// The last times of a slot, word by word.
    #[must_use]
    pub fn last_times(&self, slot: u32) -> [u64; LastTimes::WORDS] {
        self.maps.last_times(slot)
    }

    /// Removes a key, as `key rm` does while the program runs.
    ///
    /// # Panics
    ///
    /// If the kernel refuses.
    pub fn remove_key(&mut self, id: u32) {
        let keys: Result<aya::maps::HashMap<&mut MapData, u32, [u64; size_of::<Key>() / 8]>, _> =
            self.program.map(name::KEYS).try_into();
        match keys.expect("a table of hashes").remove(&id) {
            Ok(()) => {}
            Err(MapError::SyscallError(error)) if error.io_error.raw_os_error() == Some(nix::libc::ENOENT) => {}
            Err(error) => panic!("keys can be removed: {error}"),
        }
    }

    /// The filter's cell for a source.
    #[must_use]
    pub fn attempt_filter_of(&self, source: &Addr) -> u64 {
        self.maps.attempt_filter(attempt_filter::cell_of(source))
    }

    /// Forgets all attempts, grants, events and counts, as if it were just loaded.
    pub fn reset(&mut self) {
        self.maps.forget();
        self.maps.zero_counters();
        let _ = self.maps.take_events();
    }

    /// Forgets all attempts, grants and flows, and the ICMP errors that these sources have used up.
    pub fn forget_of(&mut self, sources: impl IntoIterator<Item = Addr>) {
        self.maps.forget_of(sources.into_iter());
    }

    /// Forgets all attempts and grants.
    pub fn forget(&mut self) {
        self.maps.forget();
    }
}

/// The constants of `tables`, and the clock of a test.
#[must_use]
pub const fn settings(tables: &Tables, room: Room) -> Settings {
    Settings {
        stealth: tables.stealth,
        flow_idle: tables.flow_idle,
        verify_checksums: tables.verify_checksums,
        attempt_rate: tables.attempt_rate,
        log_denied: tables.log_denied,
        lockout: tables.lockout,
        reject: if tables.reject { 0x1234_5677 } else { 0 },
        errors_key: memory::ERRORS_KEY,
        tokens: tables.tokens,
        observe: tables.observe,
        trial_until: tables.trial_until,
        trace: false,
        max_grants: room.grants,
        max_attempts: room.attempts,
        max_flows: room.flows,
        test_clock: true,
    }
}

/// The verdict behind an action.
fn verdict(action: u32) -> Result<Verdict> {
    Ok(match action {
        XDP_PASS => Verdict::Pass,
        XDP_DROP => Verdict::Deny,
        XDP_TX => Verdict::Reject,
        other => bail!("the program returned {other}, which is none of XDP_PASS, XDP_DROP and XDP_TX"),
    })
}

impl Subject for Kernel {
    fn judge(&mut self, now: u64, interface: u32, frame: &[u8]) -> Verdict {
        self.set_now(now);
        self.judge_on(interface, frame).expect("the kernel runs the program")
    }

    fn attempts(&mut self, source: &Addr) -> [u64; SLOTS] {
        self.attempts_of(source)
    }

    fn grants(&mut self) -> Vec<(GrantKey, Grant)> {
        self.all_grants().into_iter().collect()
    }

    fn flows(&mut self) -> Vec<(FlowKey, FlowState)> {
        self.all_flows().into_iter().collect()
    }

    fn counters(&mut self) -> Vec<u64> {
        self.all_counters().to_vec()
    }
}
