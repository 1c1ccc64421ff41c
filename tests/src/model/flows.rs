//! Rule 19: a connection that was let in is not cut.

use super::config::Protocol;
use super::spec::{Fragment, PacketSpec};
use super::{FlowPlace, Model, Nanos};
use crate::packet::{ACK, FIN, PSH, RST, SYN};

const SECOND: Nanos = 1_000_000_000;
const TWO_MINUTES: Nanos = 120 * SECOND;
const FIVE_DAYS: Nanos = 5 * 86_400 * SECOND;

/// How far a connection has come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Stage {
    /// Its SYN was seen.
    Asked,
    /// More was seen.
    Stands,
    /// The client has said that it ends, and sent no data since.
    Ends,
}

/// A connection that was let in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Flow {
    /// How far it has come.
    pub stage: Stage,
    /// When a packet of it was last noted.
    pub seen: Nanos,
}

fn key(packet: &PacketSpec) -> FlowPlace {
    (packet.sender(), packet.from, packet.dest, packet.to)
}

fn is_udp(packet: &PacketSpec) -> bool {
    packet.to.1 == Protocol::Udp
}

/// A packet without its flags may be anything.
fn asks_for_a_connection(packet: &PacketSpec) -> bool {
    let has = |flag: u8| packet.flags & flag != 0;
    packet.fragment == Fragment::PortsOnly || (has(SYN) && !has(ACK)) || !(has(SYN) || has(ACK) || has(RST))
}

impl Model {
    pub(super) fn is_flow_live(&self, protocol: Protocol, flow: &Flow, now: Nanos) -> bool {
        let limit = match (protocol, flow.stage) {
            (Protocol::Udp, _) => self.config.flow_idle,
            (Protocol::Tcp, Stage::Stands) => FIVE_DAYS,
            (Protocol::Tcp, Stage::Asked | Stage::Ends) => TWO_MINUTES,
        };
        // It is noted to the second when a packet was seen.
        now < flow.seen + limit + SECOND
    }

    fn live_flow(&self, now: Nanos, packet: &PacketSpec) -> Option<Flow> {
        let flow = self.flows.get(&key(packet))?;
        self.is_flow_live(packet.to.1, flow, now).then_some(*flow)
    }

    pub(super) fn is_of_a_flow(&self, now: Nanos, packet: &PacketSpec) -> bool {
        (is_udp(packet) || !asks_for_a_connection(packet)) && self.live_flow(now, packet).is_some()
    }

    /// A packet of a flow.
    pub(super) fn see_flow(&mut self, now: Nanos, packet: &PacketSpec) {
        let Some(flow) = self.flows.get_mut(&key(packet)) else { return };
        // Whoever sends more data has not ended. Within a second it may be older than the end.
        let goes_on = packet.flags & PSH != 0 && now >= flow.seen + SECOND;
        let ends = packet.flags & (FIN | RST) != 0 || (flow.stage == Stage::Ends && !goes_on);
        let stage = if !is_udp(packet) && ends { Stage::Ends } else { Stage::Stands };
        if stage != flow.stage || now >= flow.seen + SECOND {
            *flow = Flow { stage, seen: now };
        }
    }

    /// A packet that passes otherwise.
    pub(super) fn note_flow(&mut self, now: Nanos, packet: &PacketSpec) {
        let flags = packet.flags;
        let stage = if is_udp(packet) {
            Stage::Stands
        } else if packet.fragment == Fragment::PortsOnly || flags & RST != 0 {
            return;
        } else if !asks_for_a_connection(packet) {
            if flags & FIN != 0 { Stage::Ends } else { Stage::Stands }
        } else if flags & SYN != 0 {
            Stage::Asked
        } else {
            return;
        };
        let known = self.live_flow(now, packet).filter(|flow| flow.stage != Stage::Ends);
        let stage = known.map_or(stage, |flow| flow.stage);
        self.flows.insert(key(packet), Flow { stage, seen: now });
    }
}
