//! The sequence that a door has in force, as `rules` compiles it.

use knock_common::abi::rules::Name;

use super::key;
use crate::syntax::Port;

/// What opens the door, by how often it does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Sequence<'a> {
    /// Any number of times.
    Fixed(&'a [Port]),
    /// Once: it is of a file.
    OneTime {
        /// Its steps; none if no sequence is left.
        steps: &'a [Port],
        /// Sequences of the file that can be used, this one among them.
        left: usize,
    },
}

impl<'a> Sequence<'a> {
    /// The ports, in turn.
    #[must_use]
    pub const fn steps(self) -> &'a [Port] {
        match self {
            Self::Fixed(steps) | Self::OneTime { steps, .. } => steps,
        }
    }

    /// The number by which the kernel knows that this door's sequence was used; 0 if it may be used again.
    #[must_use]
    pub fn once(self, door: &Name) -> u64 {
        match self {
            Self::Fixed(_) => 0,
            Self::OneTime { steps, .. } => key(door, steps),
        }
    }

    /// How many are left, for `status`, as far as 16 bits tell; 0 of one that may be used again.
    #[must_use]
    pub fn left(self) -> u16 {
        match self {
            Self::Fixed(_) => 0,
            Self::OneTime { left, .. } => u16::try_from(left).unwrap_or(u16::MAX),
        }
    }
}

#[cfg(test)]
mod tests {
    use knock_common::packet::Transport;

    use super::*;

    const STEPS: [Port; 2] =
        [Port { number: 7000, transport: Transport::Tcp }, Port { number: 8000, transport: Transport::Udp }];

    #[test]
    fn what_may_be_used_again_has_no_number_and_none_is_left_of_it() {
        let door = Name::new("d").unwrap();
        let fixed = Sequence::Fixed(&STEPS);
        assert_eq!((fixed.steps(), fixed.once(&door), fixed.left()), (&STEPS[..], 0, 0));
    }

    #[test]
    fn what_is_good_for_once_is_known_by_its_door_and_its_steps() {
        let (door, other) = (Name::new("d").unwrap(), Name::new("e").unwrap());
        let once = |steps| Sequence::OneTime { steps, left: 7 };
        let numbers = [
            once(&STEPS[..]).once(&door),
            once(&STEPS[..]).once(&other),
            once(&STEPS[..1]).once(&door),
            // Nothing is left, and a use of that would be noted as well.
            once(&[]).once(&door),
        ];
        assert!((0..4).all(|one| numbers[one] != 0 && (0..one).all(|other| numbers[one] != numbers[other])));
        assert_eq!((once(&STEPS[..]).steps(), once(&STEPS).left()), (&STEPS[..], 7));
    }

    #[test]
    fn more_are_left_than_a_number_of_the_rules_can_say() {
        let left = |left| Sequence::OneTime { steps: &STEPS, left }.left();
        assert_eq!([left(0), left(65_535), left(65_536), left(usize::MAX)], [0, 65_535, 65_535, 65_535]);
    }
}
