//! Which packets a tracked connection brings to the gate, and whether it stands at all.

use std::time::Duration;

use knock_common::packet::Transport;

use super::entry::{TcpState, Tracked, Tuple};
use crate::syntax::Port;

/// Packets of one direction of a connection, as they arrive at an interface.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Flow {
    /// TCP or UDP.
    pub transport: Transport,
    /// Addresses and ports in the packets that arrive.
    pub tuple: Tuple,
    /// Both sides are about to be done with it: late segments are all that may come.
    pub ending: bool,
    /// So long would connection tracking keep it without another packet; `None` if it does not say.
    pub remaining: Option<Duration>,
}

impl Tracked {
    /// True for a connection, and not for what only asks for one. There were packets in both directions, as a scanner's
    /// probes alone make entries too: of TCP in the state `ESTABLISHED` if they look like the middle of a connection. A
    /// handshake under way stands from the answer to the SYN on. What was reset does not; what waits for late segments
    /// does, so that the other end is not left without an acknowledgement.
    #[must_use]
    pub const fn stands(&self) -> bool {
        if self.dying || !self.answered {
            return false;
        }
        match (self.transport, self.tcp_state) {
            (Transport::Udp, _) => true,
            (Transport::Tcp, None) => self.offloaded,
            (Transport::Tcp, Some(state)) => matches!(
                state,
                TcpState::SynReceived
                    | TcpState::Established
                    | TcpState::FinWait
                    | TcpState::CloseWait
                    | TcpState::LastAck
                    | TcpState::TimeWait
            ),
        }
    }

    /// The flows of this connection that arrive at the gate for a port that is `protected`; none if it does not stand.
    ///
    /// The gate is in front of NAT, so that packets of a client are as in the original direction, whatever they are
    /// changed to behind it; and answers to what was begun from inside are as in the reply direction, to the address and
    /// the port that a masqueraded host seems to have. Who is inside nobody needs to know: of the two directions of a
    /// connection each is a flow if the port it goes to is protected.
    pub fn to_this_gate(&self, protected: impl Fn(Port) -> bool) -> impl Iterator<Item = Flow> {
        let transport = self.transport;
        let flow = move |tuple: Tuple| {
            let port = Port { number: tuple.destination_port, transport };
            protected(port).then_some(Flow {
                transport,
                tuple,
                ending: matches!(self.tcp_state, Some(TcpState::LastAck | TcpState::TimeWait)),
                remaining: self.timeout,
            })
        };
        let directions = self.stands().then_some([self.original, self.reply]);
        directions.into_iter().flatten().filter_map(flow)
    }
}

#[cfg(test)]
mod tests {
    use super::super::entry::tests::tracked;
    use super::*;

    const SSH: Port = Port { number: 22, transport: Transport::Tcp };
    const MOSH: Port = Port { number: 60_001, transport: Transport::Udp };

    fn flows(entry: &Tracked, protected: Port) -> Vec<Tuple> {
        entry.to_this_gate(|port| port == protected).map(|flow| flow.tuple).collect()
    }

    /// A question from inside, masqueraded behind 192.0.2.1 with the source port 60001.
    fn masqueraded() -> Tracked {
        let (inside, gate, resolver) = ([10, 0, 0, 5].into(), [192, 0, 2, 1].into(), [203, 0, 113, 53].into());
        Tracked {
            transport: Transport::Udp,
            tcp_state: None,
            original: Tuple { source: inside, destination: resolver, source_port: 5353, destination_port: 53 },
            reply: Tuple { source: resolver, destination: gate, source_port: 53, destination_port: 60_001 },
            ..tracked()
        }
    }

    #[test]
    fn a_client_is_seen_before_its_packets_are_changed() {
        let mut entry = tracked();
        // To a container's port 2200.
        entry.reply.source = [172, 17, 0, 2].into();
        entry.reply.source_port = 2200;
        assert_eq!(flows(&entry, SSH), [entry.original]);
        assert!(flows(&entry, Port { number: 2200, ..SSH }).is_empty());
        assert!(flows(&entry, Port { transport: Transport::Udp, ..SSH }).is_empty());
    }

    #[test]
    fn answers_to_what_began_inside_go_to_the_port_it_seems_to_come_from() {
        let entry = masqueraded();
        assert_eq!(flows(&entry, MOSH), [entry.reply]);
        assert!(flows(&entry, Port { number: 5353, ..MOSH }).is_empty());
    }

    #[test]
    fn both_directions_are_flows_if_both_ports_are_protected() {
        let entry = masqueraded();
        let both = entry.to_this_gate(|port| [53, 60_001].contains(&port.number));
        assert_eq!(both.map(|flow| flow.tuple).collect::<Vec<_>>(), [entry.original, entry.reply]);
    }

    #[test]
    fn what_nobody_has_answered_is_no_connection() {
        for entry in [tracked(), masqueraded()] {
            let probe = Tracked { answered: false, ..entry };
            assert!(probe.to_this_gate(|_| true).next().is_none());
        }
    }

    #[test]
    fn a_connection_stands_from_the_answer_to_its_syn_to_its_last_segments() {
        let stands = |number: u8| Tracked { tcp_state: Some(number.into()), ..tracked() }.stands();
        let standing: Vec<_> = (0..=10).filter(|number| stands(*number)).collect();
        // SYN_RECV, ESTABLISHED, FIN_WAIT, CLOSE_WAIT, LAST_ACK, TIME_WAIT.
        assert_eq!(standing, [2, 3, 4, 5, 6, 7]);
        assert!(!Tracked { dying: true, ..tracked() }.stands());
    }

    #[test]
    fn a_connection_without_a_state_stands_if_a_flow_table_has_it() {
        let entry = Tracked { tcp_state: None, timeout: None, ..tracked() };
        assert!(!entry.stands());
        assert!(Tracked { offloaded: true, ..entry }.stands());
    }

    #[test]
    fn a_flow_says_whether_it_is_about_to_end_and_how_long_it_is_kept() {
        let flow = |state| {
            let entry = Tracked { tcp_state: Some(state), ..tracked() };
            entry.to_this_gate(|port| port == SSH).next().unwrap()
        };
        assert!(!flow(TcpState::Established).ending && !flow(TcpState::FinWait).ending);
        assert!(flow(TcpState::LastAck).ending && flow(TcpState::TimeWait).ending);
        assert_eq!(flow(TcpState::Established).remaining, tracked().timeout);
    }
}
