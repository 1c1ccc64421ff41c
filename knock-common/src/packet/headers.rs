//! What the headers of a TCP or UDP packet say.

use crate::abi::flags::TcpFlags;
use crate::abi::flow::FlowKey;
use crate::abi::protocol::Transport;
use crate::addr::Addr;

/// How much of the packet this frame holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Shape {
    /// All of it.
    Whole = 0,
    /// A first (or only) fragment that holds ports and flags, or a jumbogram: judged like a whole
    /// packet, but never a knock.
    Part = 1,
    /// A first fragment that holds the ports but not the TCP flags. A bit of its own, so that rule 4 can ask for it in words.
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
    /// No packet: what [`parse`](super::parse) fills in.
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

    /// The flow that the packet belongs to.
    #[inline(always)]
    #[must_use]
    pub const fn flow_key(&self) -> FlowKey {
        FlowKey {
            source: self.src,
            dest: self.dst,
            sport: self.sport,
            dport: self.dport,
            transport: self.transport as u32,
        }
    }

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
