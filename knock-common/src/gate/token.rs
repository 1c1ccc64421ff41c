//! Datagram -> token -> grant: what one packet with a key's MAC in it does (rules 20 to 28).

use core::borrow::Borrow as _;

use crate::abi::counter::Counter;
use crate::abi::event::{Event, Kind};
use crate::abi::key::{FROM_SEEN, FROM_STRICT, Key, LastTimes};
use crate::abi::rules::Door;
use crate::abi::token::{CLOSE, Head, LANES, MAC_WORDS, STRICT, TOKEN, Tail, UDP_LENGTH, WORDS, stun};
use crate::atomic::Atomic64;
use crate::gate::effect;
use crate::gate::env::Env;
use crate::gate::scratch::{Scratch, TokenNotes};
use crate::gate::verdict::decide;
use crate::packet::frame::{Frame, View as _};
use crate::packet::{Packet, checksum};
use crate::siphash;

/// Tokens per second and CPU that are told of. Each has a right MAC, but whoever has a key can make many.
const TOLD: u32 = 512;

/// What [`heed`] says of a token that opens its door.
const OPENS: u32 = 1;
/// The same of one that closes it.
const CLOSES: u32 = 2;

/// A datagram to a token port. False if it has not the form of a token; if it has, all is done.
#[inline(always)]
pub fn receive<E: Env, F: Frame + ?Sized>(env: &E, frame: &F, packet: &Packet) -> bool {
    if !packet.may_knock() {
        return false;
    }
    let Some(scratch) = env.scratch(packet) else { return true };
    let scratch = scratch.borrow();
    // One after the other, not one within the other: a BPF call chain has 512 octets of stack.
    if read(frame, scratch) == 0 {
        return false;
    }
    if recognise(env, scratch) != 0 {
        let outcome = match heed(env, frame, scratch) {
            OPENS => open(env, scratch),
            CLOSES => close(env, scratch),
            none => none,
        };
        // Kept: where nobody takes what a function returns, the compiler lets it return anything, and the kernel refuses a
        // function that returns a pointer to its stack.
        scratch.token().outcome.set(outcome);
    }
    true
}

/// Reads a token from where it stands in the datagram. Returns 0 if there is none.
#[inline(never)]
fn read<F: Frame + ?Sized>(frame: &F, scratch: &Scratch) -> u32 {
    let (packet, token) = (&scratch.packet, scratch.begin_token());
    let l4 = u32::from(packet.l4);
    let Some(header) = frame.view::<8>(l4) else { return 0 };
    // What follows a datagram in its packet would go unseen by whoever reads the datagram.
    if u32::from(header.be16(4)) != packet.l4_len {
        return 0;
    }
    u32::from(if packet.l4_len == UDP_LENGTH { plain(frame, l4 + 8, token) } else { wrapped(frame, packet, token) })
}

/// The payload is a token.
#[inline(always)]
fn plain<F: Frame + ?Sized>(frame: &F, at: u32, token: &TokenNotes) -> bool {
    let Some(octets) = frame.view::<TOKEN>(at) else { return false };
    let mut index = 0;
    while index < WORDS {
        token.words[index].set(u32::from_le(octets.word(4 * index)));
        index += 1;
    }
    true
}

