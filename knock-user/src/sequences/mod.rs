//! The sequences of doors, as data that `rules` compiles: fixed ones and those of one time, the files that list these,
//! and the numbers by which the kernel knows them; and which slot the attempts at each have.

mod list;
mod place;
mod sequence;
pub mod slots;

use knock_common::abi::rules::Name;
use knock_common::hash::fnv1a_64;

pub use list::{Sheet, SheetLine};
pub use place::{out_of_reach, remedy};
pub use sequence::Sequence;

use crate::syntax::Port;

/// So few are left that somebody should add some.
pub const FEW: usize = 3;

/// The number of a door's one-time sequence, by which the kernel knows it; never 0.
#[must_use]
pub fn key(door: &Name, sequence: &[Port]) -> u64 {
    let mut octets = door.tag().to_le_bytes().to_vec();
    for step in sequence {
        octets.extend(step.number.to_le_bytes());
        octets.push(step.transport as u8);
    }
    fnv1a_64(&octets).max(1)
}
