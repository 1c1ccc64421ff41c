//! The answer of a closed port, octet for octet as Linux sends it, written over the packet that asks.
//!
//! TCP: a segment with RST (RFC 9293, 3.10.7.1; `tcp_v4_send_reset`, `tcp_v6_send_response`). UDP: an
//! ICMP error "port unreachable" that quotes the packet (RFC 792, RFC 1812 4.3.2.3; RFC 4443 3.1).

use crate::packet::checksum;
use crate::packet::flags::TcpFlags;
use crate::packet::frame::{Frame, FrameMut, View as _};
use crate::packet::{Packet, Transport};

const ETHERNET: u32 = 14;
/// The shortest Ethernet frame without its check sequence. A driver need not pad what it sends back.
const SHORTEST: u32 = 60;
const IPV4: u32 = 20;
const IPV6: u32 = 40;
const TCP: u32 = 20;
const ICMP: u32 = 8;
/// An ICMP error is at most that long with its IP header (RFC 1812 4.3.2.3).
const LONGEST_V4: u32 = 576;
/// The least MTU of IPv6, which an ICMPv6 error does not pass (RFC 4443 2.4).
const LONGEST_V6: u32 = 1280;

const PROTOCOL_TCP: u8 = 6;
const PROTOCOL_ICMP: u8 = 1;
const PROTOCOL_ICMP_V6: u8 = 58;

/// What an answer needs to know beyond the packet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Sender {
    /// Time to live of IPv4 (`net.ipv4.ip_default_ttl`).
    pub ttl: u8,
    /// Hop limit of IPv6 (`net.ipv6.conf.IFACE.hop_limit`).
    pub hop_limit: u8,
    /// Identification of an IPv4 packet that may be fragmented: any number.
    pub id: u16,
    /// Key of the IPv6 flow labels, unknown to others.
    pub key: u32,
}

/// Where the headers of an answer are put together: too large for the stack of a BPF call chain.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Sheet {
    macs: [u8; 12],
    ipv4: [u8; IPV4 as usize],
    ipv6: [u8; IPV6 as usize],
    tcp: [u8; TCP as usize],
    icmp: [u8; ICMP as usize],
}

impl Sheet {
    /// An empty one.
    pub const BLANK: Self = Self {
        macs: [0; 12],
        ipv4: [0; IPV4 as usize],
        ipv6: [0; IPV6 as usize],
        tcp: [0; TCP as usize],
        icmp: [0; ICMP as usize],
    };
}

/// Turns the frame that holds `packet`, as [`crate::packet::parse`] read it, into the answer; false
/// if there is no room for it, and the frame is then no longer what it was.
#[inline(always)]
#[must_use]
pub fn write<F: FrameMut>(frame: &mut F, packet: &Packet, sender: &Sender, sheet: &mut Sheet) -> bool {
    match packet.transport {
        Transport::Tcp => reset(frame, packet, sender, sheet).is_some(),
        Transport::Udp => unreachable(frame, packet, sender, sheet).is_some(),
    }
}

/// Sequence number, acknowledgment number and flags of the reset (RFC 9293 3.10.7.1).
#[inline(always)]
#[must_use]
pub fn reset_to(seq: u32, ack: u32, flags: u8, length: u32) -> (u32, u32, u8) {
    if flags & TcpFlags::ACK != 0 {
        return (ack, 0, TcpFlags::RST);
    }
    let bit = |flag: u8| u32::from(flags & flag != 0);
    let end = seq.wrapping_add(bit(TcpFlags::SYN)).wrapping_add(bit(TcpFlags::FIN)).wrapping_add(length);
    (0, end, TcpFlags::RST | TcpFlags::ACK)
}

