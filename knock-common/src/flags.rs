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
    /// The default: SYN set and ACK clear. An answer (SYN and ACK) asks for no connection, so it would
    /// end no attempt, and a sweep of them could walk through a sequence.
    pub const SYN: Self = Self { set: TcpFlags::SYN, clear: TcpFlags::ACK };

    /// True if `flags` has every bit of `set` and none of `clear`.
    #[inline(always)]
    #[must_use]
    pub const fn accepts(self, flags: TcpFlags) -> bool {
        flags.0 & (self.set | self.clear) == self.set
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
    fn negated_names_must_be_clear() {
        let test = FlagTest { set: TcpFlags::SYN, clear: TcpFlags::ACK };
        assert!(test.accepts(TcpFlags(TcpFlags::SYN | TcpFlags::ECE)));
        assert!(!test.accepts(TcpFlags(TcpFlags::SYN | TcpFlags::ACK)));
        assert!(!test.accepts(TcpFlags(TcpFlags::PSH)));
    }
}
