//! The packet builder.

use std::net::IpAddr;

use super::extension::{self, Extension};
use super::transport::Transport;
use super::{IPV4, IPV6, checksum};

/// The destination MAC of every frame that is not told otherwise.
pub const HERE: [u8; 6] = [0x02, 0, 0, 0, 0, 0x01];
/// The source MAC of every frame.
pub(super) const THERE: [u8; 6] = [0x02, 0, 0, 0, 0, 0x02];
pub(super) const BROADCAST: [u8; 6] = [0xff; 6];

/// A frame under construction: Ethernet, IPv4 or IPv6, and what it carries. Every length, type
/// and checksum is right unless one of the methods says otherwise.
#[derive(Clone, Debug)]
#[must_use]
pub struct PacketBuilder {
    mac: [u8; 6],
    tags: Vec<(u16, u16)>,
    kind: Option<u16>,
    src: IpAddr,
    dst: IpAddr,
    version: Option<u8>,
    header_words: Option<u8>,
    options: Vec<u8>,
    hops: u8,
    class: u8,
    length: Option<u16>,
    protocol: Option<u8>,
    fragment: u16,
    chain: Vec<Extension>,
    kept: Option<(usize, usize)>,
    transport: Transport,
    payload: Vec<u8>,
    wrong_header_sum: bool,
    wrong_sum: bool,
    padded: usize,
    cut: Option<usize>,
}

impl PacketBuilder {
    /// A packet from `src` to `dst`, which must be of one family, that carries nothing yet.
    ///
    /// # Panics
    ///
    /// If the addresses are of two families.
    pub fn between(src: impl Into<IpAddr>, dst: impl Into<IpAddr>) -> Self {
        let (src, dst) = (src.into(), dst.into());
        assert_eq!(src.is_ipv4(), dst.is_ipv4(), "{src} and {dst} are of two families");
        Self {
            mac: HERE,
            tags: Vec::new(),
            kind: None,
            src,
            dst,
            version: None,
            header_words: None,
            options: Vec::new(),
            hops: 64,
            class: 0,
            length: None,
            protocol: None,
            fragment: 0,
            chain: Vec::new(),
            kept: None,
            transport: Transport::Raw { protocol: extension::NO_NEXT },
            payload: Vec::new(),
            wrong_header_sum: false,
            wrong_sum: false,
            padded: 0,
            cut: None,
        }
    }

    /// To the broadcast MAC.
    pub fn broadcast(mut self) -> Self {
        self.mac = BROADCAST;
        self
    }

    /// To a multicast MAC.
    pub fn multicast(mut self) -> Self {
        self.mac = if self.dst.is_ipv4() { [0x01, 0, 0x5e, 0, 0, 1] } else { [0x33, 0x33, 0, 0, 0, 1] };
        self
    }

    /// One more VLAN tag, inside those there are, with this type and VLAN 0 (a priority tag).
    pub fn vlan(mut self, kind: u16) -> Self {
        self.tags.push((kind, 0));
        self
    }

    /// VLAN tags of these types, the outermost first.
    pub fn vlans(mut self, kinds: &[u16]) -> Self {
        self.tags.extend(kinds.iter().map(|&kind| (kind, 0)));
        self
    }

    /// Another `EtherType` than that of the address family.
    pub fn ether_type(mut self, kind: u16) -> Self {
        self.kind = Some(kind);
        self
    }

    /// Another IP version than that of the address family.
    pub fn version(mut self, version: u8) -> Self {
        self.version = Some(version);
        self
    }

    /// Another IPv4 header length, in words, than the true one.
    pub fn header_words(mut self, words: u8) -> Self {
        self.header_words = Some(words);
        self
    }

    /// IPv4 options, filled up with end-of-list to whole words.
    pub fn options(mut self, options: &[u8]) -> Self {
        self.options = options.to_vec();
        self.options.resize(options.len().next_multiple_of(4), 0);
        self
    }

    /// Time to live, or hop limit.
    pub fn hops(mut self, hops: u8) -> Self {
        self.hops = hops;
        self
    }