#[inline(always)]
fn reset<F: FrameMut>(frame: &mut F, packet: &Packet, sender: &Sender, sheet: &mut Sheet) -> Option<()> {
    let ip = u32::from(packet.ip);
    let h = frame.view::<{ TCP as usize }>(u32::from(packet.l4))?;
    let (seq, ack) = (u32::from_be(h.word(4)), u32::from_be(h.word(8)));
    let header = u32::from(h.octet(12) >> 4) * 4;
    let (seq, ack, flags) = reset_to(seq, ack, packet.flags, packet.l4_len.wrapping_sub(header));
    // Without its ECN bits: a reset is no part of a connection (RFC 3168 6.1.1).
    let class = traffic_class(frame, packet)? & !3;

    let tcp = &mut sheet.tcp;
    clear(tcp);
    put16(tcp, 0, packet.dport);
    put16(tcp, 2, packet.sport);
    put32(tcp, 4, seq);
    put32(tcp, 8, ack);
    put8(tcp, 12, (TCP as u8 / 4) << 4);
    put8(tcp, 13, flags);
    let sum = checksum::of(tcp, checksum::pseudo(packet, TCP, PROTOCOL_TCP));
    put16(tcp, 16, sum);

    let network = if packet.src.is_v4() { IPV4 } else { IPV6 };
    let length = ip + network + TCP;
    let padded = if ip >= ETHERNET && length < SHORTEST { SHORTEST } else { length };
    if !frame.resize(0, padded) {
        return None;
    }
    turn_around(frame, packet, 0, &mut sheet.macs)?;
    if packet.src.is_v4() {
        // As `ip_send_unicast_reply` does for a socket that never fragments: no identification.
        ipv4(&mut sheet.ipv4, packet, sender.ttl, class, (0, DONT_FRAGMENT), (PROTOCOL_TCP, TCP));
        frame.put(ip, &sheet.ipv4)?;
    } else {
        ipv6(&mut sheet.ipv6, packet, sender, class, (PROTOCOL_TCP, TCP));
        frame.put(ip, &sheet.ipv6)?;
    }
    frame.put(ip + network, &sheet.tcp)?;
    if padded > length {
        pad(frame, length)?;
    }
    Some(())
}

/// Zeroes over what was left of the packet behind an answer that is shorter than a frame may be.
#[inline(always)]
fn pad<F: FrameMut>(frame: &mut F, from: u32) -> Option<()> {
    let mut at = from;
    while at + 2 <= SHORTEST {
        frame.put(at, &[0; 2])?;
        at += 2;
    }
    Some(())
}

#[inline(always)]
fn unreachable<F: FrameMut>(frame: &mut F, packet: &Packet, sender: &Sender, sheet: &mut Sheet) -> Option<()> {
    let ip = u32::from(packet.ip);
    let v4 = packet.src.is_v4();
    let (network, longest) = if v4 { (IPV4, LONGEST_V4) } else { (IPV6, LONGEST_V6) };
    let class = if v4 { error_class(traffic_class(frame, packet)?) } else { 0 };
    let all = u32::from(packet.l4) - ip + packet.l4_len;
    let room = longest - network - ICMP;
    let quote = if all > room { room } else { all };
    let added = network + ICMP;
    if !frame.resize(added, ip + added + quote) {
        return None;
    }
    turn_around(frame, packet, added, &mut sheet.macs)?;
    let icmp = &mut sheet.icmp;
    clear(icmp);
    // Type 3 code 3, or type 1 code 4.
    put16(icmp, 0, if v4 { 0x0303 } else { 0x0104 });
    let pseudo = if v4 { 0 } else { checksum::pseudo(packet, ICMP + quote, PROTOCOL_ICMP_V6) };
    let quoted = checksum::sum_of(frame, ip + added, quote)?;
    let sum = checksum::of(icmp, pseudo + quoted);
    put16(icmp, 2, sum);
    if v4 {
        let fragment = (sender.id, 0);
        ipv4(&mut sheet.ipv4, packet, sender.ttl, class, fragment, (PROTOCOL_ICMP, ICMP + quote));
        frame.put(ip, &sheet.ipv4)?;
    } else {
        ipv6(&mut sheet.ipv6, packet, sender, class, (PROTOCOL_ICMP_V6, ICMP + quote));
        frame.put(ip, &sheet.ipv6)?;
    }
    frame.put(ip + network, &sheet.icmp)
}

/// Swaps the MACs of the frame and moves its link header to the front, where `added` octets were put
/// before it. VLAN tags stay.
#[inline(always)]
fn turn_around<F: FrameMut>(frame: &mut F, packet: &Packet, added: u32, macs: &mut [u8; 12]) -> Option<()> {
    let link = u32::from(packet.ip);
    if link < ETHERNET {
        return Some(());
    }
    let h = frame.view::<12>(added)?;
    let mut index = 0;
    while index < 6 {
        put8(macs, index, h.octet(index + 6));
        put8(macs, index + 6, h.octet(index));
        index += 1;
    }
    frame.put(0, macs)?;
    // Two tags at most.
    let mut at = 12;
    while added != 0 && at < ETHERNET + 8 && at < link {
        let pair = frame.view::<2>(added + at)?.be16(0).to_be_bytes();
        frame.put(at, &pair)?;
        at += 2;
    }
    Some(())
}

/// The octet "type of service", or the traffic class, of the packet.
#[inline(always)]
fn traffic_class<F: Frame>(frame: &F, packet: &Packet) -> Option<u8> {
    let h = frame.view::<2>(u32::from(packet.ip))?;
    Some(if packet.src.is_v4() { h.octet(1) } else { h.octet(0) << 4 | h.octet(1) >> 4 })
}

