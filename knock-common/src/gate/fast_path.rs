//! The fast path: most traffic is none of our business, and pays for no more than this.

use crate::abi::attempt_filter;
use crate::abi::rules::PortRole;
use crate::addr::Addr;
use crate::gate::env::Env;
use crate::packet::frame::Frame;
use crate::packet::{Packet, Plain};

/// What the fast path sees of a frame.
#[must_use]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum FastPath {
    /// A plain packet that is none of our business: passes.
    Unrelated,
    /// A plain packet to a port of this role, which was read.
    Concerns(PortRole),
    /// To be read by [`Link::parse`](crate::packet::link::Link::parse).
    NotPlain,
}

/// Looks at the few fields that tell most traffic from what concerns the gate, before anything else is read.
#[inline(always)]
pub(super) fn fast_path<E: Env, F: Frame + ?Sized>(env: &E, frame: &F, packet: &mut Packet) -> FastPath {
    let Some(plain) = Plain::look(frame) else { return FastPath::NotPlain };
    let role = env.ports(plain.dport).of(plain.transport);
    // On which link a link-local source is would have to be asked for: of those, what may end an attempt goes the long way.
    if role.is_unrelated()
        && !(plain.is_heeded(|flags| env.heeds(flags)) && (plain.is_near() || may_attempt(env, &plain.source())))
    {
        return FastPath::Unrelated;
    }
    plain.read(packet, || env.scope());
    FastPath::Concerns(role)
}

/// True if an attempt of the source may be under way.
#[inline(always)]
fn may_attempt<E: Env>(env: &E, source: &Addr) -> bool {
    env.attempt_filter(attempt_filter::cell_of(source)).is_some_and(|cell| cell.load() != 0)
}

/// The role of the port that a packet goes to, which was just read. A link-local source is of its link from here on.
#[inline(always)]
pub(super) fn role_of<E: Env>(env: &E, packet: &mut Packet) -> PortRole {
    packet.came_on(|| env.scope());
    env.ports(packet.dport).of(packet.transport)
}
