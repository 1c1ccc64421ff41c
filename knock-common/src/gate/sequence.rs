//! Packet -> attempt -> grant: what a knock, or a packet that is none, does to a source's attempts.

use core::borrow::Borrow as _;

use crate::abi::attempt::{Attempt, Attempts, Meaning, Ticks};
use crate::abi::attempt_filter;
use crate::abi::counter::Counter;
use crate::abi::event::{Event, Kind};
use crate::abi::rules::{Door, Knock, MAX_DOORS, SLOTS};
use crate::addr::Addr;
use crate::atomic::{Atomic64, MAX_TRIES};
use crate::gate::env::{Env, Socket};
use crate::gate::knock::{fits_door, may_try_door};
use crate::gate::scratch::Scratch;
use crate::gate::{admission, effect};
use crate::packet::Packet;
use crate::packet::checksum;
use crate::packet::frame::Frame;

/// A packet to a knock port: moves the attempts that are under way, then starts those that begin
/// here (rules 2 to 5).
#[inline(always)]
pub fn knock<E: Env, F: Frame + ?Sized>(env: &E, frame: &F, packet: &Packet, index: u32) {
    if env.asks() {
        env.explain(Counter::KnockPacket);
    } else if let Some(knock) = env.knock(index)
        && let Some(scratch) = env.scratch(packet)
    {
        let scratch = scratch.borrow();
        // One after the other, not one within the other: a BPF call chain has 512 bytes of stack.
        visit(env, frame, scratch, knock);
        start(env, scratch, knock);
        complete_all(env, scratch);
    }
}

/// A packet to a port that is neither protected nor a knock port, which opens a flow or could be a knock by its flags:
/// ends those attempts of its source whose knock it could be, unless a socket takes it (rule 4).
#[inline(always)]
pub fn stray<E: Env>(env: &E, packet: &Packet) {
    if env.attempt_filter(attempt_filter::cell_of(&packet.src)).is_some_and(|cell| cell.load() != 0)
        && !env.asks()
        && let Some(scratch) = env.scratch(packet)
    {
        end_all(env, scratch.borrow());
    }
}

/// Moves the attempts that are under way. Returns the slots whose door took the packet for a knock.
#[inline(never)]
fn visit<E: Env, F: Frame + ?Sized>(env: &E, frame: &F, scratch: &Scratch, knock: &Knock) -> u32 {
    let packet = &scratch.packet;
    env.count(Counter::KnockPacket);
    scratch.now.set(env.now());
    let attempts = env.attempts(&packet.src);
    if let Some(attempts) = attempts {
        scan(env, scratch, knock, attempts);
    }
    // Asked once, before the slots are worked through: both answers cost, few packets need them.
    // Any attempt may have come to await this step by the time that its slot is worked on.
    if env.verify_checksums() && packet.may_knock() && (attempts.is_some() || knock.starts[0] != 0) {
        scratch.sound.set(u32::from(checksum::is_right(frame, packet)));
    }
    if scratch.stray.get() != 0 {
        scratch.stray.set(u32::from(is_wrong(env, packet)));
    }
    if let Some(attempts) = attempts {
        advance(env, scratch, knock, attempts);
    }
    scratch.used.get()
}

/// True if what could be a wrong knock goes where it is one.
#[inline(always)]
fn is_wrong<E: Env>(env: &E, packet: &Packet) -> bool {
    !packet.group && env.is_own(&packet.dst) && matches!(env.socket(packet), Socket::Nothing)
}

/// Looks through the source's attempts without touching them: what may the packet come to mean?
#[inline(always)]
fn scan<E: Env>(env: &E, scratch: &Scratch, knock: &Knock, attempts: &Attempts) {
    let mut slot = 0;
    while slot < SLOTS {
        if let Some((attempt, door)) = live(env, scratch, &attempts.slots[slot])
            && matches!(meaning(&scratch.packet, knock, attempt, door), Meaning::Stray)
        {
            scratch.stray.set(1);
        }
        slot += 1;
    }
}

/// Moves every live attempt of the source.
#[inline(always)]
fn advance<E: Env>(env: &E, scratch: &Scratch, knock: &Knock, attempts: &Attempts) {
    let mut slot = 0;
    while slot < SLOTS {
        if advance_slot(env, scratch, knock, &attempts.slots[slot]) {
            scratch.used.set(scratch.used.get() | 1 << slot);
        }
        slot += 1;
    }
}

