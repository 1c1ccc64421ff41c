//! Flows: connections that were let in, whoever they end with (rule 19).
//!
//! A socket of this host can be looked up; a guest on a bridge, a host behind this one, or a container behind DNAT has
//! none here. So what passes under a grant or trust is noted by its addresses and ports, and what belongs to it passes
//! once the grant has ended. A flow never lets a new TCP connection in.

use crate::abi::flags::TcpFlags;
use crate::abi::protocol::Transport;
use crate::addr::Addr;
use crate::atomic::Atomic64;

const SECOND: u64 = 1_000_000_000;
/// How long a connection may take to be made: as long as a SYN cookie may be answered (net/ipv4/syncookies.c).
const OPENING: u64 = 120 * SECOND;
/// How long an established connection may be idle: as long as conntrack keeps it.
const IDLE: u64 = 5 * 24 * 3600 * SECOND;
/// How long a connection is kept behind the last segment after a FIN or RST of the client, unless data follows.
const CLOSING: u64 = 120 * SECOND;
/// How exactly it is noted when a flow was last seen, so that a stream does not write for each packet.
const GRAIN: u64 = SECOND;

/// Key of the `FLOWS` map: what stands in each packet of one flow that arrives here.
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct FlowKey {
    /// Source address.
    pub source: Addr,
    /// Destination address, before any DNAT of this host.
    pub dest: Addr,
    /// Source port.
    pub sport: u16,
    /// Destination port, before any DNAT of this host.
    pub dport: u16,
    /// IP protocol number, 6 or 17.
    pub transport: u32,
}

impl FlowKey {
    /// True for UDP, false for TCP.
    #[inline(always)]
    #[must_use]
    pub const fn is_udp(&self) -> bool {
        self.transport == Transport::Udp as u32
    }
}

/// Value of the `FLOWS` map. Zeroed, it is no flow.
#[repr(C)]
#[derive(Debug, Default)]
pub struct Flow {
    /// A [`FlowState`].
    pub state: Atomic64,
    /// Tag of the service that it was let in to.
    pub service: u32,
    /// The key by which it came in; 0 for none.
    pub key: u32,
}

impl Flow {
    /// A flow to a service, by no key.
    #[inline(always)]
    #[must_use]
    pub const fn new(state: FlowState, service: u32) -> Self {
        Self { state: Atomic64::new(state.0), service, key: 0 }
    }
}

/// How far a flow has come.
#[repr(u64)]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Phase {
    /// A SYN was seen, and nothing after it.
    Opening = 1,
    /// A connection, or UDP.
    Open = 2,
    /// The client has sent a FIN or RST, and no data a second or more behind it.
    Closing = 3,
}

/// The [`Phase`] and when the last packet was seen, in one word: boot time in ns, whose two lowest bits are the phase.
/// The word 0 is no flow.
#[repr(transparent)]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FlowState(pub u64);

impl FlowState {
    const PHASE: u64 = 3;

    /// A flow that was seen at `now`, boot time in ns.
    #[inline(always)]
    #[must_use]
    pub const fn new(phase: Phase, now: u64) -> Self {
        Self(now & !Self::PHASE | phase as u64)
    }

    /// The state of a flow that begins with this packet; `None` if it begins none.
    #[inline(always)]
    #[must_use]
    pub const fn begun(is_udp: bool, flags: TcpFlags, now: u64) -> Option<Self> {
        let phase = if is_udp {
            Phase::Open
        } else if flags.has(TcpFlags::RST) {
            return None;
        } else if !flags.opens() {
            Phase::after(flags)
        } else if flags.has(TcpFlags::SYN) {
            Phase::Opening
        } else {
            // None of SYN, ACK and RST: no connection begins so.
            return None;
        };
        Some(Self::new(phase, now))
    }

    /// The state after a packet that passes by the flow; `None` if there is nothing new to note.
    #[inline(always)]
    #[must_use]
    pub const fn moved(self, is_udp: bool, flags: TcpFlags, now: u64) -> Option<Self> {
        let (before, is_fresh) = (self.0 & Self::PHASE, now.saturating_sub(self.seen()) < GRAIN);
        // Whoever has really ended sends no new data, so that it was a forged FIN or RST, which the other end did not
        // believe. That there is data is said by PSH, which the last segment of it has (RFC 9293, MUST-61). What a real
        // end is followed by opens nothing: the last ACK has no data, and a segment that was late comes within a second.
        // One that is lost and sent again for longer than that costs an entry that is kept for nothing.
        let stays_closed = before == Phase::Closing as u64 && (is_fresh || !flags.has(TcpFlags::PSH));
        let phase = match Phase::after(flags) {
            _ if is_udp => Phase::Open,
            _ if stays_closed => Phase::Closing,
            phase => phase,
        };
        if phase as u64 == before && is_fresh {
            return None;
        }
        Some(Self::new(phase, now))
    }

    /// How far it has come; `None` if it is no flow.
    #[must_use]
    pub const fn phase(self) -> Option<Phase> {
        match self.0 & Self::PHASE {
            1 => Some(Phase::Opening),
            2 => Some(Phase::Open),
            3 => Some(Phase::Closing),
            _ => None,
        }
    }

