//! Which slot of a source's attempts each door uses.
//!
//! A source has [`SLOTS`] attempts at most. Doors that one packet can start, or of which one can
//! start while the other is under way, need different slots: colouring a graph.

use knock_common::abi::rules::SLOTS;

use crate::syntax::Port;

/// A door for which no slot is left.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Crowd {
    /// Its index.
    pub door: usize,
    /// The doors that share ports with it and have all the slots between them.
    pub others: Vec<usize>,
}

/// The remedy for a [`Crowd`].
pub const HELP: &str = "let fewer doors share their first knock";

/// What is wrong with a [`Crowd`].
#[must_use]
pub fn message(others: &[&str]) -> String {
    format!(
        "too many doors share their first knock with it ({}): at most {SLOTS} can be under way at once",
        others.join(", ")
    )
}

/// A slot for every door, in the order of `sequences`.
///
/// # Errors
///
/// [`Crowd`] if the doors get in each other's way too much.
pub fn assign(sequences: &[&[Port]]) -> Result<Vec<u8>, Crowd> {
    if sequences.len() <= SLOTS {
        return Ok((0..sequences.len() as u8).collect());
    }
    let count = sequences.len();
    let neighbours: Vec<Vec<usize>> = (0..count).map(|door| neighbours(sequences, door)).collect();
    let mut slots: Vec<Option<u8>> = vec![None; count];
    let taken = |slots: &[Option<u8>], door: usize| -> u32 {
        neighbours[door].iter().filter_map(|&other| slots[other]).fold(0, |taken, slot| taken | 1 << slot)
    };
    // The door with the fewest slots left is next (DSATUR); of equals, the first in the config.
    while let Some(door) = (0..count)
        .filter(|&door| slots[door].is_none())
        .max_by_key(|&door| (taken(&slots, door).count_ones(), neighbours[door].len(), count - door))
    {
        let taken = taken(&slots, door);
        let free = (0..SLOTS as u8).filter(|slot| taken & 1 << slot == 0);
        // The slot with the fewest doors: attempts of strangers then rarely replace each other.
        let slot = free.min_by_key(|slot| slots.iter().filter(|used| **used == Some(*slot)).count());
        let Some(slot) = slot else {
            let others = neighbours[door].iter().copied().filter(|&other| slots[other].is_some()).collect();
            return Err(Crowd { door, others });
        };
        slots[door] = Some(slot);
    }
    Ok(slots.into_iter().flatten().collect())
}

/// The doors that need another slot than this one.
#[must_use]
pub fn neighbours(sequences: &[&[Port]], door: usize) -> Vec<usize> {
    let conflicts = |other: &usize| *other != door && conflict(sequences[door], sequences[*other]);
    (0..sequences.len()).filter(conflicts).collect()
}

fn conflict(one: &[Port], other: &[Port]) -> bool {
    let starts_in = |a: &[Port], b: &[Port]| a.first().is_some_and(|first| b.contains(first));
    starts_in(one, other) || starts_in(other, one)
}

#[cfg(test)]
mod tests {
    use knock_common::packet::Transport;

    use super::*;

    fn ports(numbers: &[u16]) -> Vec<Port> {
        numbers.iter().map(|&number| Port { number, transport: Transport::Tcp }).collect()
    }

    fn assigned(sequences: &[Vec<Port>]) -> Result<Vec<u8>, Crowd> {
        assign(&sequences.iter().map(Vec::as_slice).collect::<Vec<_>>())
    }

    #[test]
    fn few_doors_have_a_slot_each() {
        let doors: Vec<_> = (0..8).map(|_| ports(&[7000, 8000])).collect();
        assert_eq!(assigned(&doors), Ok((0..8).collect()));
    }

    #[test]
    fn many_doors_share_slots_unless_they_meet() {
        // Each door's last step is the next one's first.
        let doors: Vec<_> = (0..64).map(|n| ports(&[1000 + n, 2000 + n, 1001 + n])).collect();
        let slots = assigned(&doors).unwrap();
        assert!(slots.iter().all(|&slot| usize::from(slot) < SLOTS));
        assert!(slots.windows(2).all(|pair| pair[0] != pair[1]), "{slots:?}");
    }

    #[test]
    fn doors_with_one_first_knock_have_slots_of_their_own() {
        let mut doors: Vec<_> = (0..8).map(|n| ports(&[7000, 8000 + n])).collect();
        doors.extend((0..56).map(|n| ports(&[9000 + n, 9100 + n])));
        let mut first = assigned(&doors).unwrap()[..8].to_vec();
        first.sort_unstable();
        assert_eq!(first, [0, 1, 2, 3, 4, 5, 6, 7]);
    }

    #[test]
    fn a_ninth_door_on_one_first_knock_is_one_too_many() {
        let doors: Vec<_> = (0..9).map(|n| ports(&[7000, 8000 + n])).collect();
        assert_eq!(assigned(&doors), Err(Crowd { door: 8, others: (0..8).collect() }));
    }
}