/// Moves the attempt in one slot, again if another CPU moved it meanwhile. True if its door took
/// the packet for a knock, so that it does not start that door as well.
#[inline(always)]
fn advance_slot<E: Env>(env: &E, scratch: &Scratch, knock: &Knock, cell: &Atomic64) -> bool {
    let packet = &scratch.packet;
    let mut tries = 0;
    while tries < MAX_TRIES {
        let Some((attempt, door)) = live(env, scratch, cell) else { return false };
        match meaning(packet, knock, attempt, door) {
            Meaning::Repeat => return true,
            Meaning::Next if scratch.sound.get() == 0 => {
                scratch.spoilt.set(1);
                return true;
            }
            Meaning::Next => {
                let next = attempt.advanced();
                let done = next.made() >= u32::from(door.steps);
                if cell.swap(attempt.0, if done { 0 } else { next.0 }) {
                    env.count(Counter::AttemptAdvanced);
                    if done {
                        note_done(scratch, attempt.door());
                    } else {
                        report(env, scratch, door, next, Kind::Stage);
                    }
                    return true;
                }
            }
            Meaning::Nothing => return false,
            Meaning::Stray if scratch.stray.get() == 0 => return false,
            Meaning::Stray | Meaning::OutOfTurn => {
                if cell.swap(attempt.0, 0) {
                    env.count(Counter::AttemptEnded);
                    report(env, scratch, door, attempt, Kind::Wrong);
                    return false;
                }
            }
        }
        tries += 1;
    }
    // Lost every race: other packets of this source were first, this one moves nothing.
    true
}

/// The attempt in a cell and its door, if it is live.
#[inline(always)]
fn live<'w, E: Env>(env: &'w E, scratch: &Scratch, cell: &Atomic64) -> Option<(Attempt, &'w Door)> {
    let attempt = Attempt(cell.load());
    if attempt.0 == 0 {
        return None;
    }
    let door = env.door(attempt.door())?;
    attempt.is_live(door, Ticks::at(scratch.now.get())).then_some((attempt, door))
}

/// What the packet means to an attempt at this door.
#[inline(always)]
fn meaning(packet: &Packet, knock: &Knock, attempt: Attempt, door: &Door) -> Meaning {
    let is_knock = packet.may_knock() && fits_door(packet, door);
    let steps = if is_knock { knock.steps[attempt.door() as usize % MAX_DOORS] } else { 0 };
    attempt.meaning(steps, may_try_door(packet, door))
}

/// Notes a door that the packet completed.
#[inline(always)]
fn note_done(scratch: &Scratch, index: u32) {
    let count = scratch.completed.get();
    scratch.done.set(scratch.done.get() | u64::from(index + 1) << (8 * (count as usize % SLOTS)));
    scratch.completed.set(count + 1);
}

/// Acts on every door that the packet completed, at most one for each slot: first those that were
/// under way, then those of one step.
#[inline(always)]
fn complete_all<E: Env>(env: &E, scratch: &Scratch) {
    let mut count = 0;
    while count < SLOTS {
        let done = scratch.done.get();
        if done == 0 {
            return;
        }
        scratch.done.set(done >> 8);
        if let Some(door) = env.door((done & 0xff) as u32 - 1) {
            effect::complete(env, scratch, door);
        }
        count += 1;
    }
}

/// Starts every door that begins with this port and is not under way. Returns how many begin here.
#[inline(never)]
fn start<E: Env>(env: &E, scratch: &Scratch, knock: &Knock) -> u32 {
    let mut index = 0;
    while index < SLOTS && scratch.packet.may_knock() {
        let number = knock.starts[index];
        if number == 0 {
            break;
        }
        start_door(env, scratch, u32::from(number) - 1);
        index += 1;
    }
    if scratch.spoilt.get() != 0 {
        env.count(Counter::BadChecksum);
    }
    index as u32
}

