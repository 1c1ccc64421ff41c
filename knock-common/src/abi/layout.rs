//! Map names, sizes and the layout version: what the loader and the program must agree on.

use core::mem::{align_of, size_of};

use crate::abi::attempt::Attempts;
use crate::abi::counter::Counter;
use crate::abi::event::Event;
use crate::abi::flow::{Flow, FlowKey};
use crate::abi::grant::{Grant, GrantKey};
use crate::abi::key::{Key, LastTimes, WallClock};
use crate::abi::rules::{Door, Knock, PortRoles, Service};
use crate::abi::trust_filter::TrustFilter;
use crate::abi::used::Used;

/// Raised whenever a pinned map's key, value or meaning changes.
///
/// A version takes the grants of another layout over where it can. So that it can, grants and notes of
/// used sequences ([`Used`]) keep their keys, fields are only ever added behind those that are there, and
/// a field that is zero means what a version without it would have done. A layout that has to break this
/// raises [`OLDEST_KNOWN`] and [`READABLE_FROM`] to itself.
pub const LAYOUT_VERSION: u64 = if cfg!(feature = "layout-next") { 7 } else { 6 };

/// The oldest layout whose grants this version can take over.
pub const OLDEST_KNOWN: u64 = 1;

/// The oldest layout whose versions may take over grants that this one has written, by leaving out what they do
/// not know. A grant that says less must never let more in: raise it with a field that narrows grants.
pub const READABLE_FROM: u64 = 1;

/// Entries of the `LAYOUT` map: [`LAYOUT_VERSION`], then [`READABLE_FROM`], which layouts before 4 had not.
pub const LAYOUT_WORDS: u32 = 2;

/// Entries of the `COUNTERS` map: those of [`crate::abi::counter::Counter`], and room for others, which then need no other
/// layout.
pub const COUNTER_ROOM: u32 = 128;
/// Octets of the ring buffer.
pub const EVENT_BYTES: u32 = 256 * 1024;
/// Default of `max_grants`.
pub const MAX_GRANTS: u32 = 65_536;
/// Default of `max_attempts`.
pub const MAX_ATTEMPTS: u32 = 65_536;
/// Default of `max_flows`.
pub const MAX_FLOWS: u32 = 65_536;
/// Prefixes of this host's addresses.
pub const MAX_OWN: u32 = 65_536;
/// One-time sequences that were used and are not yet marked in their files.
pub const MAX_USED: u32 = 1024;
/// Sites that are locked out at once; beyond, the one that was asked for longest ago is let off.
pub const MAX_LOCKED: u32 = 16_384;
/// Trusted networks in one config.
pub const MAX_TRUSTED: u32 = 1024;

/// Interfaces of which the program can be told.
pub const MAX_INTERFACES: u32 = 4096;

/// What the program is told of an interface: what the answer of a closed port takes from it, and to whose link it belongs.
/// Key: interface index.
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct InterfaceReport {
    /// Its MAC; zeroes for a device without.
    pub mac: [u8; 6],
    /// Time to live of IPv4.
    pub ttl: u8,
    /// Hop limit of IPv6.
    pub hop_limit: u8,
    /// Index of the bond or team that it is a port of: link-local sources belong there. 0: to the interface itself.
    pub scope: u32,
}

/// Bit of [`name::TOLD`]: nothing is denied, what would be is counted and logged.
pub const STATUS_OBSERVE: u64 = 1;
/// Bit of [`name::TOLD`]: what is denied is answered as a closed port would answer it.
pub const STATUS_REJECT: u64 = 2;

/// From this bit of [`name::TOLD`] on: `flow_idle` in s, rounded up.
pub const STATUS_FLOW_IDLE: u32 = 32;

/// A frame with these eight octets of metadata before it asks what decides on it: this word, then one
/// that becomes the number of a [`crate::abi::counter::Counter`] + 1. No driver puts them there, and no
/// frame from a wire can.
pub const QUESTION: u32 = 0x3f3f_6b6e;

/// Names of the program, of its maps and of its load-time constants, as in the object file.
pub mod name {
    /// The program, for kernels that know multi-buffer frames (5.18).
    pub const PROGRAM: &str = "knock_gate";
    /// The program without multi-buffer frames.
    pub const PROGRAM_LINEAR: &str = "knock_linear";
    /// The same for interfaces whose frames begin with the IP header.
    pub const PROGRAM_RAW: &str = "knock_raw";
    /// That without multi-buffer frames.
    pub const PROGRAM_RAW_LINEAR: &str = "knock_raw_linear";

