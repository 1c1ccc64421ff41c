//! One entry of the table, as ctnetlink tells it (`nfnetlink_conntrack.h`).

use std::io::Result;
use std::net::IpAddr;
use std::time::Duration;

use knock_common::packet::Transport;

use super::HEADER;
use crate::host::netlink::{attributes, nonsense};

/// `CTA_TUPLE_ORIG`.
pub(super) const TUPLE_ORIGINAL: u16 = 1;
const TUPLE_REPLY: u16 = 2;
const STATUS: u16 = 3;
const PROTOCOL_INFO: u16 = 4;
const TIMEOUT: u16 = 7;
/// `CTA_ID`.
pub(super) const ID: u16 = 12;
/// `CTA_ZONE`.
pub(super) const ZONE: u16 = 18;
/// `CTA_TUPLE_IP`.
pub(super) const TUPLE_IP: u16 = 1;
/// `CTA_TUPLE_PROTO`.
pub(super) const TUPLE_PROTOCOL: u16 = 2;
/// `CTA_TUPLE_ZONE`.
pub(super) const TUPLE_ZONE: u16 = 3;
/// `CTA_PROTO_NUM`.
pub(super) const PROTOCOL_NUMBER: u16 = 1;
/// `CTA_PROTO_SRC_PORT`.
pub(super) const SOURCE_PORT: u16 = 2;
/// `CTA_PROTO_DST_PORT`.
pub(super) const DESTINATION_PORT: u16 = 3;

/// `IPS_SEEN_REPLY`.
const SEEN_REPLY: u32 = 1 << 1;
/// `IPS_DYING`.
const DYING: u32 = 1 << 9;
/// `IPS_OFFLOAD`.
const OFFLOAD: u32 = 1 << 14;

/// Addresses and ports of the packets of one direction, as they are before or behind NAT.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Tuple {
    /// Where they come from.
    pub source: IpAddr,
    /// Where they go.
    pub destination: IpAddr,
    /// The port that they come from.
    pub source_port: u16,
    /// The port that they go to.
    pub destination_port: u16,
}

/// The zone that an entry is of; 0 where nobody has made zones.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Zone {
    /// That of both directions.
    pub both: Option<u16>,
    /// That of the original direction alone.
    pub original: Option<u16>,
}

/// A connection that the kernel tracks.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Tracked {
    /// TCP or UDP.
    pub transport: Transport,
    /// Packets of whoever began, as they come in: before any NAT.
    pub original: Tuple,
    /// Packets of the answers, as they come in: to where source NAT has let the others seem to come from.
    pub reply: Tuple,
    /// What the kernel has seen of a TCP connection; `None` for UDP, and while a flow table forwards it.
    pub tcp_state: Option<TcpState>,
    /// There were packets in both directions.
    pub answered: bool,
    /// A flow table forwards it (`IPS_OFFLOAD`), so that its state and timeout are not told.
    pub offloaded: bool,
    /// It is about to go.
    pub dying: bool,
    /// So long is it kept without another packet; `None` while a flow table forwards it.
    pub timeout: Option<Duration>,
    /// The kernel's name of this entry. It is made of the tuple and of the place in memory, so that a later entry of the same
    /// tuple has another as a rule, and not always.
    pub id: u32,
    /// Its zone.
    pub zone: Zone,
}

/// `enum tcp_conntrack`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TcpState {
    /// A SYN was seen.
    SynSent,
    /// So was its answer.
    SynReceived,
    /// So was the answer to that; or segments of a connection whose beginning was not seen.
    Established,
    /// One side has said that it will send no more.
    FinWait,
    /// The other has acknowledged that.
    CloseWait,
    /// So has the other side, and it waits for the acknowledgement.
    LastAck,
    /// All was acknowledged, and segments may come late.
    TimeWait,
    /// It was reset.
    Closed,
    /// Both sides have sent a SYN.
    SynSentByBoth,
    /// None of these.
    Other(u8),
}

impl From<u8> for TcpState {
    fn from(number: u8) -> Self {
        match number {
            1 => Self::SynSent,
            2 => Self::SynReceived,
            3 => Self::Established,
            4 => Self::FinWait,
            5 => Self::CloseWait,
            6 => Self::LastAck,
            7 => Self::TimeWait,
            8 => Self::Closed,
            9 => Self::SynSentByBoth,
            other => Self::Other(other),
        }
    }
}

