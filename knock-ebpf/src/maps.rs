//! The maps. Their names are those of `knock_common::abi::layout::name`; their sizes may be changed by
//! the loader.

use core::mem::MaybeUninit;

use aya_ebpf::macros::map;
use aya_ebpf::maps::{Array, HashMap, LpmTrie, LruHashMap, PerCpuArray, RingBuf};
use knock_common::abi::attempt::Attempts;
use knock_common::abi::attempt_filter::ATTEMPT_CELLS;
use knock_common::abi::flow::{Flow, FlowKey};
use knock_common::abi::grant::{Grant, GrantKey};
use knock_common::abi::key::{KEY_SLOTS, Key, LastTimes, MAX_KEYS, WallClock};
use knock_common::abi::layout::{
    COUNTER_ROOM, EVENT_BYTES, InterfaceReport, LAYOUT_WORDS, MAX_ATTEMPTS, MAX_FLOWS, MAX_GRANTS, MAX_INTERFACES,
    MAX_LOCKED, MAX_OWN, MAX_TRUSTED, MAX_USED,
};
use knock_common::abi::report_budget::Budget;
use knock_common::abi::rules::{Door, Knock, MAX_DOORS, MAX_KNOCKS, MAX_SERVICES, PortRoles, Service};
use knock_common::abi::trust_filter::TrustFilter;
use knock_common::abi::used::Used;
use knock_common::addr::Addr;
use knock_common::atomic::Atomic64;
use knock_common::gate::reject::answer::Sheet;
use knock_common::gate::reject::cells::ERROR_CELLS;
use knock_common::gate::scratch::Scratch;

/// `BPF_F_MMAPABLE`.
const MMAPABLE: u32 = 1 << 10;
/// `BPF_F_NO_PREALLOC`.
const NO_PREALLOC: u32 = 1;

// State: pinned, survives the program.

#[map]
pub static GRANTS: HashMap<GrantKey, Grant> = HashMap::with_max_entries(MAX_GRANTS, 0);
/// Changed in place: to write a key that is there may push out another one.
#[map]
pub static FLOWS: LruHashMap<FlowKey, Flow> = LruHashMap::with_max_entries(MAX_FLOWS, 0);
/// Written by user space; value 1 for what is this host's.
#[map]
pub static OWN: LpmTrie<Addr, u32> = LpmTrie::with_max_entries(MAX_OWN, NO_PREALLOC);
/// Filled with `BPF_NOEXIST`: of several CPUs one succeeds.
#[map]
pub static SPENT: HashMap<u64, Used> = HashMap::with_max_entries(MAX_USED, 0);
/// Read here, written by user space.
#[map]
pub static LOCKED: LruHashMap<Addr, u64> = LruHashMap::with_max_entries(MAX_LOCKED, 0);
#[map]
pub static ATTEMPTS: LruHashMap<Addr, Attempts> = LruHashMap::with_max_entries(MAX_ATTEMPTS, 0);
#[map]
pub static WATCH: Array<Atomic64> = Array::with_max_entries(ATTEMPT_CELLS, 0);
#[map]
pub static COUNTERS: PerCpuArray<u64> = PerCpuArray::with_max_entries(COUNTER_ROOM, 0);
#[map]
pub static TOKENS: PerCpuArray<Atomic64> = PerCpuArray::with_max_entries(1, 0);
#[map]
pub static EVENTS: RingBuf = RingBuf::with_byte_size(EVENT_BYTES, 0);
/// By the slot of a key. User space has it in its memory as well, so that it changes single words.
#[map]
pub static LAST_TIMES: Array<LastTimes> = Array::with_max_entries(KEY_SLOTS, MMAPABLE);
#[map]
pub static WALL_CLOCK: Array<WallClock> = Array::with_max_entries(1, MMAPABLE);
/// Read and written by user space only.
#[map]
pub static LAYOUT: Array<u64> = Array::with_max_entries(LAYOUT_WORDS, 0);

// Rules: loaded with the program, never changed under it.

#[map]
pub static PORTS: Array<PortRoles> = Array::with_max_entries(65_536, 0);
#[map]
pub static KNOCKS: Array<Knock> = Array::with_max_entries(MAX_KNOCKS as u32, 0);
#[map]
pub static DOORS: Array<Door> = Array::with_max_entries(MAX_DOORS as u32, 0);
/// Keys by their id. Not quite unchanged: user space may remove one while the program runs.
#[map]
pub static KEYS: HashMap<u32, Key> = HashMap::with_max_entries(MAX_KEYS, NO_PREALLOC);
/// The index of a door by its tag.
#[map]
pub static DOOR_TAGS: HashMap<u32, u32> = HashMap::with_max_entries(MAX_DOORS as u32, NO_PREALLOC);
#[map]
pub static SERVICES: Array<Service> = Array::with_max_entries(MAX_SERVICES as u32, 0);
/// Value 1 for a trusted network.
#[map]
pub static TRUSTED: LpmTrie<Addr, u32> = LpmTrie::with_max_entries(MAX_TRUSTED, NO_PREALLOC);
#[map]
pub static TRUST_FILTER: Array<TrustFilter> = Array::with_max_entries(1, 0);
/// Read and written by user space only.
#[map]
pub static TOLD: Array<u64> = Array::with_max_entries(1, 0);

// Of this load alone.
//
// A per-CPU value is this frame's own from the first instruction to the verdict. No other frame is judged on the CPU
// meanwhile: whoever runs an XDP program has bottom halves disabled, which one task of a CPU can have at a time, with
// PREEMPT_RT by a lock; a hard interrupt or an NMI judges no frame. There are two exceptions:
// - Older kernels leave bottom halves enabled for a test run (`knockctl explain`). A frame that interrupts it is judged
//   as a whole; only the answer of the test run may be spoilt, and it changes nothing.
// - With PREEMPT_RT, and since 6.18 without PREEMPT_RT_NEEDS_BH_LOCK, frames on one CPU preempt one another. The gate
//   is not made for that: see SECURITY.md.

/// New attempts that are told of, and tokens.
#[map]
pub static BUDGET: PerCpuArray<Budget> = PerCpuArray::with_max_entries(2, 0);
/// Enough for all headers but the longest chains of the longest extension headers, which are denied.
pub const COPIED: usize = 2048;
/// The start of a multi-buffer frame.
#[map]
pub static COPY: PerCpuArray<[u8; COPIED]> = PerCpuArray::with_max_entries(1, 0);
/// The packet that is on its way through the long paths.
#[map]
pub static SCRATCH: PerCpuArray<OwnScratch> = PerCpuArray::with_max_entries(1, 0);
/// The key of the flow that is being looked up or written.
#[map]
pub static FLOW: PerCpuArray<FlowKey> = PerCpuArray::with_max_entries(1, 0);
/// By interface index; kept up to date by the loader.
#[map]
pub static INTERFACES: HashMap<u32, InterfaceReport> = HashMap::with_max_entries(MAX_INTERFACES, NO_PREALLOC);
#[map]
pub static ERRORS: Array<Atomic64> = Array::with_max_entries(ERROR_CELLS, 0);
/// The headers of the answer that is being written.
#[map]
pub static SHEET: PerCpuArray<Sheet> = PerCpuArray::with_max_entries(1, 0);
#[map]
pub static CLOCK: Array<u64> = Array::with_max_entries(1, 0);

/// Room for it.
#[repr(transparent)]
pub struct OwnScratch(pub MaybeUninit<Scratch>);

// SAFETY: a per-CPU value; no two CPUs ever see the same one.
unsafe impl Sync for OwnScratch {}
