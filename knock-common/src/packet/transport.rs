//! TCP (RFC 9293) and UDP (RFC 768): ports, flags, lengths.

use super::headers::{Packet, Shape};
use super::network::Network;
use super::other::Other;
use crate::abi::flags::TcpFlags;
use crate::abi::protocol::Transport;
use crate::packet::frame::{Frame, View};

const TCP: u8 = Transport::Tcp as u8;
const UDP: u8 = Transport::Udp as u8;
const TCP_HEADER: u32 = 20;
/// Up to and with the flags: what a first fragment must hold.
const TCP_JUDGED: u32 = 14;
const UDP_HEADER: u32 = 8;
const PORTS: u32 = 4;

#[inline(always)]
pub(super) const fn is_gated(protocol: u8) -> bool {
    protocol == TCP || protocol == UDP
}

/// What a fragment at `offset` (8-byte units, not 0) is. Kept out of reassembly where it could
/// overwrite the TCP flags of the first one (RFC 3128).
#[inline(always)]
pub(super) const fn later_fragment(protocol: u8, offset: u16) -> Other {
    if protocol == TCP && offset == 1 { Other::Overlap } else { Other::LaterFragment }
}

#[inline(always)]
pub(super) fn parse<F: Frame + ?Sized>(frame: &F, packet: &mut Packet, network: &Network) -> Result<(), Other> {
    packet.l4 = network.offset as u16;
    packet.l4_len = network.length;
    packet.shape = if network.fragment || network.never_knock { Shape::Part } else { Shape::Whole };
    if network.protocol == UDP {
        packet.transport = Transport::Udp;
        udp(frame, packet, network)
    } else {
        packet.transport = Transport::Tcp;
        tcp(frame, packet, network)
    }
}

#[inline(always)]
fn tcp<F: Frame + ?Sized>(frame: &F, packet: &mut Packet, network: &Network) -> Result<(), Other> {
    if network.length < TCP_JUDGED {
        return flagless(frame, packet, network);
    }
    let h = frame.view::<{ TCP_JUDGED as usize }>(network.offset).ok_or(Other::Malformed)?;
    let header = u32::from(h.octet(12) >> 4) * 4;
    if header < TCP_HEADER || (header > network.length && !network.fragment) {
        return Err(Other::Malformed);
    }
    packet.flags = h.octet(13);
    ports(packet, &h);
    Ok(())
}

/// A first fragment too short for the flags: its ports may still say that it is not ours.
#[inline(always)]
fn flagless<F: Frame + ?Sized>(frame: &F, packet: &mut Packet, network: &Network) -> Result<(), Other> {
    if network.length < PORTS || !network.fragment {
        return Err(network.short());
    }
    packet.shape = Shape::Flagless;
    // It asks for nothing, so that no attempt takes it for a wrong knock.
    packet.flags = TcpFlags::ACK;
    ports(packet, &frame.view::<{ PORTS as usize }>(network.offset).ok_or(Other::Malformed)?);
    Ok(())
}

#[inline(always)]
fn udp<F: Frame + ?Sized>(frame: &F, packet: &mut Packet, network: &Network) -> Result<(), Other> {
    if network.length < UDP_HEADER {
        return Err(network.short());
    }
    let h = frame.view::<{ UDP_HEADER as usize }>(network.offset).ok_or(Other::Malformed)?;
    let length = u32::from(h.be16(4));
    // Length 0 is a UDP jumbogram (RFC 2675), which only IPv6 knows.
    let jumbo = length == 0 && !packet.dst.is_v4();
    if (length < UDP_HEADER && !jumbo) || (length > network.length && !network.fragment) {
        return Err(Other::Malformed);
    }
    packet.flags = 0;
    ports(packet, &h);
    Ok(())
}

#[inline(always)]
fn ports<V: View>(packet: &mut Packet, header: &V) {
    packet.sport = header.be16(0);
    packet.dport = header.be16(2);
}
