//! The Internet checksum (RFC 1071) of a packet that would advance an attempt.
//!
//! XDP sees frames that the stack would drop for a wrong checksum; a knock must not count where
//! the service would not have seen it. Only knocks pay for this.

use crate::packet::frame::{Frame, MAX_OFFSET, View as _};
use crate::packet::{Packet, Transport};

/// The longest TCP segment or UDP datagram that can be a knock: what fits an Ethernet frame.
pub const MAX_KNOCK: u32 = 1480;
/// Bytes that are summed up at once.
const CHUNK: u32 = 40;
const IPV4_HEADER: u32 = 20;

/// True if the IPv4 header checksum and the TCP or UDP checksum are right. A UDP checksum of 0
/// means "none" over IPv4 and is wrong over IPv6 (RFC 768, RFC 8200 8.1). What follows a datagram
/// in its packet is not summed (the surplus of RFC 9868); the length 0 of a jumbogram says nothing.
#[inline(never)]
pub fn is_right<F: Frame + ?Sized>(frame: &F, packet: &Packet) -> bool {
    let mut length = packet.l4_len;
    let mut unsummed = false;
    let v4 = packet.dst.is_v4();
    if v4 && !header_is_right(frame, u32::from(packet.ip)) {
        return false;
    }
    let l4 = u32::from(packet.l4);
    if packet.transport as u8 == Transport::Udp as u8 {
        let Some(field) = frame.view::<4>(l4 + 4) else { return false };
        if field.be16(0) != 0 {
            length = u32::from(field.be16(0));
        }
        unsummed = field.be16(2) == 0;
    }
    if length > MAX_KNOCK {
        return false;
    }
    if unsummed {
        return v4;
    }
    let sum = sum(frame, l4, length);
    sum != MISSING && fold(sum + pseudo(packet, length, packet.transport as u8)) == 0xffff
}

#[inline(always)]
fn header_is_right<F: Frame + ?Sized>(frame: &F, ip: u32) -> bool {
    let Some(first) = frame.view::<1>(ip) else { return false };
    let length = u32::from(first.octet(0) & 0x0f) * 4;
    if length < IPV4_HEADER {
        return false;
    }
    let sum = sum(frame, ip, length);
    sum != MISSING && fold(sum) == 0xffff
}

/// The sum, in memory order, of the pseudo header (RFC 9293 3.1, RFC 8200 8.1) of a packet between the
/// same two hosts, either way. A v4-mapped address adds its mark `ffff`, which is zero in ones'
/// complement.
#[inline(always)]
#[must_use]
pub fn pseudo(packet: &Packet, length: u32, protocol: u8) -> u64 {
    let mut sum = u64::from((length as u16).to_be()) + u64::from(u16::from(protocol).to_be());
    let (src, dst) = (packet.src.on_wire().words(), packet.dst.words());
    let mut index = 0;
    while index < 4 {
        sum += u64::from(src[index]) + u64::from(dst[index]);
        index += 1;
    }
    sum
}

/// The checksum, in host order, of `bytes`, in which it is still zero, after a sum in memory order of
/// what goes before.
#[inline(always)]
#[must_use]
pub fn of<const N: usize>(bytes: &[u8; N], before: u64) -> u16 {
    let mut sum = before;
    let mut index = 0;
    while index < N {
        // Really read: what the compiler knows to be there it would keep on the stack as well.
        // SAFETY: references to octets of the array.
        let pair =
            unsafe { [(&raw const bytes[index]).read_volatile(), (&raw const bytes[index + 1]).read_volatile()] };
        sum += u64::from(u16::from_ne_bytes(pair));
        index += 2;
    }
    u16::from_be(!fold(sum))
}

/// The sum, in memory order, of `length` bytes at `offset`, at most [`MAX_KNOCK`]; `None` if they are
/// not there.
#[inline(always)]
pub fn sum_of<F: Frame + ?Sized>(frame: &F, offset: u32, length: u32) -> Option<u64> {
    let sum = sum(frame, offset, length);
    (sum != MISSING).then_some(sum)
}

/// The sum of bytes that are not there.
const MISSING: u64 = u64::MAX;

/// The unfolded sum, in memory order, of `length` bytes at `offset`, or [`MISSING`].
///
/// The masks change no offset, since no header starts that late; they give every round of a loop the
/// same bounds, so that the verifier need not go on with each of them.
#[inline(never)]
fn sum<F: Frame + ?Sized>(frame: &F, offset: u32, length: u32) -> u64 {
    let mut sum = 0;
    let mut at = offset & MAX_OFFSET;
    let mut left = length;
    let mut count = 0;
    while count < MAX_KNOCK / CHUNK && left >= CHUNK {
        let Some(chunk) = frame.view::<{ CHUNK as usize }>(at) else { return MISSING };
        sum = chunk.sum(sum, CHUNK as usize);
        at = (at + CHUNK) & MAX_OFFSET;
        left -= CHUNK;
        count += 1;
    }
    // Counted anew, so that the verifier sees one loop here and not one for every count above.
    count = 0;
    while count < CHUNK / 4 && left >= 4 {
        let Some(word) = frame.view::<4>(at) else { return MISSING };
        sum += u64::from(word.word(0));
        at = (at + 4) & MAX_OFFSET;
        left -= 4;
        count += 1;
    }
    if left >= 2 {
        let Some(pair) = frame.view::<2>(at) else { return MISSING };
        sum += u64::from(pair.be16(0).to_be());
        at += 2;
        left -= 2;
    }
    if left == 1 {
        let Some(last) = frame.view::<1>(at) else { return MISSING };
        sum += u64::from(u16::from_ne_bytes([last.octet(0), 0]));
    }
    sum
}

#[inline(always)]
const fn fold(sum: u64) -> u16 {
    let sum = (sum & 0xffff_ffff) + (sum >> 32);
    let sum = (sum & 0xffff_ffff) + (sum >> 32);
    let sum = (sum & 0xffff) + (sum >> 16);
    let sum = (sum & 0xffff) + (sum >> 16);
    ((sum & 0xffff) + (sum >> 16)) as u16
}
