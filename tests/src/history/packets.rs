//! Random packets: people who knock, mostly well, among noise.

use std::collections::VecDeque;
use std::net::IpAddr;

use fastrand::Rng;

use super::config::{SERVERS, SOURCES, address, random_protocol};
use super::{Profile, TICK, chance, pick};
use crate::links;
use crate::model::{Checksum, Config, Fragment, Nanos, PacketSpec, Port, Protocol, Sockets};
use crate::packet::{ACK, CWR, ECE, FIN, OLD_VLAN, PSH, RST, SERVICE_VLAN, SYN, URG, VLAN};

const MILLISECOND: Nanos = 1_000_000;
/// The source port of connections that are established.
const CONNECTED: u16 = 50_000;

/// A host that has a plan: the packets of a door, in order.
struct Person {
    source: IpAddr,
    /// Where most of its packets come.
    interface: u32,
    door: usize,
    plan: VecDeque<usize>,
    began: Nanos,
}

/// A TCP connection: source, source port, destination, destination port of what arrives.
pub type Flow = (IpAddr, u16, IpAddr, u16);
/// A packet and when it comes.
pub type Timed = (Nanos, PacketSpec);

/// The connections of a host, its guests, and what happens to it.
#[must_use]
pub fn random_history(config: &Config, rng: &mut Rng, profile: Profile) -> (Sockets, Vec<Timed>) {
    let mut people: Vec<Person> = (0..rng.usize(1..=4))
        .map(|_| {
            let source = address(pick(rng, &SOURCES));
            let interface = if is_near(source) { pick(rng, &links::ALL) } else { links::LO };
            Person { source, interface, door: 0, plan: VecDeque::new(), began: 0 }
        })
        .collect();
    let sockets = if profile.connections { random_connections(config, rng, &people) } else { Sockets::default() };
    let mut now = random_start(rng);
    let mut packets = Vec::with_capacity(profile.packets);
    while packets.len() < profile.packets {
        let index = rng.usize(..people.len());
        now = later(config, rng, now, &people[index]);
        let mut packet = if chance(rng, 72) {
            planned(config, rng, now, &mut people[index])
        } else {
            noise(config, rng, people[index].source, people[index].door)
        };
        if chance(rng, 18) {
            disguise(rng, &mut packet);
        }
        packet.interface = arrival(rng, &people[index]);
        let more = if is_denied_datagram(config, &packet) && chance(rng, 20) { rng.usize(4..9) } else { 0 };
        packets.extend(vec![(now, packet); 1 + more]);
    }
    packets.truncate(profile.packets);
    (sockets, packets)
}

/// One of those that are answered only so often.
fn is_denied_datagram(config: &Config, packet: &PacketSpec) -> bool {
    packet.to.1 == Protocol::Udp && config.service_of(packet.to).is_some()
}

fn random_start(rng: &mut Rng) -> Nanos {
    let ticks = match rng.u32(..10) {
        0 => rng.u64(..4),
        // Where the tick counter of an attempt wraps.
        1 => (1 << 40) - rng.u64(..50_000),
        _ => rng.u64(..1 << 36),
    };
    ticks * TICK
}

fn random_connections(config: &Config, rng: &mut Rng, people: &[Person]) -> Sockets {
    let mut sockets = Sockets::default();
    // A socket reaches a link-local address by an interface that has one.
    let is_far = |person: &&Person| !is_near(person.source);
    for person in people.iter().filter(is_far) {
        for port in config.services.iter().flat_map(|service| &service.ports) {
            let flow = (person.source, CONNECTED, server_for(rng, person.source), port.0);
            match port.1 {
                Protocol::Tcp if chance(rng, 60) => drop(sockets.connections.insert(flow)),
                Protocol::Udp if chance(rng, 30) => drop(sockets.questions.insert(flow)),
                _ => {}
            }
        }
    }
    // A segment of one is no wrong knock.
    for person in people.iter().filter(is_far) {
        if chance(rng, 50) {
            sockets.connections.insert((person.source, CONNECTED, server_for(rng, person.source), 31337));
        }
    }
    // What the other address of this host may be as well.
    if chance(rng, 25) {
        sockets.guests = [SERVERS[1], SERVERS[3]].map(address).into();
    }
    sockets
}

/// True for a link-local address. Others are the same wherever their packets come.
fn is_near(source: IpAddr) -> bool {
    matches!(source, IpAddr::V6(source) if source.is_unicast_link_local())
}

/// Where a packet comes: over a bond by either port.
fn arrival(rng: &mut Rng, person: &Person) -> u32 {
    if !is_near(person.source) {
        person.interface
    } else if links::PORTS.contains(&person.interface) && chance(rng, 40) {
        pick(rng, &links::PORTS)
    } else if chance(rng, 5) {
        pick(rng, &links::ALL)
    } else {
        person.interface
    }
}

/// A little later, or just before or after something ends.
fn later(config: &Config, rng: &mut Rng, now: Nanos, person: &Person) -> Nanos {
    let door = &config.doors[person.door];
    let edge = match rng.u32(..40) {
        0 | 1 => Some(person.began + door.seq_timeout),
        2 => door.cmd_timeout.map(|timeout| now + timeout),
        3 => Some(now + pick(rng, &[1000, 5000, 20_000, 20_500, 21_000, 70_000, 121_000]) * MILLISECOND),
        _ => None,
    };
    let target = match edge {
        Some(edge) => edge.saturating_sub(rng.u64(..3) * TICK),
        None if chance(rng, 20) => now,
        None => now + rng.u64(..30) * MILLISECOND,
    };
    now.max(target.next_multiple_of(TICK))
}

