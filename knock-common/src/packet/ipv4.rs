//! IPv4 (RFC 791) with options, fragments and an authentication header.

use super::headers::Packet;
use super::network::Network;
use super::other::Other;
use super::transport::{is_gated, later_fragment};
use crate::addr::Addr;
use crate::packet::frame::{Frame, View as _};

const HEADER: u32 = 20;
const MORE_FRAGMENTS: u16 = 0x2000;
const OFFSET_MASK: u16 = 0x1fff;
const AUTHENTICATION: u8 = 51;

#[inline(always)]
pub(super) fn parse<F: Frame + ?Sized>(
    frame: &F,
    offset: u32,
    packet: &mut Packet,
    network: &mut Network,
) -> Result<(), Other> {
    let h = frame.view::<{ HEADER as usize }>(offset).ok_or(Other::Malformed)?;
    let protocol = h.octet(9);
    if !is_gated(protocol) && protocol != AUTHENTICATION {
        return Err(Other::Foreign);
    }
    let first = h.octet(0);
    let header = u32::from(first & 0x0f) * 4;
    let total = u32::from(h.be16(2));
    // 0 stands for "longer than 64 KiB": a packet that was merged after it left the driver.
    network.never_knock = total == 0;
    if first >> 4 != 4 || header < HEADER {
        return Err(Other::Malformed);
    }
    if total != 0 && (total < header || !frame.reaches(offset + total)) {
        return Err(Other::Malformed);
    }
    let fragment = h.be16(6);
    if fragment & OFFSET_MASK != 0 {
        return Err(later_fragment(protocol, fragment & OFFSET_MASK));
    }
    packet.src = Addr::from_v4_word(h.word(12));
    packet.dst = Addr::from_v4_word(h.word(16));
    network.fragment = fragment & MORE_FRAGMENTS != 0;
    network.protocol = protocol;
    network.offset = offset + header;
    network.length = if total == 0 { u32::from(u16::MAX) } else { total - header };
    if protocol == AUTHENTICATION { network.with_copy(|network| authenticated(frame, network)) } else { Ok(()) }
}

/// Looks behind one authentication header (RFC 4302), whose length counts 4-byte units less two.
#[inline(never)]
fn authenticated<F: Frame + ?Sized>(frame: &F, network: &mut Network) -> Result<(), Other> {
    let Some(h) = frame.view::<2>(network.offset) else { return Err(network.short()) };
    network.protocol = h.octet(0);
    if !is_gated(network.protocol) {
        // One inside the other: what they carry could be ours, and is not looked for.
        return Err(if network.protocol == AUTHENTICATION { Other::TooDeep } else { Other::Foreign });
    }
    network.step((u32::from(h.octet(1)) + 2) * 4)
}
