//! What a network stack could at best make of a frame: written apart from the gate's own reader, the plain
//! way, and more willing than any stack is.

use std::net::IpAddr;

use crate::model::{Port, Protocol};
use crate::packet::extension::{AUTHENTICATION, DESTINATION, FRAGMENT, HIP, HOP_BY_HOP, MOBILITY, ROUTING, SHIM6};
use crate::packet::{ACK, IPV4, IPV6, OLD_VLAN, RST, SERVICE_VLAN, SYN, TCP, UDP, VLAN};

/// A TCP segment or UDP datagram, or the beginning of one.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Segment {
    /// Source address.
    pub source: IpAddr,
    /// Source port.
    pub from: u16,
    /// Destination address.
    pub dest: IpAddr,
    /// Destination port.
    pub to: Port,
    /// TCP flags, if the frame holds them.
    pub flags: Option<u8>,
    /// No length or header contradicts another, and nothing is nested deeper than the gate reads: what a
    /// connection sends and a path may make of it.
    pub is_sound: bool,
}

impl Segment {
    /// True if it may ask for a new flow.
    #[must_use]
    pub fn may_open(&self) -> bool {
        match (self.to.1, self.flags) {
            (Protocol::Udp, _) | (Protocol::Tcp, None) => true,
            (Protocol::Tcp, Some(flags)) if flags & SYN != 0 => flags & ACK == 0,
            (Protocol::Tcp, Some(flags)) => flags & (ACK | RST) == 0,
        }
    }

    /// True if an established connection sends such a segment, or a path makes it of one.
    #[must_use]
    pub fn may_belong(&self) -> bool {
        self.is_sound && self.to.1 == Protocol::Tcp && self.flags.is_some() && !self.may_open()
    }
}

/// Reads a frame; `None` if there is nothing with ports in it.
#[must_use]
pub fn read(frame: &[u8]) -> Option<Segment> {
    let mut kind = be16(frame, 12)?;
    let mut packet = frame.get(14..)?;
    let mut tags = 0;
    while [VLAN, SERVICE_VLAN, OLD_VLAN].contains(&kind) {
        kind = be16(packet, 2)?;
        packet = packet.get(4..)?;
        tags += 1;
    }
    let segment = match (kind, packet.first()? >> 4) {
        (IPV4, 4) => ipv4(packet),
        (IPV6, 6) => ipv6(packet),
        _ => None,
    };
    segment.map(|segment| Segment { is_sound: segment.is_sound && tags <= 2, ..segment })
}

fn be16(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes([*bytes.get(at)?, *bytes.get(at + 1)?]))
}

fn ipv4(packet: &[u8]) -> Option<Segment> {
    let header = usize::from(packet.first()? & 15) * 4;
    let total = usize::from(be16(packet, 2)?);
    let fragment = be16(packet, 6)?;
    if header < 20 || fragment & 0x1fff != 0 {
        return None;
    }
    let mut body = Body {
        source: IpAddr::from(<[u8; 4]>::try_from(packet.get(12..16)?).ok()?),
        dest: IpAddr::from(<[u8; 4]>::try_from(packet.get(16..20)?).ok()?),
        bytes: packet.get(header..)?,
        claimed: total.saturating_sub(header),
        protocol: *packet.get(9)?,
        is_first: fragment & 0x2000 != 0,
        is_sound: total >= header && total <= packet.len(),
    };
    if body.protocol == AUTHENTICATION {
        body.protocol = *body.bytes.first()?;
        body.step((usize::from(*body.bytes.get(1)?) + 2) * 4)?;
    }
    body.segment()
}

