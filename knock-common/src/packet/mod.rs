//! Frame -> packet: what a frame is to the gate, decided before anything validates it.
//!
//! Ethernet, then IPv4 or IPv6, then TCP or UDP, one file each. Whatever cannot carry TCP or UDP
//! to this host is [`Other::Foreign`] and passes; whatever could but cannot be read for certain is
//! denied.

pub mod checksum;
mod ethernet;
pub mod frame;
mod headers;
mod ipv4;
mod ipv6;
pub mod link;
mod network;
mod other;
mod plain;
mod transport;

pub use crate::abi::flags;
pub use crate::abi::protocol::Transport;
pub use headers::{Packet, Shape};
pub use other::Other;
pub use plain::Plain;

use network::Network;

use crate::packet::frame::{Frame, View as _};

/// Reads the headers of `frame` into `packet`, which holds nothing of use after an error.
///
/// Filled in place, not returned: the verifier then follows one path with initialised fields
/// where a returned value would be put together anew on every path.
///
/// # Errors
///
/// [`Other`] for every frame that is no TCP or UDP packet with readable ports.
#[inline(always)]
pub fn parse<F: Frame + ?Sized>(frame: &F, packet: &mut Packet) -> Result<(), Other> {
    let mut network = Network::BLANK;
    let (kind, offset) = ethernet::parse(frame, packet)?;
    packet.ip = offset as u16;
    match kind {
        ethernet::IPV4 => ipv4::parse(frame, offset, packet, &mut network)?,
        ethernet::IPV6 => ipv6::parse(frame, offset, packet, &mut network)?,
        _ => return Err(Other::Foreign),
    }
    transport::parse(frame, packet, &network)
}

/// The same for a frame that begins with the IP header, on an interface without link headers. There,
/// what goes to a group is known by its destination address. Whatever begins with neither version of IP
/// is [`Other::Malformed`]: such an interface carries IP, or something of which it cannot be said what
/// it carries.
///
/// # Errors
///
/// As [`parse`].
#[inline(always)]
pub fn parse_ip<F: Frame + ?Sized>(frame: &F, packet: &mut Packet) -> Result<(), Other> {
    let mut network = Network::BLANK;
    match frame.view::<1>(0).ok_or(Other::Malformed)?.octet(0) >> 4 {
        4 => ipv4::parse(frame, 0, packet, &mut network)?,
        6 => ipv6::parse(frame, 0, packet, &mut network)?,
        _ => return Err(Other::Malformed),
    }
    packet.group = packet.dst.is_multicast();
    transport::parse(frame, packet, &network)
}

#[cfg(test)]
mod tests;
