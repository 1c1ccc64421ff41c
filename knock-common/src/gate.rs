//! Packet -> verdict: the gate itself. Read this file to know what passes.

use core::borrow::Borrow as _;

use crate::addr::Addr;
use crate::counter::Counter;
use crate::event::{Event, Kind};
use crate::frame::Frame;
use crate::grant::{FOR_GOOD, GrantKey};
use crate::knocking;
use crate::packet::{self, Other, Packet, Plain, Shape, Transport};
use crate::reject;
use crate::rules::{MAX_PREFIXES, PortRole, Role, Service};
use crate::watch;
use crate::world::{Socket, World};

/// What becomes of the frame.
#[must_use]
#[repr(u32)]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// On to the network stack, untouched.
    Pass,
    /// Denied, without a word.
    Deny,
    /// Denied, and answered as a closed port would (rule 12).
    Reject,
}

/// Judges one frame, and moves attempts and grants as it asks.
#[inline(always)]
pub fn judge<W: World, F: Frame + ?Sized>(world: &W, frame: &F) -> Verdict {
    let mut packet = Packet::BLANK;
    let role = match glance(world, frame, &mut packet) {
        Glance::Unrelated => return Verdict::Pass,
        Glance::Concerns(role) => role,
        Glance::NotPlain => match packet::parse(frame, &mut packet) {
            Ok(()) => role_of(world, &packet),
            Err(other) => return judge_other(world, other),
        },
    };
    judge_role(world, frame, &packet, role, true)
}

/// What is seen of a frame at a glance.
#[must_use]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Glance {
    /// A plain packet that is none of our business: passes.
    Unrelated,
    /// A plain packet to a port of this role, which was read.
    Concerns(PortRole),
    /// To be read by [`packet::parse`].
    NotPlain,
}

/// Looks at the few fields that tell most traffic from what concerns the gate, before anything else is read.
#[inline(always)]
pub fn glance<W: World, F: Frame + ?Sized>(world: &W, frame: &F, packet: &mut Packet) -> Glance {
    let Some(plain) = Plain::look(frame) else { return Glance::NotPlain };
    let role = world.ports(plain.dport).of(plain.transport);
    if role.is_unrelated() && !(plain.opens() && may_attempt(world, &plain.source())) {
        return Glance::Unrelated;
    }
    plain.read(packet);
    Glance::Concerns(role)
}

/// True if an attempt of the source may be under way.
#[inline(always)]
fn may_attempt<W: World>(world: &W, source: &Addr) -> bool {
    world.watch(watch::cell_of(source)).is_some_and(|cell| cell.load() != 0)
}

/// The role of the port that a packet goes to.
#[inline(always)]
pub fn role_of<W: World>(world: &W, packet: &Packet) -> PortRole {
    world.ports(packet.dport).of(packet.transport)
}

/// The verdict on a frame that is no packet to judge by its port.
#[inline(always)]
pub fn judge_other<W: World>(world: &W, other: Other) -> Verdict {
    let (verdict, counter) = match other {
        Other::Foreign => return Verdict::Pass,
        Other::LaterFragment => (Verdict::Pass, Counter::PassLaterFragment),
        Other::Malformed => (Verdict::Deny, Counter::DenyMalformed),
        Other::TooDeep => (Verdict::Deny, Counter::DenyTooDeep),
        Other::TinyFragment => (Verdict::Deny, Counter::DenyTinyFragment),
        Other::Overlap => (Verdict::Deny, Counter::DenyOverlap),
    };
    decide(world, counter);
    verdict
}

/// The verdict on a TCP or UDP packet. One whose headers lie across the buffers of a large frame (not
/// `in_one`) is judged like any other, but it is never a knock, and denied without an answer.
#[inline(always)]
pub fn judge_packet<W: World, F: Frame + ?Sized>(world: &W, frame: &F, packet: &Packet, in_one: bool) -> Verdict {
    judge_role(world, frame, packet, role_of(world, packet), in_one)
}

/// The same if the role of its port is known.
#[inline(always)]
pub fn judge_role<W: World, F: Frame + ?Sized>(
    world: &W,
    frame: &F,
    packet: &Packet,
    role: PortRole,
    in_one: bool,
) -> Verdict {
    match role.role() {
        Role::Knock(index) if in_one => {
            knocking::knock(world, frame, packet, index);
            Verdict::Pass
        }
        Role::Protected(index) => match world.service(index) {
            Some(service) if service.tag != 0 => match guard(world, packet, service) {
                Verdict::Deny if in_one && world.rejects() && !world.asks() => reject::verdict(world, frame, packet),
                verdict => verdict,
            },
            _ => Verdict::Pass,
        },
        Role::Knock(_) | Role::Unrelated => stray(world, packet),
    }
}

