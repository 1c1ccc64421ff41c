//! Frames that are none of the gate's business.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::builder::{BROADCAST, HERE, PacketBuilder, THERE};
use super::{ARP, SERVER_V6};

/// An Ethernet frame with any type and body.
#[must_use]
pub fn ethernet(kind: u16, body: &[u8]) -> Vec<u8> {
    let mut frame = Vec::with_capacity(14 + body.len());
    frame.extend(HERE);
    frame.extend(THERE);
    frame.extend(kind.to_be_bytes());
    frame.extend(body);
    frame
}

/// "Who has `target`? Tell `sender`" (RFC 826).
#[must_use]
pub fn arp_request(sender: Ipv4Addr, target: Ipv4Addr) -> Vec<u8> {
    let mut body = vec![0, 1, 8, 0, 6, 4, 0, 1];
    body.extend(THERE);
    body.extend(sender.octets());
    body.extend([0; 6]);
    body.extend(target.octets());
    let mut frame = ethernet(ARP, &body);
    frame[..6].copy_from_slice(&BROADCAST);
    frame
}

/// A neighbour solicitation for [`SERVER_V6`] (RFC 4861, 4.3).
#[must_use]
pub fn neighbour_solicitation(sender: Ipv6Addr) -> Vec<u8> {
    let mut body = SERVER_V6.octets().to_vec();
    body.extend([1, 1]);
    body.extend(THERE);
    PacketBuilder::between(sender, SERVER_V6).icmp(135, 0).payload(&body).hops(255).build()
}
