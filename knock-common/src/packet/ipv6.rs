//! IPv6 (RFC 8200) with up to eight extension headers.

use super::headers::Packet;
use super::network::Network;
use super::other::Other;
use super::transport::{is_gated, later_fragment};
use crate::addr::Addr;
use crate::packet::frame::{Frame, View as _};

const HEADER: u32 = 40;
const MAX_EXTENSIONS: u32 = 8;
const MORE_FRAGMENTS: u16 = 1;

const HOP_BY_HOP: u8 = 0;
const ROUTING: u8 = 43;
const FRAGMENT: u8 = 44;
const AUTHENTICATION: u8 = 51;
const DESTINATION: u8 = 60;
const MOBILITY: u8 = 135;
const HIP: u8 = 139;
const SHIM6: u8 = 140;

#[inline(always)]
pub(super) fn parse<F: Frame + ?Sized>(
    frame: &F,
    offset: u32,
    packet: &mut Packet,
    network: &mut Network,
) -> Result<(), Other> {
    let h = frame.view::<{ HEADER as usize }>(offset).ok_or(Other::Malformed)?;
    let next = h.octet(6);
    if !is_gated(next) && !is_extension(next) {
        return Err(Other::Foreign);
    }
    let payload = u32::from(h.be16(4));
    // 0 stands for a jumbogram (RFC 2675) or for a packet merged after it left the driver.
    network.never_knock = payload == 0;
    if h.octet(0) >> 4 != 6 || (payload != 0 && !frame.reaches(offset + HEADER + payload)) {
        return Err(Other::Malformed);
    }
    packet.src = Addr::from_words([h.word(8), h.word(12), h.word(16), h.word(20)]);
    packet.dst = Addr::from_words([h.word(24), h.word(28), h.word(32), h.word(36)]);
    // On the wire a v4-mapped source is forged: it would pass for the IPv4 host that it names, and
    // the stack drops it as well (kernel commit 6af1799aaf3f, 5.4). No host has such a destination
    // either (RFC 6890, table 20), which would pass for a door's target, and be answered.
    if packet.src.is_v4() || packet.dst.is_v4() {
        return Err(Other::Malformed);
    }
    network.protocol = next;
    network.offset = offset + HEADER;
    network.length = if payload == 0 { u32::from(u16::MAX) } else { payload };
    if is_gated(next) { Ok(()) } else { network.with_copy(|network| walk(frame, network)) }
}

/// Walks the chain of extension headers to the transport header.
#[inline(never)]
fn walk<F: Frame + ?Sized>(frame: &F, network: &mut Network) -> Result<(), Other> {
    let mut count = 0;
    while count < MAX_EXTENSIONS {
        if network.length < 8 {
            return Err(network.short());
        }
        let Some(h) = frame.view::<8>(network.offset) else { return Err(network.short()) };
        let units = u32::from(h.octet(1));
        let size = match network.protocol {
            FRAGMENT => {
                let field = h.be16(2);
                if field >> 3 != 0 {
                    return Err(later_fragment(h.octet(0), field >> 3));
                }
                // Offset 0 without "more" is an atomic fragment (RFC 6946): all there, no knock.
                network.fragment |= field & MORE_FRAGMENTS != 0;
                network.never_knock = true;
                8
            }
            AUTHENTICATION => (units + 2) * 4,
            _ => (units + 1) * 8,
        };
        network.step(size)?;
        network.offset = F::forget(network.offset);
        network.length = F::forget(network.length);
        network.protocol = F::forget(u32::from(h.octet(0))) as u8;
        if is_gated(network.protocol) {
            return Ok(());
        }
        if !is_extension(network.protocol) {
            return Err(Other::Foreign);
        }
        count += 1;
    }
    Err(Other::TooDeep)
}

#[inline(always)]
const fn is_extension(next: u8) -> bool {
    matches!(next, HOP_BY_HOP | ROUTING | FRAGMENT | AUTHENTICATION | DESTINATION | MOBILITY | HIP | SHIM6)
}