#[inline(always)]
fn stray<W: World>(world: &W, packet: &Packet) -> Verdict {
    if packet.opens() {
        knocking::stray(world, packet);
    }
    Verdict::Pass
}

/// Rules 8 to 11: a packet to a protected port.
#[inline(always)]
fn guard<W: World>(world: &W, packet: &Packet, service: &Service) -> Verdict {
    if is_granted(world, packet, service, true) {
        return pass(world, Counter::PassGranted);
    }
    if world.trusts(&packet.src) {
        return pass(world, Counter::PassTrusted);
    }
    let reason = match packet.transport {
        Transport::Udp => Counter::DenyUdp,
        Transport::Tcp if matches!(packet.shape, Shape::Flagless) => Counter::DenyTinyFragment,
        Transport::Tcp if packet.opens() => Counter::DenyNew,
        Transport::Tcp if !world.stealth() => return pass(world, Counter::PassUnchecked),
        Transport::Tcp => match world.socket(packet) {
            Socket::Connected => return pass(world, Counter::PassConnected),
            Socket::Nothing => return pass(world, Counter::PassNoSocket),
            Socket::Listening => Counter::DenyProbe,
        },
    };
    deny(world, packet, service, reason)
}

#[inline(always)]
fn pass<W: World>(world: &W, counter: Counter) -> Verdict {
    decide(world, counter);
    Verdict::Pass
}

/// Counts a verdict, or gives it as the explanation that is asked for; true if that was all.
#[inline(always)]
fn decide<W: World>(world: &W, counter: Counter) -> bool {
    if world.asks() {
        world.explain(counter);
        return true;
    }
    world.count(counter);
    false
}

#[inline(always)]
fn deny<W: World>(world: &W, packet: &Packet, service: &Service, reason: Counter) -> Verdict {
    if !decide(world, reason) && world.log_denied() {
        log_denial(world, packet, service);
    }
    Verdict::Deny
}

/// True if a live grant covers the source, under any prefix length that the service uses. If the
/// packet `uses` the grant, it extends that of a keepalive service.
#[inline(always)]
pub(crate) fn is_granted<W: World>(world: &W, packet: &Packet, service: &Service, uses: bool) -> bool {
    let prefixes = if packet.src.is_v4() { &service.prefixes_v4 } else { &service.prefixes_v6 };
    let mut index = 0;
    while index < MAX_PREFIXES {
        let prefix = &prefixes[index];
        if prefix.bits() == 0 {
            return false;
        }
        let key = GrantKey::new(service.tag, &packet.src, prefix);
        // Its end alone, or the rest would be read and kept while the clock is.
        if let Some(until) = world.grant_end(&key) {
            let now = world.now();
            if until > now {
                if uses && service.keepalive != 0 && packet.transport as u8 == Transport::Udp as u8 && !world.asks() {
                    keep_alive(world, &key, now);
                }
                return true;
            }
        }
        index += 1;
    }
    false
}

/// Traffic of a keepalive service moves the end of its grant. Written only once an eighth of the
/// window is gone, so that a stream of datagrams does not write the map for each.
#[inline(never)]
fn keep_alive<W: World>(world: &W, key: &GrantKey, now: u64) -> bool {
    let Some(mut grant) = world.grant(key) else { return false };
    if grant.until == FOR_GOOD || grant.window == 0 {
        return false;
    }
    let end = now.saturating_add(grant.window);
    if end > grant.until && end - grant.until >= grant.window / 8 {
        grant.until = end;
        if world.replace_grant(key, &grant) {
            world.count(Counter::GrantExtended);
            return true;
        }
    }
    false
}

/// One line in the log, while there are tokens. The daemon refills them; without a daemon there
/// is nobody to read, and a denial costs one look-up more and no event.
#[inline(always)]
fn log_denial<W: World>(world: &W, packet: &Packet, service: &Service) {
    let Some(tokens) = world.tokens() else { return };
    let left = tokens.load();
    if left == 0 {
        world.count(Counter::DenialUnlogged);
        return;
    }
    // A lost race only leaves a token unspent.
    let _ = tokens.swap(left, left - 1);
    if let Some(desk) = world.desk(packet) {
        world.emit(desk.borrow().event(Event {
            at: world.now(),
            until: 0,
            source: packet.src,
            door: 0,
            service: service.tag,
            port: packet.dport,
            kind: Kind::Denied as u8,
            step: 0,
            transport: packet.transport as u8,
            bits: 0,
            reserved: [0; 2],
        }));
    }
}
