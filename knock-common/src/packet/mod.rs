//! Frame -> packet: what a frame is to the gate, decided before anything validates it.
//!
//! Ethernet, then IPv4 or IPv6, then TCP or UDP, one file each. Whatever cannot carry TCP or UDP
//! to this host is [`Other::Foreign`] and passes; whatever could but cannot be read for certain is
//! denied.

mod ethernet;
mod ipv4;
mod ipv6;
pub mod link;
mod plain;
mod transport;

pub use plain::Plain;

use crate::addr::Addr;
use crate::flags::TcpFlags;
use crate::frame::{Frame, View as _};

/// The transports that have ports to gate.
#[repr(u8)]
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Transport {
    /// RFC 9293.
    Tcp = 6,
    /// RFC 768.
    Udp = 17,
}

/// How much of the packet this frame holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Shape {
    /// All of it.
    Whole = 0,
    /// A first (or only) fragment that holds ports and flags, or a jumbogram: judged like a whole
    /// packet, but never a knock.
    Part = 1,
    /// A first fragment that holds the ports but not the TCP flags. A bit of its own: see [`crate::rules::Door`].
    Flagless = 2,
}

/// A TCP segment or UDP datagram.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Packet {
    /// Source address.
    pub src: Addr,
    /// Destination address.
    pub dst: Addr,
    /// Source port.
    pub sport: u16,
    /// Destination port.
    pub dport: u16,
    /// TCP or UDP.
    pub transport: Transport,
    /// [`TcpFlags`]; 0 for UDP.
    pub flags: u8,
    /// How much of the packet is here.
    pub shape: Shape,
    /// The frame went to a group (broadcast or multicast) address. What has a [zoneless](Addr::is_zoneless) source is
    /// treated alike: as no knock and no wrong one, and not answered.
    pub group: bool,
    /// Offset of the IP header.
    pub ip: u16,
    /// Offset of the TCP or UDP header.
    pub l4: u16,
    /// Length of TCP or UDP header and payload by the IP header.
    pub l4_len: u32,
}

impl Packet {
    /// True if the packet asks for a new flow: any UDP datagram, a TCP SYN without ACK, or a TCP
    /// segment that no live connection sends.
    #[inline(always)]
    #[must_use]
    pub const fn opens(&self) -> bool {
        match self.transport {
            Transport::Udp => true,
            Transport::Tcp => TcpFlags(self.flags).opens(),
        }
    }

    /// Says to which interface a link-local source belongs, once the rest of the packet is read. Nobody else is asked for.
    #[inline(always)]
    pub fn came_on(&mut self, scope: impl FnOnce() -> u32) {
        if self.src.is_near() {
            self.src = self.src.scoped(scope());
            self.group |= self.src.is_zoneless();
        }
    }

    /// True if the packet may end an attempt where it goes to an unrelated port (rule 4): a datagram, or a segment whose
    /// flags `heeds` takes.
    #[inline(always)]
    #[must_use]
    pub fn is_heeded(&self, heeds: impl Fn(TcpFlags) -> bool) -> bool {
        match self.transport {
            Transport::Udp => true,
            Transport::Tcp => heeds(TcpFlags(self.flags)),
        }
    }

    /// True if the packet may be a knock: whole, and to this host alone.
    #[inline(always)]
    #[must_use]
    pub const fn may_knock(&self) -> bool {
        matches!(self.shape, Shape::Whole) && !self.group
    }
}

/// A frame that is not a TCP or UDP packet to judge by its port.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Other {
    /// Not IP, or not TCP or UDP: passes untouched.
    Foreign,
    /// A fragment other than the first: nothing without its first, passes.
    LaterFragment,
    /// A header that contradicts its own length, or ends before it should: denied.
    Malformed,
    /// More than two VLAN tags or eight extension headers: denied.
    TooDeep,
    /// A first fragment without the ports: denied.
    TinyFragment,
    /// A TCP fragment at offset 8, which could overwrite the flags (RFC 3128): denied.
    Overlap,
}

impl Packet {
    /// No packet: what [`parse`] fills in.
    pub const BLANK: Self = Self {
        src: Addr::ANY,
        dst: Addr::ANY,
        sport: 0,
        dport: 0,
        transport: Transport::Tcp,
        flags: 0,
        shape: Shape::Whole,
        group: false,
        ip: 0,
        l4: 0,
        l4_len: 0,
    };
}

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

/// What the network layer has found out about the transport header.
struct Network {
    /// Offset of the header.
    offset: u32,
    /// Bytes from there on, by the IP header's length.
    length: u32,
    /// IP protocol number.
    protocol: u8,
    /// More fragments follow.
    fragment: bool,
    /// No knock, whatever it holds: a jumbogram, or an atomic fragment.
    never_knock: bool,
}

impl Network {
    const BLANK: Self = Self { offset: 0, length: 0, protocol: 0, fragment: false, never_knock: false };

    /// Lets a rare path work on a copy. Only the copy then has an address, and the common path keeps
    /// its fields in registers.
    #[inline(always)]
    fn with_copy(&mut self, work: impl FnOnce(&mut Self) -> Result<(), Other>) -> Result<(), Other> {
        let mut copy = Self { ..*self };
        work(&mut copy)?;
        *self = copy;
        Ok(())
    }

    /// Steps over a header of `size` bytes; an error if the packet is not that long.
    #[inline(always)]
    fn step(&mut self, size: u32) -> Result<(), Other> {
        if size > self.length {
            return Err(self.short());
        }
        self.offset += size;
        self.length -= size;
        Ok(())
    }

    /// What a header is that ends before it should: a chain that a first fragment cuts short hides
    /// the ports (RFC 7112).
    #[inline(always)]
    fn short(&self) -> Other {
        if self.fragment { Other::TinyFragment } else { Other::Malformed }
    }
}

#[cfg(test)]
mod tests;
