//! Frames for tests: right by default, and wrong in any one place that a test asks for.
//!
//! ```
//! use tests::packet::{CLIENT_V4, PacketBuilder, SERVER_V4, SYN};
//!
//! let frame = PacketBuilder::between(CLIENT_V4, SERVER_V4).tcp(40_000, 2222, SYN).build();
//! assert_eq!(frame.len(), 14 + 20 + 20);
//! ```

mod builder;
pub mod checksum;
pub mod extension;
mod foreign;
pub mod token;
mod transport;

use std::net::{Ipv4Addr, Ipv6Addr};

pub use builder::{HERE, PacketBuilder};
pub use extension::Extension;
pub use foreign::{arp_request, ethernet, neighbour_solicitation};
pub use transport::{ICMP, ICMP6, TCP, UDP};

/// TCP flag.
pub const FIN: u8 = 0x01;
/// TCP flag.
pub const SYN: u8 = 0x02;
/// TCP flag.
pub const RST: u8 = 0x04;
/// TCP flag.
pub const PSH: u8 = 0x08;
/// TCP flag.
pub const ACK: u8 = 0x10;
/// TCP flag.
pub const URG: u8 = 0x20;
/// TCP flag.
pub const ECE: u8 = 0x40;
/// TCP flag.
pub const CWR: u8 = 0x80;

/// A host that knocks.
pub const CLIENT_V4: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 7);
/// A host that does not know the sequence.
pub const STRANGER_V4: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 66);
/// The host behind the gate.
pub const SERVER_V4: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
/// A host that knocks.
pub const CLIENT_V6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 100, 0, 0, 0, 7);
/// A host that does not know the sequence.
pub const STRANGER_V6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 100, 0, 0, 0, 0x66);
/// The host behind the gate.
pub const SERVER_V6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 2, 0, 0, 0, 1);

/// IEEE 802.1Q.
pub const VLAN: u16 = 0x8100;
/// IEEE 802.1ad.
pub const SERVICE_VLAN: u16 = 0x88a8;
/// The pre-standard stacked tag.
pub const OLD_VLAN: u16 = 0x9100;
/// `EtherType` of IPv4.
pub const IPV4: u16 = 0x0800;
/// `EtherType` of IPv6.
pub const IPV6: u16 = 0x86dd;
/// `EtherType` of ARP.
pub const ARP: u16 = 0x0806;
