//! Cells in which the ICMP errors of sources are counted: one word each, shared by those whose hash is the same.

use crate::addr::Addr;
use crate::siphash;

/// How many there are, a power of two. 64 KiB of words.
pub const ERROR_CELLS: u32 = 8192;

/// The cell of `source` under a random `key`: who does not know it cannot choose an address that uses up the errors of
/// another.
#[inline(always)]
#[must_use]
pub const fn cell_of(source: &Addr, key: [u64; 2]) -> u32 {
    let w = source.words();
    let words = [w[0] as u64 | (w[1] as u64) << 32, w[2] as u64 | (w[3] as u64) << 32];
    (siphash::of_words(key, words) >> (64 - ERROR_CELLS.trailing_zeros())) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_spread_over_the_cells() {
        let mut cells: Vec<u32> = (0..=255_u8).map(|last| cell_of(&Addr::from_v4([192, 0, 2, last]), [1, 2])).collect();
        assert!(cells.iter().all(|&cell| cell < ERROR_CELLS));
        cells.sort_unstable();
        cells.dedup();
        assert!(cells.len() > 240, "{} distinct cells of 256 sources", cells.len());
    }

    #[test]
    fn who_shares_a_cell_under_one_key_shares_none_under_another() {
        // Eight are expected of 65,536 sources in 8192 cells.
        let beside = |key: [u64; 2]| -> Vec<[u8; 4]> {
            let victim = cell_of(&Addr::from_v4([192, 0, 2, 1]), key);
            let all = (0..=u16::MAX).map(|number| [198, 51, (number >> 8) as u8, number as u8]);
            all.filter(|octets| cell_of(&Addr::from_v4(*octets), key) == victim).collect()
        };
        let (one, other) = (beside([1, 2]), beside([1, 3]));
        assert!(!one.is_empty() && !other.is_empty());
        let both = one.iter().filter(|octets| other.contains(octets)).count();
        assert!(both <= 1, "{both} of {} share the cell under both keys", one.len());
    }
}
