//! The packets that nearly all are: with one VLAN tag or none, without IPv4 options and IPv6 extension headers, whole,
//! and long enough.
//! Everything in them is at a fixed place, so that a few instructions tell whether one concerns the gate. What is not
//! so plain is no worse: [`super::parse`] reads it, and would read these to the same end.

use super::ethernet::{IPV4, IPV6, TAG, VLAN};
use super::headers::{Packet, Shape};
use crate::abi::flags::TcpFlags;
use crate::abi::protocol::Transport;
use crate::addr::Addr;
use crate::packet::frame::{Frame, View as _};

const TCP: u8 = Transport::Tcp as u8;
const UDP: u8 = Transport::Udp as u8;
/// Offset of the IP header in a frame without a tag. With one, all that follows the MAC addresses lies behind it.
const IP: usize = 14;
/// Offsets of TCP or UDP, over IPv4 and over IPv6.
const L4_V4: usize = IP + 20;
const L4_V6: usize = IP + 40;
const TCP_HEADER: u32 = 20;
const UDP_HEADER: u32 = 8;
/// IPv4 with a header of five words.
const PLAIN_V4: u8 = 0x45;
/// More fragments, or an offset.
const FRAGMENT: u16 = 0x3fff;

/// A plain packet, read no further than it takes to tell whether it concerns the gate.
pub struct Plain<F: Frame + ?Sized> {
    /// Destination port.
    pub dport: u16,
    /// TCP or UDP.
    pub transport: Transport,
    flags: u8,
    l4_len: u32,
    /// Octets of the tag.
    tag: u32,
    link: Link<F>,
    head: Head<F>,
}

/// What the frame begins with.
type Link<F> = <F as Frame>::View<{ L4_V4 + UDP_HEADER as usize }>;

/// Its headers up to the end of a UDP header.
enum Head<F: Frame + ?Sized> {
    V4(F::View<{ L4_V4 + UDP_HEADER as usize }>),
    V6(F::View<{ L4_V6 + UDP_HEADER as usize }>),
}

/// Reads the transport at a fixed place: its kind, the destination port, the flags, and whether its lengths fit.
macro_rules! transport {
    ($frame:expr, $tag:expr, $head:expr, $protocol:expr, $at:expr, $l4_len:expr) => {
        match $protocol {
            TCP => {
                let h = $frame.start::<{ $at + TCP_HEADER as usize }>($tag)?;
                let header = u32::from(h.octet_at::<{ $at + 12 }>() >> 4) * 4;
                let fits = header >= TCP_HEADER && header <= $l4_len;
                (Transport::Tcp, h.be16_at::<{ $at + 2 }>(), h.octet_at::<{ $at + 13 }>(), fits)
            }
            UDP => {
                let length = u32::from($head.be16_at::<{ $at + 4 }>());
                (Transport::Udp, $head.be16_at::<{ $at + 2 }>(), 0, length >= UDP_HEADER && length <= $l4_len)
            }
            _ => return None,
        }
    };
}

impl<F: Frame + ?Sized> Plain<F> {
    /// What the fast path sees; `None` if the packet is not plain.
    #[inline(always)]
    pub fn look(frame: &F) -> Option<Self> {
        // As many octets as of IPv4 without a tag, for which it is then looked at once where the frame ends.
        let link = frame.start::<{ L4_V4 + UDP_HEADER as usize }>(0)?;
        match link.be16_at::<12>() {
            VLAN => Self::behind(frame, link.be16_at::<16>(), TAG, link),
            kind => Self::behind(frame, kind, 0, link),
        }
    }

