//! How the frames of an interface begin.

use super::{Other, Packet, parse, parse_ip};
use crate::packet::frame::Frame;

/// How the frames of an interface begin.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Link {
    /// With an Ethernet header.
    Ethernet,
    /// With the IP header: tun, PPP, WireGuard, tunnels of IP in IP.
    Ip,
}

impl Link {
    /// Reads the headers of a frame of such an interface into `packet`.
    ///
    /// # Errors
    ///
    /// What the frame is, if it is no TCP or UDP packet; `packet` then holds anything.
    #[inline(always)]
    pub fn parse<F: Frame + ?Sized>(self, frame: &F, packet: &mut Packet) -> Result<(), Other> {
        match self {
            Self::Ethernet => parse(frame, packet),
            Self::Ip => parse_ip(frame, packet),
        }
    }
}
