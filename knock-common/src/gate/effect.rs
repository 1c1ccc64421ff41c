//! The one writer of grants: what a completed door does, and how a datagram keeps a grant alive.

use crate::abi::counter::Counter;
use crate::abi::event::{Event, Kind};
use crate::abi::flow::FlowKey;
use crate::abi::grant::{FOR_GOOD, Grant, GrantKey, Origin, Prefix};
use crate::abi::rules::{Action, Door, MAX_PREFIXES, Service};
use crate::abi::used::Used;
use crate::gate::env::Env;
use crate::gate::scratch::Scratch;
use crate::packet::Packet;

/// The last step of a door: writes or removes the grant (rule 5). Returns the [`Kind`] of what it
/// did, as its number.
#[inline(never)]
pub fn complete<E: Env>(env: &E, scratch: &Scratch, door: &Door) -> u32 {
    let (packet, now) = (&scratch.packet, scratch.now.get());
    let Some(service) = env.service(u32::from(door.service)) else { return 0 };
    let prefix = if packet.src.is_v4() { &door.prefix_v4 } else { &door.prefix_v6 };
    let (kind, until) = if door.once != 0 && !use_up(env, packet, door, now) {
        (Kind::Spent, 0)
    } else if door.action == Action::Close as u8 {
        close(env, packet, service);
        (Kind::Closed, 0)
    } else {
        open(env, packet, door, prefix, service, now)
    };
    env.count(match kind {
        Kind::Opened => Counter::GrantOpened,
        Kind::Extended => Counter::GrantExtended,
        Kind::Closed => Counter::GrantClosed,
        Kind::Spent => Counter::GrantSpent,
        _ => Counter::GrantRefused,
    });
    env.emit(scratch.event(Event {
        at: now,
        until,
        source: packet.src,
        door: door.tag,
        service: service.tag,
        port: packet.dport,
        kind: kind as u8,
        step: door.steps,
        transport: packet.transport as u8,
        bits: prefix.bits() as u8,
        interface: env.interface(),
        sport: packet.sport,
        ..Event::NONE
    }));
    kind as u32
}

/// Uses up a one-time sequence, also if there is no room for the grant then: it was on the wire.
#[inline(always)]
fn use_up<E: Env>(env: &E, packet: &Packet, door: &Door, now: u64) -> bool {
    env.use_up(door.once, &Used { at: now, source: packet.src, door: door.tag, reserved: 0 })
}

#[inline(always)]
fn open<E: Env>(env: &E, packet: &Packet, door: &Door, prefix: &Prefix, service: &Service, now: u64) -> (Kind, u64) {
    let key = GrantKey::new(service.tag, &packet.src, prefix);
    let end = door.grant_end(now);
    if let Some(mut grant) = env.grant(&key)
        && grant.is_live(now)
    {
        grant.until = if grant.until > end { grant.until } else { end };
        grant.renewed = now;
        if env.replace_grant(&key, &grant) {
            return (Kind::Extended, grant.until);
        }
    }
    let grant = Grant::new(end, now, door.cmd_timeout, door.tag, Origin::Knock);
    if env.put_grant(&key, &grant) { (Kind::Opened, end) } else { (Kind::Refused, end) }
}

#[inline(always)]
fn close<E: Env>(env: &E, packet: &Packet, service: &Service) {
    let prefixes = if packet.src.is_v4() { &service.prefixes_v4 } else { &service.prefixes_v6 };
    let mut index = 0;
    while index < MAX_PREFIXES {
        let prefix = &prefixes[index];
        if prefix.bits() == 0 {
            return;
        }
        env.remove_grant(&GrantKey::new(service.tag, &packet.src, prefix));
        index += 1;
    }
}

/// A datagram to a keepalive service moves the end of the grant that covers its source. Written only once an eighth of
/// the window is gone, so that a stream of datagrams does not write the map for each.
#[inline(never)]
pub(super) fn keep_alive<E: Env>(env: &E, flow: &FlowKey, service: &Service) -> bool {
    let source = &flow.source;
    let prefixes = if source.is_v4() { &service.prefixes_v4 } else { &service.prefixes_v6 };
    let now = env.now();
    let mut index = 0;
    while index < MAX_PREFIXES && prefixes[index].bits() != 0 {
        let key = GrantKey::new(service.tag, source, &prefixes[index]);
        if let Some(mut grant) = env.grant(&key)
            && grant.is_live(now)
        {
            if grant.until == FOR_GOOD || grant.window == 0 {
                return false;
            }
            let (end, most) = (now.saturating_add(grant.window), grant.kept_alive_until());
            let end = if end < most { end } else { most };
            if end > grant.until && end - grant.until >= grant.window / 8 {
                grant.until = end;
                if env.replace_grant(&key, &grant) {
                    env.count(Counter::GrantExtended);
                    return true;
                }
            }
            return false;
        }
        index += 1;
    }
    false
}
