//! [`Env`] on BPF maps and helpers.

use core::mem::MaybeUninit;

use aya_ebpf::bindings::{BPF_ANY, BPF_EXIST, BPF_NOEXIST};
use aya_ebpf::helpers::bpf_ktime_get_boot_ns;
use aya_ebpf::maps::lpm_trie;
use knock_common::abi::attempt::Attempts;
use knock_common::abi::counter::Counter;
use knock_common::abi::event::Event;
use knock_common::abi::flow::{Flow, FlowKey};
use knock_common::abi::grant::{Grant, GrantKey, HOST_BITS};
use knock_common::abi::key::{Key, LastTimes, WallClock};
use knock_common::abi::report_budget::Budget;
use knock_common::abi::rules::{Door, Knock, PortRoles, Service};
use knock_common::abi::used::Used;
use knock_common::addr::Addr;
use knock_common::atomic::Atomic64;
use knock_common::gate::env::{Env, Socket};
use knock_common::gate::scratch::Scratch;
use knock_common::packet::Packet;
use knock_common::packet::flags::TcpFlags;

use crate::hook::Hook;
use crate::{explain, globals, interface_report, maps, scratch, sockets};

/// A key of the tries for one address. The kernel reads keys eight octets at a time, and so they are written:
/// a processor that reads what was just written in smaller pieces has to wait for them.
#[repr(C, align(8))]
struct AddrKey {
    before: MaybeUninit<u32>,
    bits: u32,
    addr: [u64; 2],
}

impl AddrKey {
    #[inline(always)]
    fn new(addr: &Addr) -> Self {
        Self { before: MaybeUninit::uninit(), bits: HOST_BITS, addr: addr.halves() }
    }

    #[inline(always)]
    fn key(&self) -> &lpm_trie::Key<Addr> {
        // SAFETY: from `bits` on it is such a key, which is packed: 4 octets, then those of the address.
        unsafe { &*(&raw const self.bits).cast() }
    }
}

/// The maps and helpers, for one frame.
pub struct Kernel<H> {
    hook: H,
}

impl<H: Hook> Kernel<H> {
    #[inline(always)]
    pub const fn new(hook: H) -> Self {
        Self { hook }
    }
}

impl<H: Hook> Env for Kernel<H> {
    type Scratch = &'static Scratch;
    type FlowKey = &'static FlowKey;

    #[inline(always)]
    fn now(&self) -> u64 {
        if globals::test_clock() {
            return maps::CLOCK.get(0).copied().unwrap_or(0);
        }
        // SAFETY: takes nothing and reads a clock (kernel 5.8).
        unsafe { bpf_ktime_get_boot_ns() }
    }

    #[inline(always)]
    fn interface(&self) -> u32 {
        self.hook.interface()
    }

    #[inline(always)]
    fn scope(&self) -> u32 {
        interface_report::scope(self.hook)
    }

    #[inline(always)]
    fn stealth(&self) -> bool {
        globals::stealth()
    }

    #[inline(always)]
    fn verify_checksums(&self) -> bool {
        globals::verify()
    }

    #[inline(always)]
    fn attempt_rate(&self) -> u32 {
        globals::attempt_rate()
    }

    #[inline(always)]
    fn heeds(&self, flags: TcpFlags) -> bool {
        globals::heeds(flags)
    }

    #[inline(always)]
    fn log_denied(&self) -> bool {
        globals::log_denied()
    }

    #[inline(always)]
    fn observes(&self) -> bool {
        globals::observe()
    }

    #[inline(always)]
    fn trial_until(&self) -> u64 {
        globals::trial_until()
    }

    #[inline(always)]
    fn rejects(&self) -> bool {
        globals::reject() != 0
    }

    #[inline(always)]
    fn is_addressed(&self, high: u32, low: u16) -> bool {
        interface_report::of(self.hook).is_some_and(|report| {
            let [a, b, c, d, e, f] = report.mac;
            u32::from_ne_bytes([a, b, c, d]) == high && u16::from_be_bytes([e, f]) == low
        })
    }