fn ipv6(packet: &[u8]) -> Option<Segment> {
    let payload = usize::from(be16(packet, 4)?);
    let source = IpAddr::from(<[u8; 16]>::try_from(packet.get(8..24)?).ok()?);
    let dest = IpAddr::from(<[u8; 16]>::try_from(packet.get(24..40)?).ok()?);
    // Neither is any host's on the wire.
    let is_mapped = source.to_canonical().is_ipv4() || dest.to_canonical().is_ipv4();
    let mut body = Body {
        source,
        dest,
        bytes: packet.get(40..)?,
        claimed: payload,
        protocol: *packet.get(6)?,
        is_first: false,
        is_sound: payload > 0 && payload + 40 <= packet.len() && !is_mapped,
    };
    let mut headers = 0;
    while let kind @ (HOP_BY_HOP | ROUTING | FRAGMENT | AUTHENTICATION | DESTINATION | MOBILITY | HIP | SHIM6) =
        body.protocol
    {
        let units = usize::from(*body.bytes.get(1)?);
        let length = match kind {
            FRAGMENT => {
                let field = be16(body.bytes, 2)?;
                if field >> 3 != 0 {
                    return None;
                }
                body.is_first |= field & 1 != 0;
                8
            }
            AUTHENTICATION => (units + 2) * 4,
            _ => (units + 1) * 8,
        };
        body.is_sound &= body.claimed >= 8;
        body.protocol = *body.bytes.first()?;
        body.step(length)?;
        headers += 1;
    }
    body.is_sound &= headers <= 8;
    body.segment()
}

/// What is left of a packet.
struct Body<'a> {
    source: IpAddr,
    dest: IpAddr,
    bytes: &'a [u8],
    /// Its length by the IP header.
    claimed: usize,
    protocol: u8,
    /// More fragments follow.
    is_first: bool,
    is_sound: bool,
}

impl Body<'_> {
    fn step(&mut self, length: usize) -> Option<()> {
        self.is_sound &= length <= self.claimed;
        self.claimed = self.claimed.saturating_sub(length);
        self.bytes = self.bytes.get(length..)?;
        Some(())
    }

    fn segment(self) -> Option<Segment> {
        let protocol = match self.protocol {
            TCP => Protocol::Tcp,
            UDP => Protocol::Udp,
            _ => return None,
        };
        let (from, to) = (be16(self.bytes, 0)?, be16(self.bytes, 2)?);
        // Octets that the header does not count are no part of it, but a willing stack may read them.
        let flags = self.bytes.get(13).copied().filter(|_| protocol == Protocol::Tcp);
        let header = usize::from(self.bytes.get(12).copied().unwrap_or(0) >> 4) * 4;
        let is_whole = header >= 20 && self.claimed >= 14 && (self.is_first || header <= self.claimed);
        Some(Segment {
            source: self.source,
            from,
            dest: self.dest,
            to: Port(to, protocol),
            flags,
            is_sound: self.is_sound && (protocol == Protocol::Udp || is_whole),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packet::{CLIENT_V4, CLIENT_V6, Extension, PacketBuilder, SERVER_V4, SERVER_V6};

    #[test]
    fn a_plain_segment_is_read_in_both_families() {
        let frames = [
            PacketBuilder::between(CLIENT_V4, SERVER_V4).vlan(VLAN).options(&[1; 8]).tcp(1, 2222, SYN).build(),
            PacketBuilder::between(CLIENT_V6, SERVER_V6)
                .extension(Extension::generic(HOP_BY_HOP, 2))
                .extension(Extension::authentication(6))
                .tcp(1, 2222, SYN)
                .build(),
        ];
        for frame in frames {
            let segment = read(&frame).unwrap();
            assert_eq!((segment.from, segment.to), (1, Port(2222, Protocol::Tcp)));
            assert!(segment.may_open() && segment.is_sound, "{segment:?}");
        }
    }

    #[test]
    fn what_contradicts_itself_is_read_and_not_sound() {
        let frame = PacketBuilder::between(CLIENT_V4, SERVER_V4).tcp(1, 2222, ACK).ip_length(900).build();
        let segment = read(&frame).unwrap();
        assert!(!segment.is_sound && !segment.may_belong());
    }
}