    /// Pinned: grants.
    pub const GRANTS: &str = "GRANTS";
    /// Pinned: connections that were let in.
    pub const FLOWS: &str = "FLOWS";
    /// Pinned: the addresses of this host. Written by the daemon.
    pub const OWN: &str = "OWN";
    /// Pinned: attempts under way.
    pub const ATTEMPTS: &str = "ATTEMPTS";
    /// Pinned: the filter in front of the attempts.
    pub const WATCH: &str = "WATCH";
    /// Pinned: counters.
    pub const COUNTERS: &str = "COUNTERS";
    /// Pinned: the ring buffer.
    pub const EVENTS: &str = "EVENTS";
    /// Pinned: one-time sequences that were used.
    pub const SPENT: &str = "SPENT";
    /// Pinned: [sites](crate::addr::Addr::site) that are locked out, and until when. Written by the daemon.
    pub const LOCKED: &str = "LOCKED";
    /// Pinned: [`super::LAYOUT_VERSION`] and [`super::READABLE_FROM`].
    pub const LAYOUT: &str = "LAYOUT";
    /// Pinned: denials that may still be logged, refilled by the daemon.
    pub const TOKENS: &str = "TOKENS";
    /// Pinned, over all layouts: when each key was last used.
    pub const LAST_TIMES: &str = "LAST_TIMES";
    /// Pinned, over all layouts: what the wall clock is ahead of boot time. Written by the daemon.
    pub const WALL_CLOCK: &str = "WALL_CLOCK";
    /// Rules: keys by their id. `key rm` removes one while the program runs.
    pub const KEYS: &str = "KEYS";
    /// Rules: the index of each door by its tag.
    pub const DOOR_TAGS: &str = "DOOR_TAGS";
    /// Rules: what each port is.
    pub const PORTS: &str = "PORTS";
    /// Rules: what each knock port means to each door.
    pub const KNOCKS: &str = "KNOCKS";
    /// Rules: doors.
    pub const DOORS: &str = "DOORS";
    /// Rules: services.
    pub const SERVICES: &str = "SERVICES";
    /// Rules: trusted networks.
    pub const TRUSTED: &str = "TRUSTED";
    /// Rules: the [filter](crate::abi::trust_filter::TrustFilter) in front of the trusted networks.
    pub const TRUST_FILTER: &str = "TRUST_FILTER";
    /// Rules: how the program was loaded, for user space to read: bits such as [`super::STATUS_OBSERVE`].
    pub const TOLD: &str = "TOLD";
    /// Per load: new attempts in this second.
    pub const BUDGET: &str = "BUDGET";
    /// Per load: what an answer is sent with, by interface index.
    pub const INTERFACES: &str = "INTERFACES";
    /// Per load: how long ICMP errors are used up, by [cell](crate::gate::reject::cells).
    pub const ERRORS: &str = "ERRORS";
    /// Per load: the clock of a test.
    pub const CLOCK: &str = "CLOCK";

    /// u32, 0 or 1: look connections up.
    pub const STEALTH: &str = "STEALTH";
    /// u64: `flow_idle` in ns.
    pub const FLOW_IDLE: &str = "FLOW_IDLE";
    /// u32, 0 or 1: verify the checksums of knocks.
    pub const VERIFY: &str = "VERIFY";
    /// u32, 0 or 1: there are trusted networks.
    pub const HAS_TRUSTED: &str = "HAS_TRUSTED";
    /// u32: new attempts per second and CPU that are told of.
    pub const ATTEMPT_RATE: &str = "ATTEMPT_RATE";
    /// u64: which segments to unrelated ports may end an attempt ([`crate::abi::flags::Segments`]).
    pub const SEGMENTS: &str = "SEGMENTS";
    /// u32, 0 or 1: emit an event for a denial while there are tokens.
    pub const LOG_DENIED: &str = "LOG_DENIED";
    /// u32, 0 or 1: sources may be locked out.
    pub const LOCKOUT: &str = "LOCKOUT";
    /// u32: 0 to drop what is denied, or a random key to answer it as a closed port would.
    pub const REJECT: &str = "REJECT";
    /// [u64; 2]: the key of [`ERRORS`], random.
    pub const ERRORS_KEY: &str = "ERRORS_KEY";
    /// u32, 0 or 1: let pass what is denied.
    pub const OBSERVE: &str = "OBSERVE";
    /// u64: from this boot time in ns on, let pass what is denied; 0 for no such time.
    pub const TRIAL_UNTIL: &str = "TRIAL_UNTIL";
    /// u32, 0 or 1: there are token ports.
    pub const HAS_TOKENS: &str = "HAS_TOKENS";
    /// [u64; 2]: what the mask of tokens is made with.
    pub const TOKEN_MASK: &str = "TOKEN_MASK";
    /// u64: `token.window` in ns.
    pub const TOKEN_WINDOW: &str = "TOKEN_WINDOW";
    /// u64: `token.ahead` in ns.
    pub const TOKEN_AHEAD: &str = "TOKEN_AHEAD";
    /// u32, 0 or 1: read the time from [`CLOCK`] (tests only).
    pub const TEST_CLOCK: &str = "TEST_CLOCK";
}

const _: () = {
    assert!(size_of::<GrantKey>() == 24 && align_of::<GrantKey>() == 4);
    assert!(size_of::<Grant>() == if cfg!(feature = "layout-next") { 56 } else { 48 });
    assert!(size_of::<FlowKey>() == 40 && align_of::<FlowKey>() == 4);
    assert!(size_of::<Flow>() == 16);
    assert!(size_of::<Attempts>() == 64);
    assert!(size_of::<Event>() == 64);
    assert!(size_of::<PortRoles>() == 4);
    assert!(size_of::<Service>() == 200);
    assert!(size_of::<Door>() == 128);
    assert!(size_of::<Used>() == 32);
    assert!(size_of::<Knock>() == 264);
    assert!(size_of::<TrustFilter>() == 16);
    assert!(size_of::<Key>() == 128 && size_of::<LastTimes>() == 128 && size_of::<WallClock>() == 16);
    assert!(Counter::COUNT <= COUNTER_ROOM as usize);
    assert!(size_of::<InterfaceReport>() == 12);
};
