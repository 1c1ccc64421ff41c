//! Packet -> verdict: the gate itself. Read this file and `pipeline.rs` to know what passes.

mod admission;
mod effect;
pub mod env;
mod fast_path;
mod flows;
mod knock;
pub mod pipeline;
pub mod reject;
pub mod scratch;
pub mod sequence;
pub mod token;
mod verdict;

use core::borrow::Borrow as _;

pub use verdict::Verdict;

use verdict::decide;

use admission::is_granted;
use effect::keep_alive;

use crate::abi::counter::Counter;
use crate::abi::event::{Event, Kind};
use crate::abi::flow::FlowKey;
use crate::packet::flags::TcpFlags;
use crate::packet::frame::Frame;

use crate::packet::{Other, Packet, Shape, Transport};

use crate::abi::rules::{PortRole, Role, Service};
use crate::gate::env::{Env, Socket};

/// The verdict on a frame that is no packet to judge by its port.
#[inline(always)]
fn judge_other<E: Env>(env: &E, other: Other) -> Verdict {
    let (verdict, counter) = match other {
        Other::Foreign => return Verdict::Pass,
        Other::LaterFragment => (Verdict::Pass, Counter::PassLaterFragment),
        Other::Malformed => (Verdict::Deny, Counter::DenyMalformed),
        Other::TooDeep => (Verdict::Deny, Counter::DenyTooDeep),
        Other::TinyFragment => (Verdict::Deny, Counter::DenyTinyFragment),
        Other::Overlap => (Verdict::Deny, Counter::DenyOverlap),
    };
    decide(env, counter);
    verdict
}

/// The verdict on a TCP or UDP packet that was just read, to a port of this role. One whose headers lie across the buffers
/// of a large frame (not `in_one`) is judged like any other, but it is never a knock, and denied without an answer.
#[inline(always)]
fn judge_role<E: Env, F: Frame + ?Sized>(env: &E, frame: &F, packet: &Packet, role: PortRole, in_one: bool) -> Verdict {
    match role.role() {
        Role::Knock(index) if in_one => {
            sequence::knock(env, frame, packet, index);
            Verdict::Pass
        }
        Role::Protected(index) => match env.service(index) {
            Some(service) if service.tag != 0 => match guard(env, packet, service) {
                Verdict::Deny if in_one && env.rejects() && !env.asks() => reject::verdict(env, frame, packet),
                verdict => verdict,
            },
            _ => Verdict::Pass,
        },
        Role::Token if in_one && env.takes_tokens() && token::receive(env, frame, packet) => Verdict::Pass,
        Role::Knock(_) | Role::Token | Role::Unrelated => stray(env, packet),
    }
}

#[inline(always)]
fn stray<E: Env>(env: &E, packet: &Packet) -> Verdict {
    if packet.is_heeded(|flags| env.heeds(flags)) {
        sequence::stray(env, packet);
    }
    Verdict::Pass
}

/// Rules 8 to 11 and 19: a packet to a protected port.
#[inline(always)]
fn guard<E: Env>(env: &E, packet: &Packet, service: &Service) -> Verdict {
    let is_flagless = matches!(packet.shape, Shape::Flagless);
    // There is always a place for it.
    let Some(key) = env.flow_key(packet) else { return Verdict::Deny };
    let key = key.borrow();
    let admitted = admits(env, key, service, Flags::new(packet.flags, is_flagless));
    if admitted != 0 {
        if admitted == TO_KEEP_ALIVE {
            keep_alive(env, key, service);
        }
        return Verdict::Pass;
    }
    let reason = match packet.transport {
        // An answer to this host's own question.
        Transport::Udp if matches!(env.socket_of(key), Socket::Connected) => {
            return pass(env, Counter::PassConnected);
        }
        Transport::Udp => Counter::DenyUdp,
        Transport::Tcp if is_flagless => Counter::DenyTinyFragment,
        Transport::Tcp if packet.opens() => Counter::DenyNew,
        Transport::Tcp if !env.stealth() => return pass(env, Counter::PassUnchecked),
        Transport::Tcp => match env.socket_of(key) {
            Socket::Connected => return pass(env, Counter::PassConnected),
            // The listener has the port on every address, and this packet is for a guest or a host behind.
            Socket::Listening if env.is_own(&key.dest) => Counter::DenyProbe,
            Socket::Listening | Socket::Nothing => return pass(env, Counter::PassNoSocket),
        },
    };
    deny(env, packet, service, reason)
}

/// The TCP flags of a packet, if it shows any.
#[repr(transparent)]
#[derive(Clone, Copy)]
struct Flags(u32);

impl Flags {
    const HIDDEN: u32 = 0x100;

    #[inline(always)]
    fn new(flags: u8, is_flagless: bool) -> Self {
        Self(u32::from(flags) | if is_flagless { Self::HIDDEN } else { 0 })
    }
}

/// What [`admits`] says of a datagram that a grant is to be extended for.
const TO_KEEP_ALIVE: u32 = 2;

/// Lets a packet pass by its flow, by a grant or by trust, and notes the flow. Returns 0 if it does not pass, and 1 or
/// [`TO_KEEP_ALIVE`] if it does.
///
/// In the kernel a function of its own: what it needs of the packet stands in the key, off the stack.
#[inline(never)]
fn admits<E: Env>(env: &E, key: &FlowKey, service: &Service, flags: Flags) -> u32 {
    let shows_flags = flags.0 & Flags::HIDDEN == 0;
    let flags = TcpFlags(flags.0 as u8);
    let may_belong = key.is_udp() || (shows_flags && !flags.opens());
    // Asked first, since most packets of those that were let in belong to one.
    let by_flow = may_belong && flows::passes(env, key, flags);
    let counter = if by_flow {
        Counter::PassFlow
    } else if is_granted(env, &key.source, service) {
        Counter::PassGranted
    } else if env.trusts(&key.source) {
        Counter::PassTrusted
    } else {
        return 0;
    };
    if decide(env, counter) {
        return 1;
    }
    if !by_flow && shows_flags {
        flows::note(env, key, flags, service.tag);
    }
    if key.is_udp() && service.keepalive != 0 { TO_KEEP_ALIVE } else { 1 }
}

#[inline(always)]
fn pass<E: Env>(env: &E, counter: Counter) -> Verdict {
    decide(env, counter);
    Verdict::Pass
}

#[inline(always)]
fn deny<E: Env>(env: &E, packet: &Packet, service: &Service, reason: Counter) -> Verdict {
    if !decide(env, reason) && env.log_denied() {
        log_denial(env, packet, service);
    }
    Verdict::Deny
}

/// One line in the log, while there are tokens. The daemon refills them; without a daemon there
/// is nobody to read, and a denial costs one look-up more and no event.
#[inline(always)]
fn log_denial<E: Env>(env: &E, packet: &Packet, service: &Service) {
    let Some(tokens) = env.tokens() else { return };
    let left = tokens.load();
    if left == 0 {
        env.count(Counter::DenialUnlogged);
        return;
    }
    // A lost race only leaves a token unspent.
    let _ = tokens.swap(left, left - 1);
    if let Some(scratch) = env.scratch(packet) {
        env.emit(scratch.borrow().event(Event {
            at: env.now(),
            until: 0,
            source: packet.src,
            door: 0,
            service: service.tag,
            port: packet.dport,
            kind: Kind::Denied as u8,
            step: 0,
            transport: packet.transport as u8,
            bits: 0,
            interface: env.interface(),
            sport: packet.sport,
            ..Event::NONE
        }));
    }
}
