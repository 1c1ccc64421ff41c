//! Random configs, without the errors that the config check refuses.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use fastrand::Rng;

use super::{TICK, chance, pick};
use crate::model::{Action, Config, Door, Flags, Network, Port, Protocol, Service};
use crate::packet::{ACK, CWR, ECE, FIN, PSH, RST, SYN, URG};

const MILLISECOND: u64 = 1_000_000;
const SECOND: u64 = 1_000 * MILLISECOND;

/// Hosts that send. Some share a network, and two differ only where a link-local address has its interface.
pub const SOURCES: [&str; 10] = [
    "198.51.100.7",
    "198.51.100.8",
    "198.51.100.77",
    "192.0.2.99",
    "2001:db8:0:100::7",
    "2001:db8:0:100::8",
    "2001:db8:0:1ff::7",
    "2001:db8:1::7",
    "fe80::7",
    "fe80:0:1:2::7",
];
/// Addresses of the host behind the gate.
pub const SERVERS: [&str; 4] = ["192.0.2.1", "192.0.2.2", "2001:db8:0:2::1", "2001:db8:0:2::2"];
/// When trials end, boot time in ns: while histories go on that begin at boot, and while those do that begin before the
/// tick counter of an attempt wraps.
const TRIAL_ENDS: [u64; 2] = [5 * SECOND, (1 << 40) * TICK];

const FLAGS: [Flags; 12] = [
    Flags { set: SYN, clear: ACK | FIN },
    Flags { set: SYN | ECE | CWR, clear: ACK },
    Flags { set: FIN, clear: SYN | ACK | RST },
    Flags { set: FIN | PSH | URG, clear: SYN | ACK | RST },
    Flags { set: 0, clear: SYN | ACK | RST },
    Flags { set: SYN | URG, clear: ACK | RST },
    // What segments of a connection may be as well.
    Flags { set: 0, clear: 0 },
    Flags { set: 0, clear: 0 },
    Flags { set: 0, clear: SYN | URG },
    Flags { set: ACK, clear: 0 },
    Flags { set: SYN | ACK, clear: 0 },
    Flags { set: RST, clear: PSH },
];

