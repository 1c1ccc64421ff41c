//! Ethernet II with up to two VLAN tags (IEEE 802.1Q, 802.1ad).

use super::headers::Packet;
use super::other::Other;
use crate::packet::frame::{Frame, View as _};

const HEADER: u32 = 14;
pub(super) const TAG: u32 = 4;
const MAX_TAGS: u32 = 2;

pub(super) const IPV4: u16 = 0x0800;
pub(super) const IPV6: u16 = 0x86dd;
/// The kind of a frame with a tag of 802.1Q.
pub(super) const VLAN: u16 = 0x8100;
/// 802.1Q, 802.1ad, and the pre-standard stacked tag that switches still send.
const TAGS: [u16; 3] = [VLAN, 0x88a8, 0x9100];

/// The kind of the network layer and its offset.
#[inline(always)]
pub(super) fn parse<F: Frame + ?Sized>(frame: &F, packet: &mut Packet) -> Result<(u16, u32), Other> {
    let header = frame.view::<{ HEADER as usize }>(0).ok_or(Other::Foreign)?;
    packet.group = header.octet(0) & 1 != 0;
    let mut kind = header.be16(12);
    let mut offset = HEADER;
    let mut tags = 0;
    while is_tag(kind) {
        // A stack that the kernel would unwrap but we do not must never pass unread.
        if tags == MAX_TAGS {
            return Err(Other::TooDeep);
        }
        kind = frame.view::<{ TAG as usize }>(offset).ok_or(Other::Malformed)?.be16(2);
        offset = F::forget(offset + TAG);
        tags += 1;
    }
    Ok((kind, offset))
}

#[inline(always)]
fn is_tag(kind: u16) -> bool {
    kind == TAGS[0] || kind == TAGS[1] || kind == TAGS[2]
}
