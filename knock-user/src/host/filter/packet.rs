//! The packet that is led through the rules.

use std::net::IpAddr;

use knock_common::flags::TcpFlags;
use knock_common::packet::Transport;

/// A packet that asks for a new connection, or the answer to it. What is `None` may be anything.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Packet {
    /// The name of the device that receives it.
    pub device: Option<String>,
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
}

impl Packet {
    /// The flags of the answer of a service; `None` for a segment that is answered by none.
    pub fn flags_of_answer(&self) -> Option<u8> {
        match self.transport {
            Transport::Udp => Some(self.flags),
            Transport::Tcp => (self.flags & TcpFlags::SYN != 0).then_some(TcpFlags::SYN | TcpFlags::ACK),
        }
    }
}
