//! A filter in front of the attempt table: most traffic learns from one array look-up that its
//! source has no attempt, without a hash look-up.

use crate::addr::Addr;

/// Cells in the filter, a power of two. 64 KiB of words.
pub const ATTEMPT_CELLS: u32 = 8192;

/// The cell of `source`. Sources may share one; that only costs the look-up it saves. The cell
/// holds the boot time in ns after which no attempt of its sources is live, or 0.
#[inline(always)]
#[must_use]
pub const fn cell_of(source: &Addr) -> u32 {
    let w = source.words();
    let low = (w[3] as u64) | ((w[1] as u64) << 32);
    let high = (w[2] as u64) | ((w[0] as u64) << 32);
    let mixed = (low ^ high.rotate_left(23)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (mixed >> 51) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_spread_over_the_cells() {
        let mut cells: Vec<u32> = (0..=255_u8).map(|last| cell_of(&Addr::from_v4([192, 0, 2, last]))).collect();
        assert!(cells.iter().all(|&cell| cell < ATTEMPT_CELLS));
        cells.sort_unstable();
        cells.dedup();
        assert!(cells.len() > 240, "{} distinct cells of 256 sources", cells.len());
    }
}
