//! A token on the wire: 48 octets, of which the first 16 are the MAC and the others the body under a mask (rules 20 to 28).

/// Octets of a token.
pub const TOKEN: usize = 48;
/// Its words, all of them little-endian.
pub const WORDS: usize = TOKEN / 4;
/// Words of the MAC, and of each half of the body.
pub const MAC_WORDS: usize = 4;

/// The version that is known.
pub const VERSION: u8 = 1;
/// Lanes: each has a last time of its own.
pub const LANES: usize = 4;

/// A bit of the flags: the MAC covers the source of the packet.
pub const STRICT: u8 = 1;
/// A bit of the flags: the token closes.
pub const CLOSE: u8 = 2;

/// Length of the UDP header and a token.
pub const UDP_LENGTH: u32 = 8 + TOKEN as u32;

/// A STUN Binding request with a token in it (RFC 8489): what a browser sends for a name that a page chose.
pub mod stun {
    /// Octets of the header.
    pub const HEADER: u32 = 20;
    /// The message type: Binding request.
    pub const BINDING_REQUEST: u16 = 0x0001;
    /// What follows the length, in network order.
    pub const COOKIE: u32 = 0x2112_a442;
    /// The type of the first attribute.
    pub const USERNAME: u16 = 0x0006;
    /// Octets before an attribute's value.
    pub const ATTRIBUTE: u32 = 4;
    /// Characters of base64 that a token makes.
    pub const CHARACTERS: usize = super::TOKEN / 3 * 4;
    /// What stands behind them.
    pub const END: u8 = b':';
    /// The shortest USERNAME that holds a token.
    pub const SHORTEST_NAME: u16 = CHARACTERS as u16 + 1;
    /// UDP header, STUN header, the attribute's, and what it must begin with.
    pub const SHORTEST: u32 = 8 + HEADER + ATTRIBUTE + SHORTEST_NAME as u32;
}

/// The first half of a body, two words: what is looked at before the MAC.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Head(pub [u64; 2]);

impl Head {
    /// The key.
    #[inline(always)]
    #[must_use]
    pub const fn id(self) -> u32 {
        self.0[0] as u32
    }

    /// [`STRICT`] and [`CLOSE`].
    #[inline(always)]
    #[must_use]
    pub const fn flags(self) -> u8 {
        (self.0[0] >> 40) as u8
    }

    /// The lane, below [`LANES`] where the head [is known](Self::is_known).
    #[inline(always)]
    #[must_use]
    pub const fn lane(self) -> u8 {
        (self.0[0] >> 48) as u8
    }

    /// When it was made, in ns since 1970.
    #[inline(always)]
    #[must_use]
    pub const fn time(self) -> u64 {
        self.0[1]
    }

    /// True if version, flags and lane are known, and the zero octet is zero.
    #[inline(always)]
    #[must_use]
    pub const fn is_known(self) -> bool {
        /// Version, flags, lane and zero octet, without the bits that may be anything.
        const FIXED: u32 = !(((STRICT | CLOSE) as u32) << 8 | (LANES as u32 - 1) << 16);
        (self.0[0] >> 32) as u32 & FIXED == VERSION as u32
    }
}

/// The second half of a body, two words: what a token asks for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Tail(pub [u64; 2]);

impl Tail {
    /// The door's tag.
    #[inline(always)]
    #[must_use]
    pub const fn door(self) -> u32 {
        self.0[0] as u32
    }

    /// For how long it opens at most, in s; 0: as long as the door.
    #[inline(always)]
    #[must_use]
    pub const fn ttl(self) -> u32 {
        (self.0[0] >> 32) as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(octets: [u8; 8]) -> Head {
        Head([u64::from_le_bytes(octets), 7])
    }

    #[test]
    fn a_head_is_taken_apart() {
        let head = head([0x90, 0xee, 0x12, 0x5f, 1, STRICT | CLOSE, 3, 0]);
        assert_eq!(head.id(), 0x5f12_ee90);
        assert_eq!((head.flags(), head.lane(), head.time()), (3, 3, 7));
        assert!(head.is_known());
    }

    #[test]
    fn a_head_with_anything_else_in_it_is_not_known() {
        let known = [1, 2, 3, 4, VERSION, 0, 0, 0];
        assert!(head(known).is_known());
        for at in 4..8 {
            for value in 0..=u8::MAX {
                let mut octets = known;
                octets[at] = value;
                let may_be = match at {
                    4 => value == VERSION,
                    5 => value & !(STRICT | CLOSE) == 0,
                    6 => usize::from(value) < LANES,
                    _ => value == 0,
                };
                assert_eq!(head(octets).is_known(), may_be, "octet {at} is {value}");
            }
        }
    }
}
