//! The one writer of grants: what a completed door and a token do, and how a datagram keeps a grant alive.

use crate::abi::counter::Counter;
use crate::abi::event::{Event, Kind};
use crate::abi::flow::FlowKey;
use crate::abi::grant::{FOR_GOOD, Grant, GrantKey, Origin, Prefix};
use crate::abi::key::{Key, LastTimes};
use crate::abi::rules::{Door, MAX_PREFIXES, Service};
use crate::abi::used::Used;
use crate::gate::env::Env;
use crate::gate::scratch::Scratch;
use crate::gate::verdict::decide;
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
    } else if door.closes() {
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
    tell(
        env,
        scratch,
        Event {
            until,
            door: door.tag,
            service: service.tag,
            kind: kind as u8,
            step: door.steps,
            bits: prefix.bits() as u8,
            ..Event::NONE
        },
    );
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
    let made = Grant::new(end, now, door.cmd_timeout, door.tag, Origin::Knock);
    if let Some(mut grant) = env.grant(&key)
        && grant.is_live(now)
    {
        if grant.key == 0 {
            grant.until = if end > grant.until { end } else { grant.until };
            grant.renewed = now;
        } else {
            grant = renewed_by(&grant, &made);
        }
        if env.replace_grant(&key, &grant) {
            return (Kind::Extended, grant.until);
        }
    }
    if env.put_grant(&key, &made) { (Kind::Opened, end) } else { (Kind::Refused, end) }
}

/// A token that opens `door`: writes the grant, or moves its end. Returns the [`Kind`] of what it did, as its number.
#[inline(always)]
pub fn open_by<E: Env>(env: &E, scratch: &Scratch, door: &Door, key: &Key, times: &LastTimes) -> u32 {
    let (packet, now) = (&scratch.packet, scratch.now.get());
    let Some(service) = env.service(u32::from(door.service)) else { return 0 };
    let prefix = prefix_by(packet, door, key);
    let at = GrantKey::new(service.tag, &packet.src, prefix);
    let token = scratch.token();
    let made = token.made(made_by(env, scratch, door, key));
    let (mut kind, mut until, mut tries) = (Kind::Refused, made.until, 0);
    while tries < 2 && kind as u8 == Kind::Refused as u8 {
        match env.grant(&at) {
            Some(old) if old.is_live(now) => {
                let next = token.renewed(renewed_by(&old, made));
                if env.asks() || env.replace_grant(&at, next) {
                    (kind, until) = (Kind::Extended, next.until);
                }
            }
            // An old one that nobody has swept yet.
            Some(_) if env.asks() || env.replace_grant(&at, made) => kind = Kind::Opened,
            None if env.asks() || env.put_new_grant(&at, made) => kind = Kind::Opened,
            // It came or went a moment ago, or there is no room.
            Some(_) | None => {}
        }
        tries += 1;
    }
    let counter = match kind {
        Kind::Opened => Counter::TokenOpened,
        Kind::Extended => Counter::TokenExtended,
        _ => Counter::TokenFull,
    };
    if decide(env, counter) {
        return kind as u32;
    }
    let (told, bits) = (kind as u8, prefix.bits() as u8);
    tell_by(env, scratch, key, Event { until, door: door.tag, service: service.tag, kind: told, bits, ..Event::NONE });
    // A later token may have closed since this one was used up, and have found nothing to close.
    if times.closed.load_behind_writes() > token.head().time()
        && let Some(there) = env.grant(&at)
        && there.key == made.key
        && there.renewed == made.renewed
    {
        env.remove_grant(&at);
    }
    kind as u32
}

/// A token that closes `door`: removes the grants of its source that name its key, and makes every earlier token of that
/// key stale. Returns the [`Kind`] of what it did, as its number.
#[inline(always)]
pub fn close_by<E: Env>(env: &E, scratch: &Scratch, door: &Door, key: &Key, times: &LastTimes) -> u32 {
    if decide(env, Counter::TokenClosed) {
        return 0;
    }
    let (packet, head) = (&scratch.packet, scratch.token().head());
    let Some(service) = env.service(u32::from(door.service)) else { return 0 };
    times.closed.raise(head.time());
    let prefixes = service.prefixes(&packet.src);
    let mut index = 0;
    while index < MAX_PREFIXES && prefixes[index].bits() != 0 {
        let at = GrantKey::new(service.tag, &packet.src, &prefixes[index]);
        if env.grant(&at).is_some_and(|grant| grant.key == head.id()) {
            env.remove_grant(&at);
        }
        index += 1;
    }
    let (bits, kind) = (prefix_by(packet, door, key).bits() as u8, Kind::Closed as u8);
    tell_by(env, scratch, key, Event { door: door.tag, service: service.tag, kind, bits, ..Event::NONE });
    Kind::Closed as u32
}