    /// The same behind a tag of so many octets.
    #[inline(always)]
    fn behind(frame: &F, kind: u16, tag: u32, link: Link<F>) -> Option<Self> {
        if kind == IPV4 {
            let h = frame.start::<{ L4_V4 + UDP_HEADER as usize }>(tag)?;
            let total = u32::from(h.be16_at::<{ IP + 2 }>());
            let is_plain = h.octet_at::<IP>() == PLAIN_V4 && h.be16_at::<{ IP + 6 }>() & FRAGMENT == 0;
            if !is_plain || total < 20 + UDP_HEADER || !frame.reaches(tag + IP as u32 + total) {
                return None;
            }
            let l4_len = total - 20;
            let (transport, dport, flags, fits) = transport!(frame, tag, h, h.octet_at::<{ IP + 9 }>(), L4_V4, l4_len);
            return fits.then_some(Self { dport, transport, flags, l4_len, tag, link, head: Head::V4(h) });
        }
        if kind != IPV6 {
            return None;
        }
        let h = frame.start::<{ L4_V6 + UDP_HEADER as usize }>(tag)?;
        let l4_len = u32::from(h.be16_at::<{ IP + 4 }>());
        // In ::/32 are the addresses that an IPv4 address is mapped to, which nobody has on a wire.
        let is_mapped = h.word_at::<{ IP + 8 }>() == 0 || h.word_at::<{ IP + 24 }>() == 0;
        if h.octet_at::<IP>() >> 4 != 6 || is_mapped || !frame.reaches(tag + L4_V6 as u32 + l4_len) {
            return None;
        }
        let (transport, dport, flags, fits) = transport!(frame, tag, h, h.octet_at::<{ IP + 6 }>(), L4_V6, l4_len);
        fits.then_some(Self { dport, transport, flags, l4_len, tag, link, head: Head::V6(h) })
    }

    /// As [`Packet::is_heeded`].
    #[inline(always)]
    #[must_use]
    pub fn is_heeded(&self, heeds: impl Fn(TcpFlags) -> bool) -> bool {
        matches!(self.transport, Transport::Udp) || heeds(TcpFlags(self.flags))
    }

    /// True if the source is [near](Addr::is_near).
    #[inline(always)]
    #[must_use]
    pub fn is_near(&self) -> bool {
        match &self.head {
            Head::V4(_) => false,
            Head::V6(h) => Addr::from_words([h.word_at::<{ IP + 8 }>(), 0, 0, 0]).is_near(),
        }
    }

    /// The source, as it stands in the packet.
    #[inline(always)]
    #[must_use]
    pub fn source(&self) -> Addr {
        match &self.head {
            Head::V4(h) => Addr::from_v4_word(h.word_at::<{ IP + 12 }>()),
            Head::V6(h) => {
                let high = [h.word_at::<{ IP + 8 }>(), h.word_at::<{ IP + 12 }>()];
                let low = [h.word_at::<{ IP + 16 }>(), h.word_at::<{ IP + 20 }>()];
                Addr::from_words([high[0], high[1], low[0], low[1]])
            }
        }
    }

    /// Fills in the whole packet.
    #[inline(always)]
    pub fn read(&self, packet: &mut Packet, scope: impl FnOnce() -> u32) {
        packet.src = self.source();
        match &self.head {
            Head::V4(h) => {
                packet.dst = Addr::from_v4_word(h.word_at::<{ IP + 16 }>());
                packet.sport = h.be16_at::<L4_V4>();
                packet.l4 = self.tag as u16 + L4_V4 as u16;
            }
            Head::V6(h) => {
                let dst = [h.word_at::<{ IP + 24 }>(), h.word_at::<{ IP + 28 }>()];
                let low = [h.word_at::<{ IP + 32 }>(), h.word_at::<{ IP + 36 }>()];
                packet.dst = Addr::from_words([dst[0], dst[1], low[0], low[1]]);
                packet.sport = h.be16_at::<L4_V6>();
                packet.l4 = self.tag as u16 + L4_V6 as u16;
            }
        }
        packet.dport = self.dport;
        packet.transport = self.transport;
        packet.flags = self.flags;
        packet.shape = Shape::Whole;
        packet.group = self.link.octet_at::<0>() & 1 != 0;
        packet.ip = self.tag as u16 + IP as u16;
        packet.l4_len = self.l4_len;
        if self.is_near() {
            packet.came_on(scope);
        }
    }
}