/// An ICMP error has the precedence of network control (RFC 1812 4.3.2.5), as `icmp_send` sets it.
const fn error_class(class: u8) -> u8 {
    class & 0x1e | 0xc0
}

const DONT_FRAGMENT: u16 = 0x4000;

/// A header without options; `fragment` is its identification and its flags, then come the protocol and
/// the length of what follows.
#[inline(always)]
fn ipv4(
    h: &mut [u8; IPV4 as usize],
    packet: &Packet,
    ttl: u8,
    class: u8,
    fragment: (u16, u16),
    (protocol, payload): (u8, u32),
) {
    clear(h);
    put8(h, 0, 0x45);
    put8(h, 1, class);
    put16(h, 2, (IPV4 + payload) as u16);
    put16(h, 4, fragment.0);
    put16(h, 6, fragment.1);
    put8(h, 8, ttl);
    put8(h, 9, protocol);
    put_word(h, 12, packet.dst.words()[3]);
    put_word(h, 16, packet.src.words()[3]);
    let sum = checksum::of(h, 0);
    put16(h, 10, sum);
}

#[inline(always)]
fn ipv6(h: &mut [u8; IPV6 as usize], packet: &Packet, sender: &Sender, class: u8, (protocol, payload): (u8, u32)) {
    clear(h);
    put32(h, 0, 6 << 28 | u32::from(class) << 20 | flow_label(packet, sender.key));
    put16(h, 4, payload as u16);
    put8(h, 6, protocol);
    put8(h, 7, sender.hop_limit);
    let (src, dst) = (packet.src.on_wire().words(), packet.dst.words());
    let mut index = 0;
    while index < 4 {
        put_word(h, 8 + index * 4, dst[index]);
        put_word(h, 24 + index * 4, src[index]);
        index += 1;
    }
}

/// A label of 20 bits that stays the same for a flow (`net.ipv6.auto_flowlabels`, RFC 6438).
#[inline(always)]
fn flow_label(packet: &Packet, key: u32) -> u32 {
    let mut hash = key;
    let (src, dst) = (packet.src.words(), packet.dst.words());
    let mut index = 0;
    while index < 4 {
        hash = (hash ^ src[index]).wrapping_mul(0x9e37_79b1).rotate_left(13);
        hash = (hash ^ dst[index]).wrapping_mul(0x85eb_ca77).rotate_left(13);
        index += 1;
    }
    hash = (hash ^ (u32::from(packet.sport) << 16 | u32::from(packet.dport))).wrapping_mul(0x9e37_79b1);
    (hash ^ hash >> 15) & 0xf_ffff
}

#[inline(always)]
fn put16(bytes: &mut [u8], at: usize, value: u16) {
    put8(bytes, at, (value >> 8) as u8);
    put8(bytes, at + 1, value as u8);
}

#[inline(always)]
fn put32(bytes: &mut [u8], at: usize, value: u32) {
    put16(bytes, at, (value >> 16) as u16);
    put16(bytes, at + 2, value as u16);
}

/// A word that lies in memory as it goes out.
#[inline(always)]
fn put_word(bytes: &mut [u8], at: usize, word: u32) {
    let octets = word.to_ne_bytes();
    let mut index = 0;
    while index < 4 {
        put8(bytes, at + index, octets[index]);
        index += 1;
    }
}

/// Really writes the octet: what the compiler knows to be there it would keep on the stack as well.
#[inline(always)]
fn put8(bytes: &mut [u8], at: usize, octet: u8) {
    // SAFETY: a reference to an octet of the slice.
    unsafe { core::ptr::write_volatile(&raw mut bytes[at], octet) };
}

#[inline(always)]
fn clear<const N: usize>(bytes: &mut [u8; N]) {
    let mut index = 0;
    while index < N {
        put8(bytes, index, 0);
        index += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reset_answers_an_acknowledgment_with_its_number_and_acknowledges_all_else() {
        const RST: u8 = TcpFlags::RST;
        const RST_ACK: u8 = TcpFlags::RST | TcpFlags::ACK;
        assert_eq!(reset_to(7, 9, TcpFlags::ACK, 100), (9, 0, RST));
        assert_eq!(reset_to(7, 9, TcpFlags::SYN | TcpFlags::ACK, 0), (9, 0, RST));
        assert_eq!(reset_to(7, 9, TcpFlags::SYN, 0), (0, 8, RST_ACK));
        assert_eq!(reset_to(7, 9, TcpFlags::SYN | TcpFlags::FIN, 100), (0, 109, RST_ACK));
        assert_eq!(reset_to(u32::MAX, 0, TcpFlags::SYN, 0), (0, 0, RST_ACK));
        assert_eq!(reset_to(7, 9, 0, 0), (0, 7, RST_ACK));
    }
}
