//! What the network layer says of the transport header behind it.

use super::other::Other;

/// What the network layer has found out about the transport header.
pub(super) struct Network {
    /// Offset of the header.
    pub offset: u32,
    /// Bytes from there on, by the IP header's length.
    pub length: u32,
    /// IP protocol number.
    pub protocol: u8,
    /// More fragments follow.
    pub fragment: bool,
    /// No knock, whatever it holds: a jumbogram, or an atomic fragment.
    pub never_knock: bool,
}

impl Network {
    /// Nothing: what the network layers fill in.
    pub const BLANK: Self = Self { offset: 0, length: 0, protocol: 0, fragment: false, never_knock: false };

    /// Lets a rare path work on a copy. Only the copy then has an address, and the common path keeps
    /// its fields in registers.
    #[inline(always)]
    pub fn with_copy(&mut self, work: impl FnOnce(&mut Self) -> Result<(), Other>) -> Result<(), Other> {
        let mut copy = Self { ..*self };
        work(&mut copy)?;
        *self = copy;
        Ok(())
    }

    /// Steps over a header of `size` bytes; an error if the packet is not that long.
    #[inline(always)]
    pub fn step(&mut self, size: u32) -> Result<(), Other> {
        if size > self.length {
            return Err(self.short());
        }
        self.offset += size;
        self.length -= size;
        Ok(())
    }

    /// What a header is that ends before it should: a chain that a first fragment cuts short hides
    /// the ports (RFC 7112).
    #[inline(always)]
    pub fn short(&self) -> Other {
        if self.fragment { Other::TinyFragment } else { Other::Malformed }
    }
}