/// The payload is a STUN Binding request, and its USERNAME begins with a token in base64.
#[inline(always)]
fn wrapped<F: Frame + ?Sized>(frame: &F, packet: &Packet, token: &TokenNotes) -> bool {
    const NAME: usize = (stun::HEADER + stun::ATTRIBUTE) as usize;
    let at = u32::from(packet.l4) + 8;
    if packet.l4_len < stun::SHORTEST {
        return false;
    }
    let Some(octets) = frame.view::<{ stun::SHORTEST as usize - 8 }>(at) else { return false };
    let message = packet.l4_len - 8 - stun::HEADER;
    let name = octets.be16(stun::HEADER as usize + 2);
    let is_request = octets.be16(0) == stun::BINDING_REQUEST
        && u32::from(octets.be16(2)) == message
        && octets.word(4) == stun::COOKIE.to_be()
        && octets.be16(stun::HEADER as usize) == stun::USERNAME
        && name >= stun::SHORTEST_NAME
        && u32::from(name) + stun::ATTRIBUTE <= message
        && octets.octet(NAME + stun::CHARACTERS) == stun::END;
    if !is_request {
        return false;
    }
    // Sixteen characters are three words.
    let (mut other, mut group) = (0, 0);
    while group < WORDS / 3 {
        let (mut words, mut index) = ([0_u64; 2], 0);
        while index < 16 {
            let value = sextet(octets.octet(NAME + 16 * group + index));
            other |= value;
            words[index / 8] = words[index / 8] << 6 | u64::from(value & 0x3f);
            index += 1;
        }
        // Each holds six octets, the first one highest.
        let [low, high] = [(words[0] << 16).swap_bytes(), (words[1] << 16).swap_bytes()];
        token.words[3 * group].set(low as u32);
        token.words[3 * group + 1].set((low >> 32) as u32 & 0xffff | (high as u32) << 16);
        token.words[3 * group + 2].set((high >> 16) as u32);
        group += 1;
    }
    other & NOT_BASE64 == 0
}

/// What [`sextet`] says of an octet that is none.
const NOT_BASE64: u32 = 0x100;

/// The value of a character of base64 (RFC 4648, 4), without a branch.
#[inline(always)]
const fn sextet(octet: u8) -> u32 {
    /// All ones if the character is from `first` to `last`.
    #[inline(always)]
    const fn within(c: u32, first: u8, last: u8) -> u32 {
        // Both differences are negative outside, and of a number below 256.
        !((c.wrapping_sub(first as u32) | (last as u32).wrapping_sub(c)) as i32 >> 31) as u32
    }
    let c = octet as u32;
    let (upper, lower, digit) = (within(c, b'A', b'Z'), within(c, b'a', b'z'), within(c, b'0', b'9'));
    let (plus, slash) = (within(c, b'+', b'+'), within(c, b'/', b'/'));
    upper & c.wrapping_sub(65)
        | lower & c.wrapping_sub(71)
        | digit & c.wrapping_add(4)
        | plus & 62
        | slash & 63
        | !(upper | lower | digit | plus | slash) & NOT_BASE64
}

/// The key of a token, if the gate has it.
#[inline(always)]
fn known<E: Env>(env: &E, id: u32) -> Option<(&Key, &LastTimes)> {
    // A zeroed key is none: anybody can make its MAC.
    let key = env.key(id).filter(|key| key.sources != 0)?;
    let times = env.last_times(key.slot)?;
    (times.id == id && times.gone.load() == 0).then_some((key, times))
}

/// The time that a token of this lane must be later than.
#[inline(always)]
fn last(times: &LastTimes, lane: u8) -> u64 {
    let (last, closed) = (times.lanes[lane as usize % LANES].load(), times.closed.load());
    if last > closed { last } else { closed }
}

/// Finds whose token it is, and whether its MAC is right. Until then nothing is written but counters (rule 22). Returns 0
/// if there is no more to do.
#[inline(never)]
fn recognise<E: Env>(env: &E, scratch: &Scratch) -> u32 {
    let token = scratch.token();
    let mac = [token.pair(0), token.pair(2)];
    let [low, high] = siphash::wide(env.token_mask(), [mac[0], mac[1], 0]);
    token.set_pair(4, token.pair(4) ^ low);
    token.set_pair(6, token.pair(6) ^ high);
    let head = token.head();
    let Some((key, times)) = known(env, head.id()) else { return refuse(env, Counter::TokenUnknown) };
    if !head.is_known() {
        return refuse(env, Counter::TokenRefused);
    }
    // Read anew: of the lane that was looked at the compiler knows that it is small, and the verifier does not.
    let last = last(times, token.head().lane());
    if head.time() < last {
        return refuse(env, Counter::TokenStale);
    }
    if head.time() == last {
        // Browsers send each token many times. It is one more look from there only if it came from elsewhere.
        if is_from_the_last(times, scratch) {
            return refuse(env, Counter::TokenRepeated);
        }
        token.is_repeated.set(1);
    }
    let [low, high] = siphash::wide(env.token_mask(), [mac[0], mac[1], 1]);
    token.set_pair(8, token.pair(8) ^ low);
    token.set_pair(10, token.pair(10) ^ high);
    if is_right(key, scratch) { 1 } else { refuse(env, Counter::TokenForged) }
}