/// What a grant by this key covers.
#[inline(always)]
const fn prefix_by<'a>(packet: &Packet, door: &'a Door, key: &'a Key) -> &'a Prefix {
    let (own, other) =
        if packet.src.is_v4() { (&key.prefix_v4, &door.prefix_v4) } else { (&key.prefix_v6, &door.prefix_v6) };
    if own.bits() == 0 { other } else { own }
}

/// The grant that a token makes, if there is none. Its time to live shortens it, and what keepalive adds, and it ends with
/// its key.
#[inline(always)]
fn made_by<E: Env>(env: &E, scratch: &Scratch, door: &Door, key: &Key) -> Grant {
    let (token, now) = (scratch.token(), scratch.now.get());
    let ttl = u64::from(token.tail().ttl()) * 1_000_000_000;
    let window = if ttl == 0 || (door.cmd_timeout != 0 && door.cmd_timeout < ttl) { door.cmd_timeout } else { ttl };
    let end = if window == 0 { FOR_GOOD } else { now.saturating_add(window) };
    let most = end_of(env, key);
    let until = if end < most { end } else { most };
    Grant { key: token.head().id(), user: key.user, ..Grant::new(until, now, window, door.tag, Origin::Token) }
}

/// A live grant after a token that would have made another. It names whoever set its end.
#[inline(always)]
const fn renewed_by(old: &Grant, made: &Grant) -> Grant {
    let mut next = if made.until > old.until { *made } else { *old };
    next.since = old.since;
    if old.key == made.key {
        next.renewed = made.renewed;
    }
    next
}

/// When everything that a key has opened ends, boot time in ns; 0 if it has expired, or if nobody can tell.
#[inline(always)]
fn end_of<E: Env>(env: &E, key: &Key) -> u64 {
    if key.expires == 0 {
        return FOR_GOOD;
    }
    let offset = env.wall_clock().map_or(0, |clock| clock.offset.load());
    let is_expired = env.last_times(key.slot).is_none_or(|times| times.expired.load() == key.expires);
    if offset == 0 || is_expired { 0 } else { key.expires.saturating_sub(offset) }
}

/// 1 if the source holds a live grant by the key of the token, for the token's door.
#[inline(never)]
pub fn holds_grant_by<E: Env>(env: &E, scratch: &Scratch) -> u32 {
    let (packet, token) = (&scratch.packet, scratch.token());
    let door = env.door_of(token.tail().door()).and_then(|index| env.door(index));
    let Some(service) = door.and_then(|door| env.service(u32::from(door.service))) else { return 0 };
    let prefixes = service.prefixes(&packet.src);
    let (now, id) = (scratch.now.get(), token.head().id());
    let mut index = 0;
    while index < MAX_PREFIXES && prefixes[index].bits() != 0 {
        let at = GrantKey::new(service.tag, &packet.src, &prefixes[index]);
        if env.grant(&at).is_some_and(|grant| grant.is_live(now) && grant.key == id) {
            return 1;
        }
        index += 1;
    }
    0
}

/// Tells of what a token did, if that is to be told.
#[inline(always)]
fn tell_by<E: Env>(env: &E, scratch: &Scratch, key: &Key, what: Event) {
    let token = scratch.token();
    if token.is_told.get() != 0 {
        tell(env, scratch, Event { key: token.head().id(), user: key.user, ..what });
    }
}

/// Tells what became of the packet: `what`, and from where, when and to which port it came.
#[inline(always)]
pub fn tell<E: Env>(env: &E, scratch: &Scratch, what: Event) {
    let packet = &scratch.packet;
    env.emit(scratch.event(Event {
        at: scratch.now.get(),
        source: packet.src,
        port: packet.dport,
        transport: packet.transport as u8,
        interface: env.interface(),
        sport: packet.sport,
        ..what
    }));
}

#[inline(always)]
fn close<E: Env>(env: &E, packet: &Packet, service: &Service) {
    let prefixes = service.prefixes(&packet.src);
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
    let prefixes = service.prefixes(source);
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
            // Not beyond the key that opened it, and not without it.
            let most = if grant.key == 0 { FOR_GOOD } else { env.key(grant.key).map_or(0, |key| end_of(env, key)) };
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
