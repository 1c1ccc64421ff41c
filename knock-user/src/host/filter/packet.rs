//! The packet that is led through the rules.

use std::net::IpAddr;

use knock_common::packet::Transport;
use knock_common::packet::flags::TcpFlags;

/// What connection tracking makes of a packet that nobody has led through the filters yet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Tracked {
    /// It asks for a new connection.
    New,
    /// It belongs to one that connection tracking may know or not, as do its addresses and ports: a socket of this host has
    /// them.
    OfSocket,
    /// It belongs to one that connection tracking may know or not, and that may have been sent to another destination.
    OfFlow,
    /// It is a segment behind the first of its connection. If connection tracking does not know that, a sysctl says whether
    /// the segment is new or invalid; if it does, the numbers of the segment say whether it is part of it.
    Later,
}

/// A packet that asks for a new connection or belongs to one, or the answer to it. What is `None` may be anything.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Packet {
    /// The names of the devices through which it comes, from the one that receives it; none if they are not known.
    pub devices: Vec<String>,
    /// That of the interface on which the stack takes it to have come: of a bridge's port, the bridge. Empty for one of this
    /// host.
    pub interface: Option<String>,
    /// It comes through a port of a bridge.
    pub is_bridged: bool,
    /// IPv6, not IPv4.
    pub is_v6: bool,
    /// Where it comes from.
    pub source: Option<IpAddr>,
    /// Its source port.
    pub from: Option<u16>,
    /// Where it goes to.
    pub dest: Option<IpAddr>,
    /// That is an address of this host.
    pub is_own: bool,
    /// The port that it goes to.
    pub port: Option<u16>,
    /// TCP or UDP.
    pub transport: Transport,
    /// Its TCP flags.
    pub flags: u8,
    /// What connection tracking makes of it.
    pub tracked: Tracked,
}

impl Packet {
    /// True for a segment with flags that no connection has: connection tracking takes none such.
    pub fn is_invalid(&self) -> bool {
        // As `tcp_valid_flags` of the kernel has them.
        const MATTER: u8 = !(TcpFlags::PSH | TcpFlags::ECE | TcpFlags::CWR);
        const SOUND: [u8; 9] = [
            TcpFlags::SYN,
            TcpFlags::SYN | TcpFlags::URG,
            TcpFlags::SYN | TcpFlags::ACK,
            TcpFlags::RST,
            TcpFlags::RST | TcpFlags::ACK,
            TcpFlags::FIN | TcpFlags::ACK,
            TcpFlags::FIN | TcpFlags::ACK | TcpFlags::URG,
            TcpFlags::ACK,
            TcpFlags::ACK | TcpFlags::URG,
        ];
        self.transport == Transport::Tcp && !SOUND.contains(&(self.flags & MATTER))
    }

    /// The flags of the answer of a service; `None` for a segment that is answered by none.
    pub const fn flags_of_answer(&self) -> Option<u8> {
        flags_of_answer(self.transport, self.flags)
    }
}

/// The flags of a service's answer to a packet with these; `None` if it gets none.
const fn flags_of_answer(transport: Transport, flags: u8) -> Option<u8> {
    // A listener looks at RST and ACK before SYN, and passes over a segment that asks and ends at once.
    const MATTER: u8 = TcpFlags::SYN | TcpFlags::ACK | TcpFlags::RST | TcpFlags::FIN;
    match transport {
        Transport::Udp => Some(flags),
        Transport::Tcp if flags & MATTER == TcpFlags::SYN => Some(TcpFlags::SYN | TcpFlags::ACK),
        Transport::Tcp => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_answers_only_what_asks_for_a_connection() {
        const ANSWERED: [u8; 16] =
            [0x02, 0x0a, 0x22, 0x2a, 0x42, 0x4a, 0x62, 0x6a, 0x82, 0x8a, 0xa2, 0xaa, 0xc2, 0xca, 0xe2, 0xea];
        for flags in 0..=u8::MAX {
            let answer = flags_of_answer(Transport::Tcp, flags);
            let expected = ANSWERED.contains(&flags).then_some(TcpFlags::SYN | TcpFlags::ACK);
            assert_eq!(answer, expected, "{flags:#04x}");
        }
        assert_eq!(flags_of_answer(Transport::Udp, 0), Some(0));
    }
}
