//! The bytes of a frame, as the kernel or the host holds them.

/// Read access to a frame from its Ethernet header on. Every view is checked once, as a whole.
pub trait Frame {
    /// `N` bytes of the frame.
    type View<const N: usize>: View;

    /// The `N` bytes at `offset`, or `None` if the frame (its linear part, in the kernel) does
    /// not hold all of them.
    fn view<const N: usize>(&self, offset: u32) -> Option<Self::View<N>>;

    /// The `N` bytes behind the first `skipped`, which are few and of a number that the program chooses.
    #[inline(always)]
    fn start<const N: usize>(&self, skipped: u32) -> Option<Self::View<N>> {
        self.view(skipped)
    }

    /// The same number. In the kernel the verifier forgets what bounds it had, so that it need not
    /// follow the rest for every way by which a rare path came to it.
    #[inline(always)]
    fn forget(value: u32) -> u32 {
        value
    }

    /// True if the whole frame, all buffers of a multi-buffer frame included, is at least
    /// `length` bytes long.
    fn reaches(&self, length: u32) -> bool;
}

/// A frame that an answer is written over.
pub trait FrameMut: Frame {
    /// Puts `added` bytes before the first one, and cuts the frame off, or fills it up, to `length`.
    /// False if it cannot. What the new bytes hold is anybody's guess.
    fn resize(&mut self, added: u32, length: u32) -> bool;

    /// Writes `bytes` at `offset`; `None` if the frame does not reach that far.
    fn put<const N: usize>(&mut self, offset: u32, bytes: &[u8; N]) -> Option<()>;
}

/// Fields of a checked run of bytes. `index` counts from its start and must lie within it.
pub trait View {
    /// One octet.
    fn octet(&self, index: usize) -> u8;
    /// A 16-bit field in network order.
    fn be16(&self, index: usize) -> u16;
    /// Four octets as they lie in memory.
    fn word(&self, index: usize) -> u32;

    /// [`Self::octet`] at a fixed place, which the kernel loads by one instruction.
    fn octet_at<const AT: usize>(&self) -> u8;
    /// [`Self::be16`] at a fixed place.
    fn be16_at<const AT: usize>(&self) -> u16;
    /// [`Self::word`] at a fixed place.
    fn word_at<const AT: usize>(&self) -> u32;

    /// `sum` plus the words of the first `length` octets, a multiple of four: a step of the Internet
    /// checksum (RFC 1071), not folded. The kernel has a helper for it.
    #[inline(always)]
    fn sum(&self, sum: u64, length: usize) -> u64 {
        let mut total = sum;
        let mut index = 0;
        while index < length {
            total += u64::from(self.word(index));
            index += 4;
        }
        total
    }
}

/// Offsets past this hold no header that the gate looks at: eight extension headers of the
/// longest kind end below.
pub const MAX_OFFSET: u32 = 0x7fff;

impl<const N: usize> View for [u8; N] {
    #[inline(always)]
    fn octet(&self, index: usize) -> u8 {
        self[index]
    }

    #[inline(always)]
    fn be16(&self, index: usize) -> u16 {
        u16::from_be_bytes([self[index], self[index + 1]])
    }

    #[inline(always)]
    fn word(&self, index: usize) -> u32 {
        u32::from_ne_bytes([self[index], self[index + 1], self[index + 2], self[index + 3]])
    }

    #[inline(always)]
    fn octet_at<const AT: usize>(&self) -> u8 {
        self.octet(AT)
    }

    #[inline(always)]
    fn be16_at<const AT: usize>(&self) -> u16 {
        self.be16(AT)
    }

    #[inline(always)]
    fn word_at<const AT: usize>(&self) -> u32 {
        self.word(AT)
    }
}

impl Frame for [u8] {
    type View<const N: usize> = [u8; N];

    fn view<const N: usize>(&self, offset: u32) -> Option<[u8; N]> {
        if offset > MAX_OFFSET {
            return None;
        }
        self.get(offset as usize..)?.first_chunk().copied()
    }

    fn reaches(&self, length: u32) -> bool {
        self.len() >= length as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn views_stop_at_the_end() {
        let frame: &[u8] = &[1, 2, 3];
        assert_eq!(frame.view::<2>(1), Some([2, 3]));
        assert_eq!(frame.view::<2>(2), None);
        assert_eq!(frame.view::<1>(u32::MAX), None);
    }

    #[test]
    fn fields_are_read_in_network_order() {
        let view = [0x12, 0x34, 0x56, 0x78];
        assert_eq!(view.be16(1), 0x3456);
        assert_eq!(view.word(0).to_ne_bytes(), view);
    }
}
