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
    pub fn flags_of_answer(&self) -> Option<u8> {
        match self.transport {
            Transport::Udp => Some(self.flags),
            Transport::Tcp => (self.flags & TcpFlags::SYN != 0).then_some(TcpFlags::SYN | TcpFlags::ACK),
        }
    }
}