#[inline(always)]
fn start_door<E: Env>(env: &E, scratch: &Scratch, index: u32) {
    let packet = &scratch.packet;
    let Some(door) = env.door(index) else { return };
    let slot = door.slot as usize % SLOTS;
    if door.steps == 0 || !fits_door(packet, door) || scratch.used.get() >> slot & 1 != 0 {
        return;
    }
    if scratch.sound.get() == 0 {
        scratch.spoilt.set(1);
        return;
    }
    if env.locks_out() && is_locked_out(env, scratch, door) {
        env.count(Counter::KnockLockedOut);
        return;
    }
    if door.steps == 1 {
        note_done(scratch, index);
        return;
    }
    let now = scratch.now.get();
    // A flood of forged first knocks is not to keep others from knocking: what goes beyond the budget begins as
    // well, and may push out the oldest attempt. It is only not told of.
    let is_told = env.budget().is_some_and(|budget| budget.take(now, env.attempt_rate()));
    if !is_told {
        env.count(Counter::AttemptUntold);
    }
    let Some(attempts) = env.attempts_or_new(&packet.src) else {
        env.count(Counter::AttemptLost);
        return;
    };
    let first = Attempt::first(index, door.check, Ticks::at(now));
    let cell = &attempts.slots[slot];
    let mut tries = 0;
    while tries < MAX_TRIES {
        let old = Attempt(cell.load());
        // The same knock on another CPU was first.
        if old.0 != 0 && old.door() == index && old.is_live(door, Ticks::at(now)) {
            return;
        }
        if cell.swap(old.0, first.0) {
            if let Some(filter) = env.attempt_filter(attempt_filter::cell_of(&packet.src)) {
                filter.raise(now.saturating_add(Ticks::span_ns(door.seq_ticks)));
            }
            env.count(Counter::AttemptStarted);
            if is_told {
                report(env, scratch, door, first, Kind::Stage);
            }
            return;
        }
        tries += 1;
    }
}

/// True if the source is locked out from the door. Nobody is who is trusted, or holds a grant for what the door opens: a
/// grant and a trusted network that come later count as well.
#[inline(always)]
fn is_locked_out<E: Env>(env: &E, scratch: &Scratch, door: &Door) -> bool {
    let source = &scratch.packet.src;
    scratch.now.get() < env.locked_until(&source.site())
        && is_trusted(env, source) == 0
        && is_granted(env, source, door) == 0
}

/// 1 if the source is trusted. A function of its own, as the next: each needs a key on the stack.
#[inline(never)]
fn is_trusted<E: Env>(env: &E, source: &Addr) -> u32 {
    u32::from(env.trusts(source))
}

/// 1 if the source holds a grant for what the door opens; also if the door opens nothing.
#[inline(never)]
fn is_granted<E: Env>(env: &E, source: &Addr, door: &Door) -> u32 {
    u32::from(env.service(u32::from(door.service)).is_none_or(|service| admission::is_granted(env, source, service)))
}

/// Ends every live attempt of the source whose knock the packet could be, if no socket takes it. Returns how many it
/// ended.
#[inline(never)]
fn end_all<E: Env>(env: &E, scratch: &Scratch) -> u32 {
    let packet = &scratch.packet;
    let now = env.now();
    scratch.now.set(now);
    let Some(filter) = env.attempt_filter(attempt_filter::cell_of(&packet.src)) else { return 0 };
    let until = filter.load();
    if now >= until {
        // Nobody is under way any more. A start that comes between keeps its own, later time.
        let _ = filter.swap(until, 0);
        return 0;
    }
    let Some(attempts) = env.attempts(&packet.src) else { return 0 };
    let mut slot = 0;
    while slot < SLOTS {
        let cell = &attempts.slots[slot];
        if let Some((attempt, door)) = live(env, scratch, cell)
            && may_try_door(packet, door)
        {
            // One look-up, before the first attempt that it may end.
            if scratch.stray.get() == 0 && !is_wrong(env, packet) {
                return 0;
            }
            scratch.stray.set(1);
            // A lost race: the attempt moved on another CPU at this moment, so after this packet.
            if cell.swap(attempt.0, 0) {
                env.count(Counter::AttemptEnded);
                report(env, scratch, door, attempt, Kind::Wrong);
                scratch.used.set(scratch.used.get() + 1);
            }
        }
        slot += 1;
    }
    scratch.used.get()
}

/// Tells the daemon of an attempt.
#[inline(always)]
fn report<E: Env>(env: &E, scratch: &Scratch, door: &Door, attempt: Attempt, kind: Kind) {
    let (packet, now) = (&scratch.packet, scratch.now.get());
    let age = Ticks::at(now).since(attempt.started());
    env.emit(scratch.event(Event {
        at: now,
        until: now + Ticks::span_ns(door.seq_ticks.saturating_sub(age)),
        source: packet.src,
        door: door.tag,
        service: 0,
        port: packet.dport,
        kind: kind as u8,
        step: attempt.made() as u8,
        transport: packet.transport as u8,
        bits: 0,
        sport: packet.sport,
        ..Event::NONE
    }));
}