    #[inline(always)]
    fn errors(&self, cell: u32) -> Option<&Atomic64> {
        maps::ERRORS.get(cell)
    }

    #[inline(always)]
    fn errors_key(&self) -> [u64; 2] {
        globals::errors_key()
    }

    #[inline(always)]
    fn ports(&self, port: u16) -> PortRoles {
        maps::PORTS.get(u32::from(port)).copied().unwrap_or_default()
    }

    #[inline(always)]
    fn knock(&self, index: u32) -> Option<&Knock> {
        maps::KNOCKS.get(index)
    }

    #[inline(always)]
    fn door(&self, index: u32) -> Option<&Door> {
        maps::DOORS.get(index)
    }

    #[inline(always)]
    fn service(&self, index: u32) -> Option<&Service> {
        maps::SERVICES.get(index)
    }

    #[inline(always)]
    fn trusts(&self, source: &Addr) -> bool {
        globals::has_trusted()
            && maps::TRUST_FILTER.get(0).is_some_and(|filter| filter.may_hold(&source.on_wire()))
            && maps::TRUSTED.get(AddrKey::new(&source.on_wire()).key()).is_some()
    }

    #[inline(always)]
    fn grant(&self, key: &GrantKey) -> Option<Grant> {
        // SAFETY: a plain copy. A value given to another key meanwhile is a whole grant as well.
        unsafe { maps::GRANTS.get(key) }.copied()
    }

    #[inline(always)]
    fn grant_end(&self, key: &GrantKey) -> Option<u64> {
        let [low, high] = key.source.halves();
        let words = [low, high, u64::from(key.service) | u64::from(key.bits) << 32];
        // SAFETY: the words are a key, octet for octet.
        let key: &GrantKey = unsafe { &*(&raw const words).cast() };
        // SAFETY: a plain copy of one word, as above.
        unsafe { maps::GRANTS.get(key) }.map(|grant| grant.until)
    }

    #[inline(always)]
    fn put_grant(&self, key: &GrantKey, grant: &Grant) -> bool {
        maps::GRANTS.insert(key, grant, u64::from(BPF_ANY)).is_ok()
    }

    #[inline(always)]
    fn put_new_grant(&self, key: &GrantKey, grant: &Grant) -> bool {
        maps::GRANTS.insert(key, grant, u64::from(BPF_NOEXIST)).is_ok()
    }

    #[inline(always)]
    fn replace_grant(&self, key: &GrantKey, grant: &Grant) -> bool {
        maps::GRANTS.insert(key, grant, u64::from(BPF_EXIST)).is_ok()
    }

    #[inline(always)]
    fn remove_grant(&self, key: &GrantKey) -> bool {
        maps::GRANTS.remove(key).is_ok()
    }

