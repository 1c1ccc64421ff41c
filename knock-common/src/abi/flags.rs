//! TCP flags (RFC 9293, 3.1) and what a door asks of them.

/// The flag octet of a TCP header: CWR ECE URG ACK PSH RST SYN FIN.
#[repr(transparent)]
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct TcpFlags(pub u8);

impl TcpFlags {
    /// No more data from the sender.
    pub const FIN: u8 = 0x01;
    /// Synchronize sequence numbers.
    pub const SYN: u8 = 0x02;
    /// Reset the connection.
    pub const RST: u8 = 0x04;
    /// Push.
    pub const PSH: u8 = 0x08;
    /// The acknowledgment field is significant.
    pub const ACK: u8 = 0x10;
    /// The urgent pointer is significant.
    pub const URG: u8 = 0x20;
    /// ECN echo (RFC 3168).
    pub const ECE: u8 = 0x40;
    /// Congestion window reduced (RFC 3168).
    pub const CWR: u8 = 0x80;

    /// The names that `tcpflags` takes, with their bits.
    pub const NAMES: [(&'static str, u8); 8] = [
        ("fin", Self::FIN),
        ("syn", Self::SYN),
        ("rst", Self::RST),
        ("psh", Self::PSH),
        ("ack", Self::ACK),
        ("urg", Self::URG),
        ("ece", Self::ECE),
        ("cwr", Self::CWR),
    ];

    /// True if one of these flags is set.
    #[inline(always)]
    #[must_use]
    pub const fn has(self, flags: u8) -> bool {
        self.0 & flags != 0
    }

    /// True for a segment that asks for a connection (SYN without ACK) or that no live connection
    /// sends (none of SYN, ACK and RST: every legal segment after the SYN carries ACK or RST).
    #[inline(always)]
    #[must_use]
    pub const fn opens(self) -> bool {
        let syn_ack = self.0 & (Self::SYN | Self::ACK);
        syn_ack == Self::SYN || self.0 & (Self::SYN | Self::ACK | Self::RST) == 0
    }
}

/// The `tcpflags` of a door: bits that must be set and bits that must be clear.
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FlagTest {
    /// Bits that must be set.
    pub set: u8,
    /// Bits that must be clear (a name with `!`).
    pub clear: u8,
}

impl FlagTest {
    /// The default: SYN set and ACK clear. An answer (SYN and ACK) asks for no connection.
    pub const SYN: Self = Self { set: TcpFlags::SYN, clear: TcpFlags::ACK };

    /// True if `flags` has every bit of `set` and none of `clear`.
    #[inline(always)]
    #[must_use]
    pub const fn accepts(self, flags: TcpFlags) -> bool {
        self.unlike(flags) == 0
    }

    /// The bits that are not as they must be.
    #[inline(always)]
    #[must_use]
    pub const fn unlike(self, flags: TcpFlags) -> u8 {
        (flags.0 ^ self.set) & (self.set | self.clear)
    }
}

/// Which TCP segments to unrelated ports may end an attempt (rule 4). Those whose FIN, SYN, RST, PSH, ACK and URG make the
/// number N have bit 63 - N, so that a shift by N makes it the sign.
#[repr(transparent)]
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Segments(pub u64);

impl Segments {
    const FLAGS: u8 = 0x3f;
    const HIGHEST: u64 = 1 << Self::FLAGS;

    /// Those that open a flow.
    pub const OPENING: Self = {
        let (mut bits, mut flags) = (0, 0);
        while flags <= Self::FLAGS {
            if TcpFlags(flags).opens() {
                bits |= Self::HIGHEST >> flags;
            }
            flags += 1;
        }
        Self(bits)
    };

    /// These, and those that could be knocks of a door with this `tcpflags`.
    #[must_use]
    pub const fn and(self, test: FlagTest) -> Self {
        // The other two flags may be anything.
        let test = FlagTest { set: test.set & Self::FLAGS, clear: test.clear & Self::FLAGS };
        let (mut bits, mut flags) = (self.0, 0);
        while flags <= Self::FLAGS {
            if test.accepts(TcpFlags(flags)) {
                bits |= Self::HIGHEST >> flags;
            }
            flags += 1;
        }
        Self(bits)
    }

    /// True if a segment with these flags is one of them.
    #[inline(always)]
    #[must_use]
    pub const fn has(self, flags: TcpFlags) -> bool {
        self.mask(flags) != 0
    }

    /// All bits if a segment with these flags is one of them, and none if not.
    #[inline(always)]
    #[must_use]
    pub const fn mask(self, flags: TcpFlags) -> u64 {
        ((self.0 << (flags.0 & Self::FLAGS)) as i64 >> 63) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_connection_requests_and_bare_probes_open() {
        let opens = |bits| TcpFlags(bits).opens();
        assert!(opens(TcpFlags::SYN));
        assert!(opens(TcpFlags::SYN | TcpFlags::FIN));
        assert!(opens(TcpFlags::SYN | TcpFlags::RST));
        assert!(opens(TcpFlags::SYN | TcpFlags::ECE | TcpFlags::CWR));
        assert!(opens(0));
        assert!(opens(TcpFlags::FIN | TcpFlags::PSH | TcpFlags::URG));
        assert!(!opens(TcpFlags::ACK));
        assert!(!opens(TcpFlags::SYN | TcpFlags::ACK));
        assert!(!opens(TcpFlags::RST));
        assert!(!opens(TcpFlags::FIN | TcpFlags::ACK));
    }

    #[test]
    fn a_set_of_segments_holds_what_opens_and_what_a_door_takes() {
        let tests = [(0, 0), (0, TcpFlags::SYN), (TcpFlags::ACK, TcpFlags::URG), (TcpFlags::SYN | TcpFlags::ECE, 0)];
        for (set, clear) in tests {
            let test = FlagTest { set, clear };
            let of_door = Segments::OPENING.and(test);
            for flags in (0..=u8::MAX).map(TcpFlags) {
                assert_eq!(Segments::OPENING.has(flags), flags.opens(), "{flags:?}");
                assert!(of_door.has(flags) || !flags.opens() && !test.accepts(flags), "{flags:?} {test:?}");
                // Of flags that it does not know, it holds what any of them would make.
                let unknown = !Segments::FLAGS;
                let with_all = TcpFlags(flags.0 & !(clear & unknown) | set & unknown);
                assert_eq!(of_door.has(flags), flags.opens() || test.accepts(with_all), "{flags:?} {test:?}");
            }
        }
        assert_eq!(Segments::OPENING.and(FlagTest::SYN), Segments::OPENING);
        assert_eq!(Segments::OPENING.and(FlagTest { set: 0, clear: 0 }), Segments(u64::MAX));
    }

    #[test]
    fn negated_names_must_be_clear() {
        let test = FlagTest { set: TcpFlags::SYN, clear: TcpFlags::ACK };
        assert!(test.accepts(TcpFlags(TcpFlags::SYN | TcpFlags::ECE)));
        assert!(!test.accepts(TcpFlags(TcpFlags::SYN | TcpFlags::ACK)));
        assert!(!test.accepts(TcpFlags(TcpFlags::PSH)));
    }
}