    /// Type of service, or traffic class.
    pub fn class(mut self, class: u8) -> Self {
        self.class = class;
        self
    }

    /// Another IPv4 total length or IPv6 payload length than the true one.
    pub fn ip_length(mut self, length: u16) -> Self {
        self.length = Some(length);
        self
    }

    /// Another protocol number than the true one, at the end of the chain.
    pub fn protocol(mut self, protocol: u8) -> Self {
        self.protocol = Some(protocol);
        self
    }

    /// One more header before the transport.
    pub fn extension(mut self, extension: Extension) -> Self {
        self.chain.push(extension);
        self
    }

    /// Fragment fields: offset in 8-octet units, and whether more fragments follow. Over IPv6 a
    /// fragment header is appended to the chain.
    pub fn fragment(mut self, offset: u16, more: bool) -> Self {
        if self.dst.is_ipv4() {
            self.fragment = offset | if more { 0x2000 } else { 0 };
            self
        } else {
            self.extension(Extension::fragment(offset, more))
        }
    }

    /// The first fragment, with `octets` octets of what is fragmented.
    pub fn first_fragment(mut self, octets: usize) -> Self {
        self.kept = Some((0, octets));
        self.fragment(0, true)
    }

    /// A later fragment at `offset` (8-octet units), with 16 octets.
    pub fn later_fragment(mut self, offset: u16, more: bool) -> Self {
        self.kept = Some((usize::from(offset) * 8, 16));
        self.fragment(offset, more)
    }

    /// Carries a TCP segment.
    pub fn tcp(mut self, source: u16, destination: u16, flags: u8) -> Self {
        self.transport = Transport::Tcp { ports: (source, destination), flags, offset: None, options: Vec::new() };
        self
    }

    /// Another TCP header length, in words, than the true one. After [`Self::tcp`].
    ///
    /// # Panics
    ///
    /// If the packet carries no TCP segment.
    pub fn data_offset(mut self, words: u8) -> Self {
        let Transport::Tcp { offset, .. } = &mut self.transport else { panic!("no TCP segment") };
        *offset = Some(words);
        self
    }

    /// TCP options, filled up with end-of-list to whole words. After [`Self::tcp`].
    ///
    /// # Panics
    ///
    /// If the packet carries no TCP segment.
    pub fn tcp_options(mut self, bytes: &[u8]) -> Self {
        let Transport::Tcp { options, .. } = &mut self.transport else { panic!("no TCP segment") };
        *options = bytes.to_vec();
        self
    }

    /// Carries a UDP datagram.
    pub fn udp(mut self, source: u16, destination: u16) -> Self {
        self.transport = Transport::Udp { ports: (source, destination), length: None, unsummed: false };
        self
    }

    /// Another UDP length than the true one. After [`Self::udp`].
    ///
    /// # Panics
    ///
    /// If the packet carries no UDP datagram.
    pub fn udp_length(mut self, value: u16) -> Self {
        let Transport::Udp { length, .. } = &mut self.transport else { panic!("no UDP datagram") };
        *length = Some(value);
        self
    }

    /// UDP checksum 0, "none". After [`Self::udp`].
    ///
    /// # Panics
    ///
    /// If the packet carries no UDP datagram.
    pub fn without_udp_checksum(mut self) -> Self {
        let Transport::Udp { unsummed, .. } = &mut self.transport else { panic!("no UDP datagram") };
        *unsummed = true;
        self
    }

    /// Carries an ICMP or `ICMPv6` message.
    pub fn icmp(mut self, kind: u8, code: u8) -> Self {
        self.transport = Transport::Icmp { kind, code };
        self
    }

    /// Carries the payload alone, as `protocol`.
    pub fn raw(mut self, protocol: u8) -> Self {
        self.transport = Transport::Raw { protocol };
        self
    }

    /// What follows the transport header.
    pub fn payload(mut self, payload: &[u8]) -> Self {
        self.payload = payload.to_vec();
        self
    }

    /// A wrong IPv4 header checksum.
    pub fn wrong_header_checksum(mut self) -> Self {
        self.wrong_header_sum = true;
        self
    }

