//! The one writer of grants: what a completed door does, and how a datagram keeps a grant alive.

use crate::abi::counter::Counter;
use crate::abi::event::{Event, Kind};
use crate::abi::flow::FlowKey;
use crate::abi::grant::{FOR_GOOD, Grant, GrantKey, Origin, Prefix};
use crate::abi::rules::{Action, Door, MAX_PREFIXES, Service};
use crate::abi::used::Spent;
use crate::gate::env::World;
use crate::gate::scratch::Desk;
use crate::packet::Packet;

/// The last step of a door: writes or removes the grant (rule 5). Returns the [`Kind`] of what it
/// did, as its number.
#[inline(never)]
pub fn complete<W: World>(world: &W, desk: &Desk, door: &Door) -> u32 {
    let (packet, now) = (&desk.packet, desk.now.get());
    let Some(service) = world.service(u32::from(door.service)) else { return 0 };
    let prefix = if packet.src.is_v4() { &door.prefix_v4 } else { &door.prefix_v6 };
    let (kind, until) = if door.once != 0 && !spend(world, packet, door, now) {
        (Kind::Spent, 0)
    } else if door.action == Action::Close as u8 {
        close(world, packet, service);
        (Kind::Closed, 0)
    } else {
        open(world, packet, door, prefix, service, now)
    };
    world.count(match kind {
        Kind::Opened => Counter::GrantOpened,
        Kind::Extended => Counter::GrantExtended,
        Kind::Closed => Counter::GrantClosed,
        Kind::Spent => Counter::GrantSpent,
        _ => Counter::GrantRefused,
    });
    world.emit(desk.event(Event {
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
        interface: world.interface(),
        sport: packet.sport,
        ..Event::NONE
    }));
    kind as u32
}

/// Uses up a one-time sequence, also if there is no room for the grant then: it was on the wire.
#[inline(always)]
fn spend<W: World>(world: &W, packet: &Packet, door: &Door, now: u64) -> bool {
    world.spend(door.once, &Spent { at: now, source: packet.src, door: door.tag, reserved: 0 })
}

#[inline(always)]
fn open<W: World>(
    world: &W,
    packet: &Packet,
    door: &Door,
    prefix: &Prefix,
    service: &Service,
    now: u64,
) -> (Kind, u64) {
    let key = GrantKey::new(service.tag, &packet.src, prefix);
    let end = door.grant_end(now);
    if let Some(mut grant) = world.grant(&key)
        && grant.is_live(now)
    {
        grant.until = if grant.until > end { grant.until } else { end };
        grant.renewed = now;
        if world.replace_grant(&key, &grant) {
            return (Kind::Extended, grant.until);
        }
    }
    let grant = Grant::new(end, now, door.cmd_timeout, door.tag, Origin::Knock);
    if world.put_grant(&key, &grant) { (Kind::Opened, end) } else { (Kind::Refused, end) }
}

#[inline(always)]
fn close<W: World>(world: &W, packet: &Packet, service: &Service) {
    let prefixes = if packet.src.is_v4() { &service.prefixes_v4 } else { &service.prefixes_v6 };
    let mut index = 0;
    while index < MAX_PREFIXES {
        let prefix = &prefixes[index];
        if prefix.bits() == 0 {
            return;
        }
        world.remove_grant(&GrantKey::new(service.tag, &packet.src, prefix));
        index += 1;
    }
}

/// A datagram to a keepalive service moves the end of the grant that covers its source. Written only once an eighth of
/// the window is gone, so that a stream of datagrams does not write the map for each.
#[inline(never)]
pub(super) fn keep_alive<W: World>(world: &W, flow: &FlowKey, service: &Service) -> bool {
    let source = &flow.source;
    let prefixes = if source.is_v4() { &service.prefixes_v4 } else { &service.prefixes_v6 };
    let now = world.now();
    let mut index = 0;
    while index < MAX_PREFIXES && prefixes[index].bits() != 0 {
        let key = GrantKey::new(service.tag, source, &prefixes[index]);
        if let Some(mut grant) = world.grant(&key)
            && grant.is_live(now)
        {
            if grant.until == FOR_GOOD || grant.window == 0 {
                return false;
            }
            let (end, most) = (now.saturating_add(grant.window), grant.kept_alive_until());
            let end = if end < most { end } else { most };
            if end > grant.until && end - grant.until >= grant.window / 8 {
                grant.until = end;
                if world.replace_grant(&key, &grant) {
                    world.count(Counter::GrantExtended);
                    return true;
                }
            }
            return false;
        }
        index += 1;
    }
    false
}