    #[inline(always)]
    fn flow_key(&self, packet: &Packet) -> Option<&'static FlowKey> {
        let key = maps::FLOW.get_ptr_mut(0)?;
        // SAFETY: this CPU's own value, which nobody else touches before the verdict (see `maps`).
        unsafe {
            *key = packet.flow_key();
            Some(&*key)
        }
    }

    #[inline(always)]
    fn flow(&self, key: &FlowKey) -> Option<&Flow> {
        // SAFETY: its state is only read and swapped. A word that was given to another flow meanwhile is swapped only if
        // it is equal.
        unsafe { maps::FLOWS.get(key) }
    }

    #[inline(always)]
    fn put_flow(&self, key: &FlowKey, flow: Flow) -> bool {
        maps::FLOWS.insert(key, &flow, u64::from(BPF_NOEXIST)).is_ok()
    }

    #[inline(always)]
    fn flow_idle(&self) -> u64 {
        globals::flow_idle()
    }

    #[inline(always)]
    fn is_own(&self, dest: &Addr) -> bool {
        maps::OWN.get(AddrKey::new(dest).key()).is_some_and(|&own| own != 0)
    }

    #[inline(always)]
    fn use_up(&self, key: u64, used: &Used) -> bool {
        maps::SPENT.insert(key, used, u64::from(BPF_NOEXIST)).is_ok()
    }

    #[inline(always)]
    fn locks_out(&self) -> bool {
        globals::lockout()
    }

    #[inline(always)]
    fn locked_until(&self, site: &Addr) -> u64 {
        // SAFETY: a plain copy of one word.
        unsafe { maps::LOCKED.get(site) }.copied().unwrap_or(0)
    }

    #[inline(always)]
    fn attempts(&self, source: &Addr) -> Option<&Attempts> {
        // SAFETY: the value is words that are only read and swapped one by one. A word given to
        // another source meanwhile is an attempt of that source; a swap that expects the old word
        // fails unless it is equal.
        unsafe { maps::ATTEMPTS.get(source) }
    }

    #[inline(always)]
    fn attempts_or_new(&self, source: &Addr) -> Option<&Attempts> {
        if let Some(found) = self.attempts(source) {
            return Some(found);
        }
        // Fails if another CPU was first, which is as good.
        let _ = maps::ATTEMPTS.insert(source, Attempts::default(), u64::from(BPF_NOEXIST));
        self.attempts(source)
    }

    #[inline(always)]
    fn attempt_filter(&self, cell: u32) -> Option<&Atomic64> {
        maps::WATCH.get(cell)
    }

    #[inline(always)]
    fn budget(&self) -> Option<&Budget> {
        maps::BUDGET.get(0)
    }

    #[inline(always)]
    fn takes_tokens(&self) -> bool {
        globals::has_tokens()
    }

    #[inline(always)]
    fn key(&self, id: u32) -> Option<&Key> {
        // SAFETY: only read. A key that is removed meanwhile stays whole until the verdict.
        unsafe { maps::KEYS.get(id) }
    }

    #[inline(always)]
    fn last_times(&self, slot: u32) -> Option<&LastTimes> {
        maps::LAST_TIMES.get(slot)
    }

    #[inline(always)]
    fn wall_clock(&self) -> Option<&WallClock> {
        maps::WALL_CLOCK.get(0)
    }

    #[inline(always)]
    fn door_of(&self, tag: u32) -> Option<u32> {
        // SAFETY: a plain copy of one word.
        unsafe { maps::DOOR_TAGS.get(tag) }.copied()
    }

    #[inline(always)]
    fn token_mask(&self) -> [u64; 2] {
        globals::token_mask()
    }

    #[inline(always)]
    fn token_window(&self) -> u64 {
        globals::token_window()
    }

    #[inline(always)]
    fn token_ahead(&self) -> u64 {
        globals::token_ahead()
    }

    #[inline(always)]
    fn token_budget(&self) -> Option<&Budget> {
        maps::BUDGET.get(1)
    }

    #[inline(always)]
    fn scratch(&self, packet: &Packet) -> Option<Self::Scratch> {
        scratch::with(*packet)
    }

    #[inline(always)]
    fn socket_of(&self, flow: &FlowKey) -> Socket {
        sockets::find(self.hook, flow)
    }

    #[inline(always)]
    fn asks(&self) -> bool {
        explain::asks(self.hook)
    }

    #[inline(always)]
    fn explain(&self, counter: Counter) {
        explain::answer(self.hook, counter);
    }

    #[inline(always)]
    fn count(&self, counter: Counter) {
        if let Some(cell) = maps::COUNTERS.get_ptr_mut(counter as u32) {
            // SAFETY: this CPU's own word, which nobody else touches before the verdict (see `maps`).
            unsafe { *cell = (*cell).wrapping_add(1) };
        }
    }

    #[inline(always)]
    fn tokens(&self) -> Option<&Atomic64> {
        maps::TOKENS.get(0)
    }

    #[inline(always)]
    fn emit(&self, event: &Event) {
        if maps::EVENTS.output::<Event>(event, 0).is_err() {
            self.count(Counter::EventLost);
        }
    }
}
