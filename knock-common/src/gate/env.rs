//! What the gate asks of its surroundings: maps, clock, sockets, constants. The kernel program
//! implements it on BPF maps and helpers; the tests implement it in plain memory.

use core::borrow::Borrow;

use crate::abi::attempt::Attempts;
use crate::abi::counter::Counter;
use crate::abi::event::Event;
use crate::abi::flow::{Flow, FlowKey};
use crate::abi::grant::{Grant, GrantKey};
use crate::abi::key::{Key, LastTimes, WallClock};
use crate::abi::report_budget::Budget;
use crate::abi::rules::{Door, Knock, PortRoles, Service};
use crate::abi::used::Used;
use crate::addr::Addr;
use crate::atomic::Atomic64;
use crate::gate::scratch::Scratch;
use crate::packet::Packet;
use crate::packet::flags::TcpFlags;

/// What a socket look-up found for a packet's addresses and ports.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Socket {
    /// Nothing in this host's network namespace.
    Nothing,
    /// A TCP socket in state LISTEN, or a UDP socket that takes datagrams from anybody.
    Listening,
    /// A TCP socket in any other state, or a UDP socket that is connected to the packet's source.
    Connected,
}

/// The maps, helpers and constants of a loaded program.
pub trait Env {
    /// Scratch memory, wherever it is.
    type Scratch: Borrow<Scratch>;
    /// A flow's key, wherever it stands.
    type FlowKey: Borrow<FlowKey>;

    /// Boot time in ns (counts suspend, ignores clock steps).
    fn now(&self) -> u64;

    /// Index of the interface on which the frame came.
    fn interface(&self) -> u32;
    /// Index of the interface that a link-local source of this frame belongs to: the one on which the frame came, or the
    /// bond or team that this is a port of. Asked for such sources alone.
    fn scope(&self) -> u32;

    /// `stealth`: look connections up.
    fn stealth(&self) -> bool;
    /// `verify_checksums`.
    fn verify_checksums(&self) -> bool;
    /// New attempts per second and CPU that are told of.
    fn attempt_rate(&self) -> u32;
    /// True if a segment with these flags to an unrelated port may end an attempt ([`crate::packet::flags::Segments`]).
    fn heeds(&self, flags: TcpFlags) -> bool;
    /// `log_denied`.
    fn log_denied(&self) -> bool;

    /// `--observe`: nothing is denied, and what would be is counted.
    fn observes(&self) -> bool;
    /// The boot time in ns at which the gate's trial ends: after it nothing is denied. 0 if it is not on trial.
    fn trial_until(&self) -> u64;

    /// `deny = "reject"`: denials are answered.
    fn rejects(&self) -> bool;
    /// True if the MAC, its first four octets as they lie in memory and the last two as a number, is
    /// that of the interface on which the frame came.
    fn is_addressed(&self, high: u32, low: u16) -> bool;
    /// How long ICMP errors of the sources in this cell ([`crate::gate::reject::cells`]) are used up.
    fn errors(&self, cell: u32) -> Option<&Atomic64>;
    /// The key that spreads sources over these cells, random for each load.
    fn errors_key(&self) -> [u64; 2];

    /// What the ports of this number are.
    fn ports(&self, port: u16) -> PortRoles;
    /// The knock port with this index.
    fn knock(&self, index: u32) -> Option<&Knock>;
    /// The door with this index.
    fn door(&self, index: u32) -> Option<&Door>;
    /// The service with this index.
    fn service(&self, index: u32) -> Option<&Service>;
    /// True if `source` is in a trusted network, whatever interface it belongs to.
    fn trusts(&self, source: &Addr) -> bool;