impl Tracked {
    /// Reads the body of a message; `None` for what is neither TCP nor UDP.
    pub(super) fn read(body: &[u8]) -> Result<Option<Self>> {
        let body = body.get(HEADER..).ok_or_else(|| nonsense("no family of netfilter"))?;
        let (mut original, mut reply) = (None, None);
        let (mut status, mut id, mut timeout, mut tcp_state) = (0, 0, None, None);
        let mut zone = Zone::default();
        for attribute in attributes(body) {
            let (kind, value) = attribute?;
            match kind {
                TUPLE_ORIGINAL => {
                    let told = read_tuple(value)?;
                    zone.original = told.zone;
                    original = Some(told);
                }
                TUPLE_REPLY => reply = Some(read_tuple(value)?),
                STATUS => status = u32::from_be_bytes(number(value)?),
                PROTOCOL_INFO => tcp_state = read_state(value)?,
                TIMEOUT => timeout = Some(Duration::from_secs(u32::from_be_bytes(number(value)?).into())),
                ID => id = u32::from_be_bytes(number(value)?),
                ZONE => zone.both = Some(u16::from_be_bytes(number(value)?)),
                _ => {}
            }
        }
        let missing = || nonsense("an entry without its tuples");
        let (original, reply) = (original.ok_or_else(missing)?, reply.ok_or_else(missing)?);
        let Some(transport) = original.transport else { return Ok(None) };
        Ok(Some(Self {
            transport,
            original: original.tuple,
            reply: reply.tuple,
            tcp_state,
            answered: status & SEEN_REPLY != 0,
            offloaded: status & OFFLOAD != 0,
            dying: status & DYING != 0,
            timeout,
            id,
            zone,
        }))
    }
}

/// What an attribute tells of a tuple.
#[derive(PartialEq, Eq, Debug)]
struct Told {
    tuple: Tuple,
    /// `None` for what is neither TCP nor UDP.
    transport: Option<Transport>,
    /// That of its direction alone.
    zone: Option<u16>,
}

fn read_tuple(octets: &[u8]) -> Result<Told> {
    let mut addresses = (None, None);
    let mut ports = (0, 0);
    let (mut transport, mut zone) = (None, None);
    for attribute in attributes(octets) {
        let (kind, value) = attribute?;
        match kind {
            TUPLE_IP => addresses = read_addresses(value)?,
            TUPLE_PROTOCOL => {
                for attribute in attributes(value) {
                    let (kind, value) = attribute?;
                    match kind {
                        PROTOCOL_NUMBER => transport = transport_of(value),
                        SOURCE_PORT => ports.0 = u16::from_be_bytes(number(value)?),
                        DESTINATION_PORT => ports.1 = u16::from_be_bytes(number(value)?),
                        _ => {}
                    }
                }
            }
            TUPLE_ZONE => zone = Some(u16::from_be_bytes(number(value)?)),
            _ => {}
        }
    }
    let (Some(source), Some(destination)) = addresses else { return Err(nonsense("a tuple without addresses")) };
    let tuple = Tuple { source, destination, source_port: ports.0, destination_port: ports.1 };
    Ok(Told { tuple, transport, zone })
}

/// Source and destination: `CTA_IP_V4_SRC`, `CTA_IP_V4_DST`, `CTA_IP_V6_SRC`, `CTA_IP_V6_DST`.
fn read_addresses(octets: &[u8]) -> Result<(Option<IpAddr>, Option<IpAddr>)> {
    let mut addresses = (None, None);
    for attribute in attributes(octets) {
        let (kind, value) = attribute?;
        match kind {
            1 => addresses.0 = Some(number::<4>(value)?.into()),
            2 => addresses.1 = Some(number::<4>(value)?.into()),
            3 => addresses.0 = Some(number::<16>(value)?.into()),
            4 => addresses.1 = Some(number::<16>(value)?.into()),
            _ => {}
        }
    }
    Ok(addresses)
}

/// `CTA_PROTOINFO_TCP_STATE`, within `CTA_PROTOINFO_TCP`.
fn read_state(octets: &[u8]) -> Result<Option<TcpState>> {
    for attribute in attributes(octets) {
        let (1, value) = attribute? else { continue };
        for attribute in attributes(value) {
            if let (1, &[state, ..]) = attribute? {
                return Ok(Some(state.into()));
            }
        }
    }
    Ok(None)
}

fn transport_of(value: &[u8]) -> Option<Transport> {
    match i32::from(*value.first()?) {
        libc::IPPROTO_TCP => Some(Transport::Tcp),
        libc::IPPROTO_UDP => Some(Transport::Udp),
        _ => None,
    }
}