/// An address from its text.
pub(super) fn address(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

/// A config of 1 to 3 services and 1 to 8 doors.
#[must_use]
pub fn random_config(rng: &mut Rng) -> Config {
    let services = random_services(rng);
    let knock_ports = knock_ports(rng, &services);
    // To load a program takes a second: not every mixture of its constants is worth it.
    let reject = chance(rng, 40);
    let mut config = Config {
        trusted: random_trusted(rng),
        stealth: chance(rng, 75),
        // One for all: to load a program takes a second.
        flow_idle: 20 * SECOND,
        verify_checksums: chance(rng, 75),
        log_denied: chance(rng, 75),
        lockout: !reject && chance(rng, 40),
        locked: random_locked(rng),
        reject,
        observe: false,
        trial_until: None,
        log_tokens: rng.u64(0..8),
        attempt_rate: if chance(rng, 15) { 2 } else { 4096 },
        services,
        doors: Vec::new(),
    };
    let doors = rng.usize(1..=8);
    while config.doors.len() < doors {
        let door = random_door(rng, &config, &knock_ports);
        let contradicts = |other: &Door| {
            other.sequence == door.sequence && other.service == door.service && other.action != door.action
        };
        if !config.doors.iter().any(contradicts) {
            config.doors.push(door);
        }
    }
    // For the same reason: only with the other constants that most configs have.
    let is_usual = config.stealth && config.verify_checksums && config.log_denied && !config.lockout;
    if is_usual && config.attempt_rate > 2 && !config.trusted.is_empty() {
        match rng.u32(..6) {
            0 => config.observe = true,
            1 => config.trial_until = Some(pick(rng, &TRIAL_ENDS)),
            _ => {}
        }
    }
    config
}

/// Ports on which something listens: most services, some unrelated ports, some knock ports.
#[must_use]
pub fn random_listeners(config: &Config, rng: &mut Rng) -> BTreeSet<Port> {
    let mut listening = BTreeSet::from([Port(22, Protocol::Tcp), Port(53, Protocol::Udp)]);
    for service in config.services.iter().filter(|_| chance(rng, 75)) {
        listening.extend(&service.ports);
    }
    for door in &config.doors {
        if chance(rng, 30) {
            listening.insert(pick(rng, &door.sequence));
        }
    }
    listening
}

fn random_services(rng: &mut Rng) -> Vec<Service> {
    let all = [
        Service { ports: vec![Port(2222, Protocol::Tcp)], keepalive: false },
        Service { ports: vec![Port(51820, Protocol::Udp)], keepalive: chance(rng, 70) },
        Service {
            ports: vec![Port(993, Protocol::Tcp), Port(995, Protocol::Tcp), Port(2222, Protocol::Udp)],
            keepalive: chance(rng, 50),
        },
    ];
    all[..rng.usize(1..=3)].to_vec()
}

/// A few ports to knock on, so that doors share them and sequences repeat them.
fn knock_ports(rng: &mut Rng, services: &[Service]) -> Vec<Port> {
    let mut ports: Vec<Port> = (0..rng.usize(3..=10))
        .map(|_| Port(pick(rng, &[7000, 7001, 8000, 8001, 9000, 9001, 2222, 1, 65535]), random_protocol(rng)))
        .filter(|port| services.iter().all(|service| !service.ports.contains(port)))
        .collect();
    ports.push(Port(6000, Protocol::Tcp));
    ports.sort_unstable();
    ports.dedup();
    ports
}

fn random_door(rng: &mut Rng, config: &Config, ports: &[Port]) -> Door {
    let steps = pick(rng, &[1, 2, 2, 3, 3, 3, 4, 4, 5, 5, 6, 6]);
    let action = if chance(rng, 80) { Action::Open } else { Action::Close };
    let lasts = !chance(rng, 15) && action == Action::Open;
    let wide = action == Action::Open;
    Door {
        service: rng.usize(..config.services.len()),
        action,
        sequence: (0..steps).map(|_| pick(rng, ports)).collect(),
        once: chance(rng, 20),
        flags: if chance(rng, 65) { Flags::SYN } else { pick(rng, &FLAGS) },
        target: chance(rng, 20).then(|| address(pick(rng, &SERVERS))),
        seq_timeout: pick(rng, &[200 * MILLISECOND, SECOND, 2500 * MILLISECOND, 10 * SECOND]),
        cmd_timeout: lasts.then(|| pick(rng, &[MILLISECOND, 300 * MILLISECOND, 5 * SECOND, 60 * SECOND])),
        prefix_v4: if wide { pick(rng, &[32, 32, 32, 28, 24]) } else { 32 },
        prefix_v6: if wide { pick(rng, &[128, 128, 64, 48]) } else { 128 },
    }
}

fn random_locked(rng: &mut Rng) -> BTreeMap<Network, u64> {
    let mut locked = BTreeMap::new();
    for _ in 0..rng.usize(..4) {
        let source = address(pick(rng, &SOURCES));
        locked.insert(Network::of(source, if source.is_ipv4() { 32 } else { 64 }), rng.u64(1..30) * SECOND);
    }
    locked
}

fn random_trusted(rng: &mut Rng) -> Vec<Network> {
    let mut trusted: Vec<Network> = Vec::new();
    for _ in 0..pick(rng, &[0, 0, 1, 2]) {
        let source = address(pick(rng, &SOURCES));
        let bits = if source.is_ipv4() { pick(rng, &[32, 28]) } else { pick(rng, &[128, 64]) };
        let network = Network::of(source, bits);
        if !trusted.iter().any(|other| other.holds(network.base) || network.holds(other.base)) {
            trusted.push(network);
        }
    }
    trusted
}

pub(super) fn random_protocol(rng: &mut Rng) -> Protocol {
    if chance(rng, 65) { Protocol::Tcp } else { Protocol::Udp }
}