    /// A wrong TCP, UDP or ICMP checksum.
    pub fn wrong_checksum(mut self) -> Self {
        self.wrong_sum = true;
        self
    }

    /// Zero octets behind the packet, until the frame is `octets` octets long.
    pub fn padded(mut self, octets: usize) -> Self {
        self.padded = octets;
        self
    }

    /// Cuts the frame, whatever its headers say, after `octets` octets.
    pub fn cut(mut self, octets: usize) -> Self {
        self.cut = Some(octets);
        self
    }

    /// The frame.
    #[must_use]
    pub fn build(&self) -> Vec<u8> {
        let mut frame = Vec::with_capacity(128);
        frame.extend(self.mac);
        frame.extend(THERE);
        for (kind, tag) in &self.tags {
            frame.extend(kind.to_be_bytes());
            frame.extend(tag.to_be_bytes());
        }
        let natural = if self.dst.is_ipv4() { IPV4 } else { IPV6 };
        frame.extend(self.kind.unwrap_or(natural).to_be_bytes());
        frame.extend(self.packet());
        if frame.len() < self.padded {
            frame.resize(self.padded, 0);
        }
        if let Some(octets) = self.cut {
            frame.truncate(octets);
        }
        frame
    }

    fn packet(&self) -> Vec<u8> {
        let protocol = self.protocol.unwrap_or_else(|| self.transport.protocol(self.dst.is_ipv4()));
        let message = self.transport.bytes(self.src, self.dst, &self.payload, self.wrong_sum);
        let (first, mut body) = extension::bytes(&self.chain, protocol);
        // Over IPv6 the headers up to the fragment header go with every fragment.
        let whole = body.len() - self.fragmented_headers();
        body.extend(message);
        if let Some((from, octets)) = self.kept {
            let mut fragment = body.split_off(whole);
            if fragment.len() < from + octets && from > 0 {
                fragment.resize(from + octets, 0);
            }
            body.extend(fragment.iter().skip(from).take(octets));
        }
        let mut packet = match (self.src, self.dst) {
            (IpAddr::V4(src), IpAddr::V4(dst)) => self.ipv4(src.octets(), dst.octets(), first, body.len()),
            (IpAddr::V6(src), IpAddr::V6(dst)) => self.ipv6(src.octets(), dst.octets(), first, body.len()),
            _ => unreachable!("checked when the builder was made"),
        };
        packet.extend(body);
        packet
    }

    /// Octets of the chain that are fragmented like the transport.
    fn fragmented_headers(&self) -> usize {
        let behind = match self.chain.iter().rposition(|header| header.kind == extension::FRAGMENT) {
            Some(at) => &self.chain[at + 1..],
            None => &self.chain[..],
        };
        behind.iter().map(|header| header.rest.len() + 1).sum()
    }

    fn ipv4(&self, src: [u8; 4], dst: [u8; 4], protocol: u8, body: usize) -> Vec<u8> {
        let length = 20 + self.options.len();
        let words = self.header_words.unwrap_or((length / 4) as u8);
        let mut header = vec![self.version.unwrap_or(4) << 4 | words & 0x0f, self.class];
        header.extend(self.length.unwrap_or((length + body) as u16).to_be_bytes());
        header.extend([0x12, 0x34]);
        header.extend(self.fragment.to_be_bytes());
        header.extend([self.hops, protocol, 0, 0]);
        header.extend(src);
        header.extend(dst);
        header.extend(&self.options);
        let sum = checksum::internet(&header) ^ if self.wrong_header_sum { 0x0101 } else { 0 };
        header[10..12].copy_from_slice(&sum.to_be_bytes());
        header
    }

    fn ipv6(&self, src: [u8; 16], dst: [u8; 16], next: u8, body: usize) -> Vec<u8> {
        let mut header = vec![self.version.unwrap_or(6) << 4 | self.class >> 4, self.class << 4, 0, 0];
        header.extend(self.length.unwrap_or(body as u16).to_be_bytes());
        header.extend([next, self.hops]);
        header.extend(src);
        header.extend(dst);
        header
    }
}
