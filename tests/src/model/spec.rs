//! A packet as a description, and the frame that fits it.

use std::net::IpAddr;

use super::Source;
use super::config::{Port, Protocol};
use crate::links;
use crate::packet::extension::{DESTINATION, Extension, HOP_BY_HOP};
use crate::packet::{ACK, OLD_VLAN, PacketBuilder, RST, SERVICE_VLAN, SYN, VLAN};

/// Which part of a packet a frame holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fragment {
    /// All of it.
    Whole,
    /// The first fragment, with ports and flags.
    First,
    /// The first fragment, with the ports and not the flags (TCP), or half the header (UDP).
    PortsOnly,
    /// The first fragment, without the ports.
    Tiny,
    /// The fragment at offset 8.
    Second,
    /// A fragment further back.
    Later,
    /// All of it, behind a fragment header (IPv6).
    Atomic,
}

/// Whether the checksums of a packet are right.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Checksum {
    /// All of them.
    Right,
    /// That of the IPv4 header is not.
    WrongHeader,
    /// That of the transport is not.
    Wrong,
    /// UDP without one.
    Absent,
}

/// A packet.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PacketSpec {
    /// Index of the interface on which it comes, of [`links::ALL`].
    pub interface: u32,
    /// Source address.
    pub source: IpAddr,
    /// Destination address, of the same family.
    pub dest: IpAddr,
    /// Source port.
    pub from: u16,
    /// Destination port.
    pub to: Port,
    /// TCP flags; of no meaning for UDP.
    pub flags: u8,
    /// Which part of it the frame holds.
    pub fragment: Fragment,
    /// Whether its checksums are right.
    pub checksum: Checksum,
    /// VLAN tags, the outermost first.
    pub tags: Vec<u16>,
    /// IPv6 extension headers, besides a fragment header; over IPv4 words of options, at most 10.
    pub extensions: u8,
    /// The frame went to a group MAC address.
    pub group: bool,
    /// The length in the IP header is 0. Never with a fragment.
    pub jumbo: bool,
    /// Octets behind the transport header.
    pub payload: u8,
    /// The frame ends before the packet does. Never with a length of 0.
    pub cut: bool,
}

impl PacketSpec {
    /// A whole and right packet; TCP with SYN.
    #[must_use]
    pub fn new(source: IpAddr, dest: IpAddr, to: Port) -> Self {
        Self {
            interface: links::LO,
            source,
            dest,
            from: 40_000,
            to,
            flags: SYN,
            fragment: Fragment::Whole,
            checksum: Checksum::Right,
            tags: Vec::new(),
            extensions: 0,
            group: false,
            jumbo: false,
            payload: 0,
            cut: false,
        }
    }

    /// Who sends it.
    #[must_use]
    pub fn sender(&self) -> Source {
        Source::on(self.source, self.interface)
    }

    /// True if the packet asks for a new flow: UDP; TCP with SYN and without ACK; TCP with none of
    /// SYN, ACK and RST.
    #[must_use]
    pub fn opens(&self) -> bool {
        let has = |flag| self.flags & flag != 0;
        match self.to.1 {
            Protocol::Udp => true,
            Protocol::Tcp if has(SYN) => !has(ACK),
            Protocol::Tcp => !has(ACK) && !has(RST),
        }
    }

    /// True if the source is link-local, and not as such addresses are: behind the first 32 bits 32 zeros.
    #[must_use]
    pub fn is_zoneless(&self) -> bool {
        match self.source {
            IpAddr::V4(_) => false,
            IpAddr::V6(source) => source.is_unicast_link_local() && source.segments()[2..4] != [0, 0],
        }
    }

    /// True if every checksum is right, or left out where that is allowed.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        match self.checksum {
            Checksum::Right => true,
            Checksum::WrongHeader => self.source.is_ipv6(),
            Checksum::Wrong => false,
            Checksum::Absent => self.source.is_ipv4(),
        }
    }

    /// True if one of the tags is of no type that marks a VLAN, so that the frame is not IP at all.
    #[must_use]
    pub fn is_foreign(&self) -> bool {
        self.tags.iter().any(|tag| ![VLAN, SERVICE_VLAN, OLD_VLAN].contains(tag))
    }

    /// Headers between the IPv6 header and the transport.
    #[must_use]
    pub fn depth(&self) -> usize {
        let header = self.source.is_ipv6() && self.fragment != Fragment::Whole;
        if self.source.is_ipv6() { usize::from(self.extensions) + usize::from(header) } else { 0 }
    }

    /// The frame.
    #[must_use]
    pub fn frame(&self) -> Vec<u8> {
        let mut builder = PacketBuilder::between(self.source, self.dest).vlans(&self.tags);
        if self.group {
            builder = builder.broadcast();
        }
        if self.source.is_ipv4() {
            builder = builder.options(&vec![1; usize::from(self.extensions) * 4]);
        } else {
            for index in 0..self.extensions {
                let kind = if index == 0 { HOP_BY_HOP } else { DESTINATION };
                builder = builder.extension(Extension::generic(kind, 1 + u16::from(index) % 3));
            }
        }
        builder = match self.to.1 {
            Protocol::Tcp => builder.tcp(self.from, self.to.0, self.flags),
            Protocol::Udp => builder.udp(self.from, self.to.0),
        };
        builder = builder.payload(&vec![0x5a; usize::from(self.payload)]);
        builder = match self.fragment {
            Fragment::Whole => builder,
            Fragment::First => builder.first_fragment(16),
            Fragment::PortsOnly => builder.first_fragment(if self.to.1 == Protocol::Tcp { 8 } else { 4 }),
            Fragment::Tiny => builder.first_fragment(0),
            Fragment::Second => builder.later_fragment(1, true),
            Fragment::Later => builder.later_fragment(3, false),
            Fragment::Atomic => builder.fragment(0, false),
        };
        if self.jumbo {
            builder = builder.ip_length(0);
        }
        builder = match self.checksum {
            Checksum::Right => builder,
            Checksum::WrongHeader => builder.wrong_header_checksum(),
            Checksum::Wrong => builder.wrong_checksum(),
            Checksum::Absent => builder.without_udp_checksum(),
        };
        let mut frame = builder.build();
        if self.cut {
            frame.pop();
        }
        frame
    }
}