/// The next packet of the person's plan; a new plan if that was done.
fn planned(config: &Config, rng: &mut Rng, now: Nanos, person: &mut Person) -> PacketSpec {
    if person.plan.is_empty() {
        if chance(rng, 40) {
            person.door = rng.usize(..config.doors.len());
        }
        person.plan = (0..config.doors[person.door].sequence.len()).collect();
        person.began = now;
    }
    let step = if chance(rng, 92) { person.plan.pop_front() } else { person.plan.front().copied() };
    let packet = step.map(|step| knock(config, rng, person.source, person.door, step));
    packet.unwrap_or_else(|| noise(config, rng, person.source, person.door))
}

fn knock(config: &Config, rng: &mut Rng, source: IpAddr, door: usize, step: usize) -> PacketSpec {
    let door = &config.doors[door];
    let dest = door.target.filter(|target| target.is_ipv4() == source.is_ipv4());
    let dest = dest.unwrap_or_else(|| server_for(rng, source));
    let takes_any = door.flags.set == 0 && chance(rng, 50);
    let extra = if takes_any || chance(rng, 10) { rng.u8(..) } else { 0 };
    let flags = (door.flags.set | extra) & !door.flags.clear;
    PacketSpec { flags, from: rng.u16(40_000..40_004), ..PacketSpec::new(source, dest, door.sequence[step]) }
}

fn noise(config: &Config, rng: &mut Rng, source: IpAddr, door: usize) -> PacketSpec {
    match rng.u32(..10) {
        // The same door out of turn, or again.
        0 | 1 => {
            let step = rng.usize(..config.doors[door].sequence.len());
            knock(config, rng, source, door, step)
        }
        // Another door.
        2 => {
            let other = rng.usize(..config.doors.len());
            let step = rng.usize(..config.doors[other].sequence.len());
            knock(config, rng, source, other, step)
        }
        // The service.
        3..=6 => {
            let ports: Vec<Port> = config.services.iter().flat_map(|service| service.ports.clone()).collect();
            let to = pick(rng, &ports);
            probe(rng, source, to)
        }
        // A browser, a resolver, a scan.
        7 => {
            let to = pick(rng, &[Port(22, Protocol::Tcp), Port(53, Protocol::Udp), Port(80, Protocol::Tcp)]);
            PacketSpec::new(source, server_for(rng, source), to)
        }
        8 => {
            let to = Port(pick(rng, &[0, 22, 53, 80, 7000, 8000, 9000, 31337]), random_protocol(rng));
            probe(rng, source, to)
        }
        // A knock port with flags that may not fit.
        _ => {
            let to = pick(rng, &config.doors[door].sequence);
            probe(rng, source, to)
        }
    }
}

fn probe(rng: &mut Rng, source: IpAddr, to: Port) -> PacketSpec {
    let usual =
        [SYN, SYN, SYN | ECE | CWR, ACK, ACK | PSH, SYN | ACK, FIN, FIN | ACK, FIN | PSH | URG, 0, RST, RST | ACK];
    let flags = if chance(rng, 90) { pick(rng, &usual) } else { rng.u8(..) };
    let from = if chance(rng, 40) { CONNECTED } else { rng.u16(40_000..40_004) };
    PacketSpec { flags, from, ..PacketSpec::new(source, server_for(rng, source), to) }
}

fn server_for(rng: &mut Rng, source: IpAddr) -> IpAddr {
    let half = if source.is_ipv4() { &SERVERS[..2] } else { &SERVERS[2..] };
    address(if chance(rng, 85) { half[0] } else { half[1] })
}

/// Makes the packet unusual in one or two ways.
fn disguise(rng: &mut Rng, packet: &mut PacketSpec) {
    match rng.u32(..13) {
        0..=3 => packet.fragment = random_fragment(rng, packet.source.is_ipv6()),
        4 | 5 => packet.tags = (0..rng.usize(1..=3)).map(|_| random_tag(rng)).collect(),
        6 => packet.extensions = rng.u8(0..=9),
        7 | 8 => packet.checksum = random_checksum(rng, packet.to.1),
        9 => packet.group = true,
        10 => packet.jumbo = true,
        11 => packet.cut = true,
        _ => packet.payload = rng.u8(..),
    }
    if chance(rng, 20) {
        packet.extensions = rng.u8(0..=9);
    }
}

fn random_fragment(rng: &mut Rng, v6: bool) -> Fragment {
    let kinds = [
        Fragment::First,
        Fragment::First,
        Fragment::PortsOnly,
        Fragment::Tiny,
        Fragment::Second,
        Fragment::Later,
        Fragment::Atomic,
    ];
    pick(rng, if v6 { &kinds } else { &kinds[..6] })
}

fn random_tag(rng: &mut Rng) -> u16 {
    pick(rng, &[VLAN, VLAN, VLAN, SERVICE_VLAN, OLD_VLAN, 0x88e5])
}

fn random_checksum(rng: &mut Rng, protocol: Protocol) -> Checksum {
    match rng.u32(..3) {
        0 => Checksum::WrongHeader,
        1 if protocol == Protocol::Udp => Checksum::Absent,
        _ => Checksum::Wrong,
    }
}