/// Counts what became of a token. Returns 0.
#[inline(always)]
fn refuse<E: Env>(env: &E, counter: Counter) -> u32 {
    decide(env, counter);
    0
}

/// True if the key was last used from where this packet comes.
#[inline(always)]
fn is_from_the_last(times: &LastTimes, scratch: &Scratch) -> bool {
    let [low, high] = scratch.packet.src.halves();
    (times.source[0].load() ^ low) | (times.source[1].load() ^ high) == 0
}

/// True if the MAC is the one that the key makes. No branch and no address depends on it before the last line.
#[inline(always)]
fn is_right(key: &Key, scratch: &Scratch) -> bool {
    let token = scratch.token();
    let message = &token.work.message;
    let mut index = MAC_WORDS;
    while index < WORDS {
        message[index - MAC_WORDS].set(token.words[index].get());
        index += 1;
    }
    let covered = u32::from(token.head().flags() & STRICT).wrapping_neg();
    let source = scratch.packet.src.on_wire().words();
    let mut index = 0;
    while index < 4 {
        message[WORDS - MAC_WORDS + index].set(u32::from_le(source[index]) & covered);
        index += 1;
    }
    let made = key.mac.mac(&token.work, TOKEN as u32);
    let (mut unlike, mut index) = (0, 0);
    while index < MAC_WORDS {
        unlike |= made[index] ^ token.words[index].get();
        index += 1;
    }
    unlike == 0
}

/// A token with a right MAC: whether it counts now, and what is to be done. Returns [`OPENS`], [`CLOSES`] or 0.
#[inline(never)]
fn heed<E: Env, F: Frame + ?Sized>(env: &E, frame: &F, scratch: &Scratch) -> u32 {
    let (packet, token) = (&scratch.packet, scratch.token());
    let head = token.head();
    let Some((key, times)) = known(env, head.id()) else { return refuse(env, Counter::TokenUnknown) };
    if env.verify_checksums() && !checksum::is_right(frame, packet) {
        return refuse(env, Counter::BadChecksum);
    }
    let now = env.now();
    scratch.now.set(now);
    if token.is_repeated.get() != 0 {
        decide(env, Counter::TokenRepeated);
        // Of two copies on two CPUs the other may have been noted by now.
        if !is_from_the_last(times, scratch) && effect::holds_grant_by(env, scratch) == 0 {
            tell(env, scratch, key, Kind::Elsewhere);
        }
        return 0;
    }
    if let Some((counter, kind)) = untimely(env, key, times, head, now) {
        if !decide(env, counter) {
            tell(env, scratch, key, kind);
        }
        return 0;
    }
    if !env.asks() {
        if !use_up(times, head) {
            return refuse(env, Counter::TokenStale);
        }
        note_use(times, scratch, now);
    }
    let Some(door) = listed(env, key, token.tail()) else {
        if !decide(env, Counter::TokenDoor) {
            tell(env, scratch, key, Kind::Unlisted);
        }
        return 0;
    };
    let is_told = !env.asks() && is_told(env, now);
    token.is_told.set(u32::from(is_told));
    if head.flags() & CLOSE != 0 || door.closes() { CLOSES } else { OPENS }
}