    /// When the last packet was seen, boot time in ns, to the second.
    #[inline(always)]
    #[must_use]
    pub const fn seen(self) -> u64 {
        self.0 & !Self::PHASE
    }

    /// The same flow, seen at `now`.
    #[inline(always)]
    pub(crate) const fn seen_at(self, now: u64) -> Self {
        Self(now & !Self::PHASE | self.0 & Self::PHASE)
    }

    /// True if the flow still is one. That of UDP ends when it was idle for longer than `flow_idle` ns.
    #[inline(always)]
    #[must_use]
    pub const fn is_live(self, is_udp: bool, now: u64, flow_idle: u64) -> bool {
        let limit = match self.0 & Self::PHASE {
            _ if is_udp => flow_idle,
            1 => OPENING,
            2 => IDLE,
            _ => CLOSING,
        };
        self.0 & Self::PHASE != 0 && now.saturating_sub(self.seen()) < limit.saturating_add(GRAIN)
    }

    /// True if a client who asks for a connection once more means this one, and not a new one from the same port.
    #[inline(always)]
    pub(crate) const fn outlives_a_syn(self) -> bool {
        self.0 & Self::PHASE != Phase::Closing as u64
    }
}

impl Phase {
    /// The phase after a segment that does not open a connection, by that segment alone.
    #[inline(always)]
    const fn after(flags: TcpFlags) -> Self {
        if flags.has(TcpFlags::RST) || flags.has(TcpFlags::FIN) { Self::Closing } else { Self::Open }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ACK: u8 = 0x10;
    const SYN: u8 = 0x02;
    const RST: u8 = 0x04;
    const FIN: u8 = 0x01;
    const PSH: u8 = 0x08;
    const URG: u8 = 0x20;
    const NOW: u64 = 1 << 40;

    fn live(state: FlowState, after: u64) -> bool {
        state.is_live(false, state.seen() + after, 0)
    }

    #[test]
    fn a_zeroed_flow_is_none() {
        for is_udp in [false, true] {
            assert!(!FlowState(0).is_live(is_udp, 0, u64::MAX));
        }
    }

    #[test]
    fn a_connection_is_kept_as_long_as_conntrack_keeps_it() {
        let opening = FlowState::begun(false, TcpFlags(SYN), NOW).unwrap();
        assert!(live(opening, OPENING) && !live(opening, OPENING + GRAIN));
        let open = opening.moved(false, TcpFlags(ACK), NOW).unwrap();
        assert!(live(open, IDLE) && !live(open, IDLE + GRAIN));
        for end in [FIN | ACK, RST, RST | ACK] {
            let closing = open.moved(false, TcpFlags(end), NOW).unwrap();
            assert!(live(closing, CLOSING) && !live(closing, CLOSING + GRAIN), "{end:#x}");
            // What the other end still sends is acknowledged.
            let later = closing.moved(false, TcpFlags(ACK), NOW + CLOSING).unwrap();
            assert!(live(later, CLOSING) && !live(later, CLOSING + GRAIN), "{end:#x}");
        }
    }

    #[test]
    fn data_behind_an_end_opens_a_connection_again() {
        let closing = FlowState::new(Phase::Closing, NOW);
        let phase = |flags, after| {
            let next = closing.moved(false, TcpFlags(flags), NOW + after);
            next.unwrap_or(closing).phase().unwrap()
        };
        for flags in [PSH | ACK, PSH | ACK | URG] {
            assert_eq!(phase(flags, GRAIN), Phase::Open, "{flags:#x}");
            assert_eq!(phase(flags, CLOSING), Phase::Open, "{flags:#x}");
            // It may have been sent before the end.
            assert_eq!(phase(flags, GRAIN - 1), Phase::Closing, "{flags:#x}");
        }
        for flags in [ACK, FIN | ACK, FIN | PSH | ACK, RST, RST | ACK, RST | PSH | ACK] {
            assert_eq!(phase(flags, GRAIN), Phase::Closing, "{flags:#x}");
        }
    }

    #[test]
    fn a_datagram_keeps_its_flow_for_the_time_of_the_config() {
        let flow = FlowState::begun(true, TcpFlags(0), NOW).unwrap();
        for idle in [SECOND, 180 * SECOND] {
            assert!(flow.is_live(true, NOW + idle, idle));
            assert!(!flow.is_live(true, NOW + idle + GRAIN, idle));
        }
    }

    #[test]
    fn a_stream_is_noted_once_a_second() {
        let open = FlowState::new(Phase::Open, NOW);
        assert_eq!(open.moved(false, TcpFlags(ACK), NOW + GRAIN - 1), None);
        assert_eq!(open.moved(false, TcpFlags(ACK), NOW + GRAIN), Some(FlowState::new(Phase::Open, NOW + GRAIN)));
        // Another CPU was later.
        assert_eq!(open.moved(false, TcpFlags(ACK), NOW - GRAIN), None);
    }

    #[test]
    fn what_opens_no_connection_begins_no_flow() {
        for flags in [RST, RST | ACK, 0, FIN, 0x20] {
            assert_eq!(FlowState::begun(false, TcpFlags(flags), NOW), None, "{flags:#x}");
        }
    }
}