/// The octets of a number or an address, which must be that many at least.
fn number<const N: usize>(value: &[u8]) -> Result<[u8; N]> {
    value.first_chunk().copied().ok_or_else(|| nonsense("an attribute that is too short"))
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::cut::put;
    use super::*;

    /// A connection of 198.51.100.7 with port 22 of 192.0.2.1, which stands.
    pub fn tracked() -> Tracked {
        let (client, server) = ([198, 51, 100, 7].into(), [192, 0, 2, 1].into());
        Tracked {
            transport: Transport::Tcp,
            original: Tuple { source: client, destination: server, source_port: 40_000, destination_port: 22 },
            reply: Tuple { source: server, destination: client, source_port: 22, destination_port: 40_000 },
            tcp_state: Some(TcpState::Established),
            answered: true,
            offloaded: false,
            dying: false,
            timeout: Some(Duration::from_secs(432_000)),
            id: 77,
            zone: Zone::default(),
        }
    }

    fn tuple(addresses: [(u16, &[u8]); 2], protocol: u8, ports: [u16; 2], zone: Option<u16>) -> Vec<u8> {
        let (mut ip, mut transport, mut octets) = (Vec::new(), Vec::new(), Vec::new());
        for (kind, address) in addresses {
            put(&mut ip, kind, address);
        }
        put(&mut transport, PROTOCOL_NUMBER, &[protocol]);
        put(&mut transport, SOURCE_PORT, &ports[0].to_be_bytes());
        put(&mut transport, DESTINATION_PORT, &ports[1].to_be_bytes());
        put(&mut octets, TUPLE_IP | 0x8000, &ip);
        put(&mut octets, TUPLE_PROTOCOL | 0x8000, &transport);
        if let Some(zone) = zone {
            put(&mut octets, TUPLE_ZONE, &zone.to_be_bytes());
        }
        octets
    }

    /// What the kernel tells of [`tracked`], with another protocol and other attributes behind it.
    fn message(protocol: u8, more: &[(u16, &[u8])]) -> Vec<u8> {
        let mut octets = vec![libc::AF_INET as u8, 0, 0, 0];
        let (client, server) = (&[198, 51, 100, 7][..], &[192, 0, 2, 1][..]);
        put(&mut octets, 0x8000 | TUPLE_ORIGINAL, &tuple([(1, client), (2, server)], protocol, [40_000, 22], None));
        put(&mut octets, 0x8000 | TUPLE_REPLY, &tuple([(1, server), (2, client)], protocol, [22, 40_000], None));
        put(&mut octets, STATUS, &(SEEN_REPLY | 0xc).to_be_bytes());
        put(&mut octets, TIMEOUT, &432_000_u32.to_be_bytes());
        put(&mut octets, ID, &77_u32.to_be_bytes());
        for (kind, value) in more {
            put(&mut octets, *kind, value);
        }
        octets
    }

    fn state(number: u8) -> Vec<u8> {
        let (mut state, mut tcp) = (Vec::new(), Vec::new());
        put(&mut state, 1, &[number]);
        put(&mut tcp, 0x8000 | 1, &state);
        tcp
    }

    #[test]
    fn an_entry_is_read_with_all_that_matters() {
        let octets = message(6, &[(0x8000 | PROTOCOL_INFO, &state(3)), (8, &[0; 4])]);
        assert_eq!(Tracked::read(&octets).unwrap(), Some(tracked()));
        let octets = message(17, &[(ZONE, &[0, 9])]);
        let zone = Zone { both: Some(9), original: None };
        let udp = Tracked { transport: Transport::Udp, tcp_state: None, zone, ..tracked() };
        assert_eq!(Tracked::read(&octets).unwrap(), Some(udp));
    }

    #[test]
    fn other_protocols_are_passed_over() {
        assert_eq!(Tracked::read(&message(132, &[])).unwrap(), None);
    }

    #[test]
    fn addresses_of_ipv6_and_a_zone_of_one_direction_are_read() {
        let (one, two) = ([1; 16], [2; 16]);
        let octets = tuple([(3, &one), (4, &two)], 17, [5, 6], Some(7));
        let tuple = Tuple { source: one.into(), destination: two.into(), source_port: 5, destination_port: 6 };
        let told = Told { tuple, transport: Some(Transport::Udp), zone: Some(7) };
        assert_eq!(read_tuple(&octets).unwrap(), told);
    }

    #[test]
    fn cut_off_entries_are_errors_or_told_without_what_is_missing() {
        let whole = message(6, &[(0x8000 | PROTOCOL_INFO, &state(3))]);
        let least = message(6, &[]).len() - 8 - 8 - 8;
        for length in 0..least {
            assert!(Tracked::read(&whole[..length]).is_err(), "{length}");
        }
        let mut short = message(6, &[]);
        put(&mut short, STATUS, &[0, 0]);
        assert!(Tracked::read(&short).is_err());
    }
}