    /// The grant under `key`, live or not.
    fn grant(&self, key: &GrantKey) -> Option<Grant>;
    /// The end of the grant under `key`, live or not, boot time in ns.
    #[inline(always)]
    fn grant_end(&self, key: &GrantKey) -> Option<u64> {
        self.grant(key).map(|grant| grant.until)
    }
    /// Writes the grant, over an old one if there is one; false if the table is full.
    fn put_grant(&self, key: &GrantKey, grant: &Grant) -> bool;
    /// Writes the grant if there is none; false if there is one, or the table is full.
    fn put_new_grant(&self, key: &GrantKey, grant: &Grant) -> bool;
    /// Writes the grant only over one that is still there; false if it is gone.
    fn replace_grant(&self, key: &GrantKey, grant: &Grant) -> bool;
    /// Removes the grant; false if there was none.
    fn remove_grant(&self, key: &GrantKey) -> bool;

    /// The key of the packet's flow, off the stack; `None` if there is no place for it.
    fn flow_key(&self, packet: &Packet) -> Option<Self::FlowKey>;
    /// The flow under `key`, live or not.
    fn flow(&self, key: &FlowKey) -> Option<&Flow>;
    /// Writes a flow of which there is none yet; false if there is one, or no room.
    fn put_flow(&self, key: &FlowKey, flow: Flow) -> bool;
    /// `flow_idle` in ns.
    fn flow_idle(&self) -> u64;
    /// True if `dest` is an address of this host, and a packet to it is not only forwarded.
    fn is_own(&self, dest: &Addr) -> bool;

    /// Notes that the one-time sequence `key` is used. False if it was before, or if there is no room
    /// for the note. Of several CPUs that do so at once one gets true.
    fn use_up(&self, key: u64, used: &Used) -> bool;

    /// `lockout`: sources may be locked out.
    fn locks_out(&self) -> bool;
    /// Until when a source's [site](Addr::site) is locked out, boot time in ns; 0 if it never was.
    fn locked_until(&self, site: &Addr) -> u64;

    /// The attempts of `source`.
    fn attempts(&self, source: &Addr) -> Option<&Attempts>;
    /// The attempts of `source`, made if there are none yet; `None` if there is no room.
    fn attempts_or_new(&self, source: &Addr) -> Option<&Attempts>;
    /// The filter's cell with this number (see [`crate::abi::attempt_filter`]).
    fn attempt_filter(&self, cell: u32) -> Option<&Atomic64>;
    /// This CPU's budget of new attempts.
    fn budget(&self) -> Option<&Budget>;

    /// True if there are token ports.
    fn takes_tokens(&self) -> bool;
    /// The key with this id; a zeroed one is none.
    fn key(&self, id: u32) -> Option<&Key>;
    /// When the key with this slot was last used.
    fn last_times(&self, slot: u32) -> Option<&LastTimes>;
    /// What the wall clock is ahead of boot time.
    fn wall_clock(&self) -> Option<&WallClock>;
    /// The index of the door with this tag.
    fn door_of(&self, tag: u32) -> Option<u32>;
    /// What the mask of tokens is made with.
    fn token_mask(&self) -> [u64; 2];
    /// `token.window` in ns.
    fn token_window(&self) -> u64;
    /// `token.ahead` in ns.
    fn token_ahead(&self) -> u64;
    /// This CPU's budget of tokens that are told of.
    fn token_budget(&self) -> Option<&Budget>;

    /// Puts the packet in scratch memory for the long paths to work on; `None` if there is none.
    fn scratch(&self, packet: &Packet) -> Option<Self::Scratch>;

    /// The socket that packets of this flow would reach.
    fn socket_of(&self, flow: &FlowKey) -> Socket;
    /// The socket that the packet would reach.
    #[inline(always)]
    fn socket(&self, packet: &Packet) -> Socket {
        self.flow_key(packet).map_or(Socket::Nothing, |flow| self.socket_of(flow.borrow()))
    }

    /// True if the frame is nobody's: it only asks what would decide on it, and nothing is to change.
    #[inline(always)]
    fn asks(&self) -> bool {
        false
    }

    /// Answers a frame that asks: this counter stands for what decides.
    #[inline(always)]
    fn explain(&self, _counter: Counter) {}

    /// Counts one.
    fn count(&self, counter: Counter);
    /// Denials that may still be logged on this CPU.
    fn tokens(&self) -> Option<&Atomic64>;
    /// Hands the event to the daemon; a lost one is counted.
    fn emit(&self, event: &Event);
}