/// Why a token does not count at this moment, if so.
#[inline(always)]
fn untimely<E: Env>(env: &E, key: &Key, times: &LastTimes, head: Head, now: u64) -> Option<(Counter, Kind)> {
    let (offset, since) = env.wall_clock().map_or((0, 0), |clock| (clock.offset.load(), clock.since.load()));
    let wall = now.saturating_add(offset);
    let (late, ahead) = (wall.saturating_sub(head.time()), head.time().saturating_sub(wall));
    if offset == 0 || late > env.token_window() || ahead > env.token_ahead() {
        return Some((Counter::TokenClock, Kind::Clock));
    }
    if head.time() <= since.saturating_add(env.token_ahead()).saturating_add(offset) {
        return Some((Counter::TokenEarly, Kind::Early));
    }
    let needed = if head.flags() & STRICT != 0 { FROM_STRICT } else { FROM_SEEN };
    if key.sources & needed == 0 {
        return Some((Counter::TokenSource, Kind::Mode));
    }
    if key.expires != 0 {
        let is_marked = times.expired.load() == key.expires;
        if is_marked || wall >= key.expires {
            if !is_marked && !env.asks() {
                times.expired.store(key.expires);
            }
            return Some((Counter::TokenExpired, Kind::Outlived));
        }
    }
    None
}

/// Uses a token up: of several CPUs that do so at once, one gets true.
#[inline(always)]
fn use_up(times: &LastTimes, head: Head) -> bool {
    let lane: &Atomic64 = &times.lanes[head.lane() as usize % LANES];
    let mut tries = 0;
    while tries < 2 {
        let old = lane.load();
        if head.time() <= old || head.time() <= times.closed.load() {
            return false;
        }
        if lane.swap(old, head.time()) {
            return true;
        }
        tries += 1;
    }
    false
}

/// For `key list`, and to tell a repeat from a copy that came from elsewhere.
#[inline(always)]
fn note_use(times: &LastTimes, scratch: &Scratch, now: u64) {
    let [low, high] = scratch.packet.src.halves();
    times.source[0].store(low);
    times.source[1].store(high);
    times.time.store(scratch.token().head().time());
    times.used.store(now);
}

/// The door that a token asks for, if the key lists it.
#[inline(always)]
fn listed<'e, E: Env>(env: &'e E, key: &Key, tail: Tail) -> Option<&'e Door> {
    let index = env.door_of(tail.door())?;
    if !key.doors.has(index) {
        return None;
    }
    env.door(index).filter(|door| door.tag == tail.door())
}

/// Opens the door of a token that was used up. Returns the [`Kind`] of what it did, as its number.
#[inline(never)]
fn open<E: Env>(env: &E, scratch: &Scratch) -> u32 {
    let token = scratch.token();
    let Some((key, times)) = known(env, token.head().id()) else { return 0 };
    listed(env, key, token.tail()).map_or(0, |door| effect::open_by(env, scratch, door, key, times))
}

/// The same for a token that closes.
#[inline(never)]
fn close<E: Env>(env: &E, scratch: &Scratch) -> u32 {
    let token = scratch.token();
    let Some((key, times)) = known(env, token.head().id()) else { return 0 };
    listed(env, key, token.tail()).map_or(0, |door| effect::close_by(env, scratch, door, key, times))
}

/// True if there is budget to tell of one more token.
#[inline(always)]
fn is_told<E: Env>(env: &E, now: u64) -> bool {
    let is_told = env.token_budget().is_some_and(|budget| budget.take(now, TOLD));
    if !is_told {
        env.count(Counter::TokenUntold);
    }
    is_told
}

/// Tells of a token that opened nothing.
#[inline(always)]
fn tell<E: Env>(env: &E, scratch: &Scratch, key: &Key, kind: Kind) {
    if env.asks() || !is_told(env, scratch.now.get()) {
        return;
    }
    let token = scratch.token();
    let (head, door) = (token.head(), token.tail().door());
    let what = Event { until: head.time(), door, kind: kind as u8, key: head.id(), user: key.user, ..Event::NONE };
    effect::tell(env, scratch, what);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn characters_of_base64_have_their_values_and_no_other_octet_has_one() {
        let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        for octet in 0..=u8::MAX {
            let value = alphabet.iter().position(|&character| character == octet);
            assert_eq!(sextet(octet), value.map_or(NOT_BASE64, |value| value as u32), "{octet:#x}");
        }
    }
}
