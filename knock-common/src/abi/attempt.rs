//! The attempt machine: how far one source has come through one door, in one 64-bit word.
//!
//! Everything here is pure. A word goes in, what a packet means to it comes out; the caller
//! ([`crate::gate::sequence`]) swaps the word and acts on the outcome.

use crate::abi::rules::{Door, SLOTS};
use crate::atomic::Atomic64;

/// All attempts of one source: the value of the `ATTEMPTS` map.
#[repr(C)]
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Attempts {
    /// One [`Attempt`] each, 0 for none.
    pub slots: [Atomic64; SLOTS],
}

/// Boot time in units of 2^16 ns (65.5 us), the resolution of `seq_timeout`.
#[repr(transparent)]
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Ticks(u64);

impl Ticks {
    const SHIFT: u32 = 16;
    const BITS: u32 = 40;
    const MASK: u64 = (1 << Self::BITS) - 1;

    /// The tick that holds the boot time `ns`, modulo 2^40 (2.3 years).
    #[inline(always)]
    #[must_use]
    pub const fn at(ns: u64) -> Self {
        Self((ns >> Self::SHIFT) & Self::MASK)
    }

    /// A span of `ns` in whole ticks, rounded up.
    #[must_use]
    pub const fn span(ns: u64) -> u64 {
        ns.div_ceil(1 << Self::SHIFT)
    }

    /// How long a span of ticks is, in ns.
    #[inline(always)]
    #[must_use]
    pub const fn span_ns(span: u64) -> u64 {
        span << Self::SHIFT
    }

    /// Ticks from `earlier` to `self`, right across the wrap of the counter.
    #[inline(always)]
    #[must_use]
    pub const fn since(self, earlier: Self) -> u64 {
        self.0.wrapping_sub(earlier.0) & Self::MASK
    }
}

/// One attempt: door, steps made, and when its first knock came.
///
/// Bits 0 to 39 the start in [`Ticks`], 40 to 45 the steps made (1 to 31), 46 to 51 the door's
/// index, 52 to 63 the door's check. The word 0 is no attempt.
#[repr(transparent)]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Attempt(pub u64);

/// What a packet means to an attempt.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Meaning {
    /// The next step.
    Next,
    /// A step already made: a retransmission.
    Repeat,
    /// A later step of the same door, out of turn.
    OutOfTurn,
    /// No step of this door, and of a kind that a knock of it could be, or that opens a flow: a wrong knock, unless it
    /// goes where it does no harm.
    Stray,
    /// None of this door's business.
    Nothing,
}

impl Attempt {
    /// An attempt whose first knock came at `now`.
    #[inline(always)]
    #[must_use]
    pub const fn first(door_index: u32, check: u16, now: Ticks) -> Self {
        Self(now.0 | (1 << 40) | ((door_index as u64 & 0x3f) << 46) | ((check as u64 & 0xfff) << 52))
    }

    /// The index of the door, below [`crate::abi::rules::MAX_DOORS`].
    #[inline(always)]
    #[must_use]
    pub const fn door(self) -> u32 {
        (self.0 >> 46) as u32 & 0x3f
    }

    /// Steps made so far.
    #[inline(always)]
    #[must_use]
    pub const fn made(self) -> u32 {
        (self.0 >> 40) as u32 & 0x3f
    }

    /// When the first knock came.
    #[inline(always)]
    #[must_use]
    pub const fn started(self) -> Ticks {
        Ticks(self.0 & Ticks::MASK)
    }

    /// The twelve bits that tie the attempt to its door's definition.
    #[inline(always)]
    #[must_use]
    pub const fn check(self) -> u16 {
        (self.0 >> 52) as u16
    }

    /// The same attempt with one more step made.
    #[inline(always)]
    #[must_use]
    pub const fn advanced(self) -> Self {
        Self(self.0 + (1 << 40))
    }

    /// True if this is an attempt of `door` as it is defined now, younger than its `seq_timeout`.
    #[inline(always)]
    #[must_use]
    pub const fn is_live(self, door: &Door, now: Ticks) -> bool {
        self.made() != 0
            && self.check() == door.check
            && self.made() < door.steps as u32
            && now.since(self.started()) < door.seq_ticks
    }

    /// What a packet means that is the steps `steps` (bit 0 for step 1) of this attempt's door. `tries`: it
    /// is of a kind that could be a wrong knock of the door.
    #[inline(always)]
    #[must_use]
    pub const fn meaning(self, steps: u32, tries: bool) -> Meaning {
        let next = 1_u32 << (self.made() & 31);
        if steps & next != 0 {
            Meaning::Next
        } else if steps & (next - 1) != 0 {
            Meaning::Repeat
        } else if steps != 0 {
            Meaning::OutOfTurn
        } else if tries {
            Meaning::Stray
        } else {
            Meaning::Nothing
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::abi::flags::FlagTest;
    use crate::abi::grant::Prefix;
    use crate::abi::rules::Name;
    use crate::addr::Addr;

    #[test]
    fn a_word_holds_all_its_parts() {
        let attempt = Attempt::first(63, 0xabc, Ticks::at(u64::MAX)).advanced().advanced();
        assert_eq!((attempt.door(), attempt.check(), attempt.made()), (63, 0xabc, 3));
        assert_eq!(attempt.started(), Ticks::at(u64::MAX));
    }

    #[test]
    fn ages_are_right_across_the_wrap() {
        let wrap = 1_u64 << 56;
        assert_eq!(Ticks::at(wrap + (3 << 16)).since(Ticks::at(wrap - (2 << 16))), 5);
    }

    #[test]
    fn a_packet_means_the_next_step_before_anything_else() {
        let one = Attempt::first(0, 0, Ticks::at(0));
        let two = one.advanced();
        // 7000, 8000, 7000: port 7000 is steps 1 and 3.
        for tries in [false, true] {
            assert_eq!(two.meaning(0b101, tries), Meaning::Next);
            assert_eq!(one.meaning(0b101, tries), Meaning::Repeat);
            assert_eq!(one.meaning(0b010, tries), Meaning::Next);
            assert_eq!(one.meaning(0b100, tries), Meaning::OutOfTurn);
        }
        assert_eq!((one.meaning(0, true), one.meaning(0, false)), (Meaning::Stray, Meaning::Nothing));
    }

    #[test]
    fn only_an_attempt_of_its_door_that_is_young_and_not_done_is_live() {
        let door = Door {
            name: Name::EMPTY,
            tag: 1,
            check: 0xabc,
            steps: 3,
            action: 1,
            service: 0,
            slot: 0,
            flags: FlagTest::SYN,
            hooks: 0,
            left: 0,
            prefix_v4: Prefix::NONE,
            prefix_v6: Prefix::NONE,
            target: Addr::ANY,
            seq_ticks: 10,
            cmd_timeout: 0,
            once: 0,
        };
        let at = |tick: u64| Ticks::at(tick << 16);
        let first = Attempt::first(0, 0xabc, at(5));
        assert!(first.is_live(&door, at(5)) && first.is_live(&door, at(14)));
        assert!(!first.is_live(&door, at(15)), "too old");
        assert!(!first.is_live(&Door { check: 0xabd, ..door }, at(5)), "of another definition");
        assert!(first.advanced().is_live(&door, at(5)));
        assert!(!first.advanced().advanced().is_live(&door, at(5)), "done");
        assert!(!Attempt(0).is_live(&Door { check: 0, ..door }, at(0)), "the zeroed word");
    }
}
