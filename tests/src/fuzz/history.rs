//! Whole histories of packets: the host build does what the reference model does, and both keep what must
//! hold.

use std::cell::RefCell;
use std::collections::{BTreeSet, HashMap};
use std::net::IpAddr;
use std::sync::Arc;

use arbitrary::{Arbitrary, Unstructured};
use fastrand::Rng;

use crate::agree::{agree, stored};
use crate::history::{PER_CONFIG, SERVERS, SOURCES, Scenario, TICK, random_listeners};
use crate::links;
use crate::memory::Memory;
use crate::model::{Checksum, Config, Fragment, Nanos, PacketSpec, Port, Protocol, Sockets, Source};
use crate::packet::{OLD_VLAN, SERVICE_VLAN, VLAN};
use crate::tables::Tables;

/// Different configs.
const CONFIGS: u64 = 256;
/// Packets in a history.
const MOST: usize = 64;
/// The source port of connections that are established.
const CONNECTED: u16 = 50_000;
const MILLISECOND: Nanos = 1_000_000;

/// What is made of the octets.
#[derive(Arbitrary, Debug)]
struct Plot {
    config: u8,
    /// Which hosts have a connection to which service.
    connected: u8,
    late: bool,
    steps: Vec<Step>,
}

#[derive(Arbitrary, Debug)]
struct Step {
    wait: Wait,
    who: u8,
    to_second: bool,
    what: What,
    looks: Looks,
}

#[derive(Arbitrary, Debug)]
enum Wait {
    No,
    A(u8),
    Timeout { door: u8, early: u8 },
    Command { door: u8, early: u8 },
    Long(u8),
}

#[derive(Arbitrary, Debug)]
enum What {
    /// A step of a door, with flags that fit.
    Knock { door: u8, step: u8 },
    /// The whole of a door, in order.
    Door(u8),
    /// A knock with other flags.
    Odd { door: u8, step: u8, flags: u8 },
    /// A protected port.
    Service { port: u8, flags: u8, connected: bool },
    /// Some port.
    Stray { port: u16, tcp: bool, flags: u8 },
}

#[derive(Arbitrary, Debug)]
enum Looks {
    Usual,
    Also(Unusual),
}

#[derive(Arbitrary, Debug)]
struct Unusual {
    fragment: u8,
    checksum: u8,
    tags: Vec<u8>,
    extensions: u8,
    group: bool,
    jumbo: bool,
    cut: bool,
    payload: u8,
}

type Loaded = (Config, Arc<Tables>, BTreeSet<Port>);

thread_local! {
    static LOADED: RefCell<HashMap<u64, Loaded>> = RefCell::default();
}

/// Any octets are a history.
pub fn run(octets: &[u8]) {
    let Ok(plot) = Plot::arbitrary_take_rest(Unstructured::new(octets)) else { return };
    let (config, tables, listening) = loaded(u64::from(plot.config) % CONFIGS);
    let scenario = scenario(&plot, config, listening);
    let mut host =
        Memory::new(Arc::clone(&tables)).with_sockets(scenario.sockets.clone()).with_tokens(scenario.config.log_tokens);
    for (network, &until) in &scenario.config.locked {
        host.lock_out(stored(Source::on(network.base, links::LO)), until);
    }
    if let Err(mismatch) = agree(&mut host, &tables, &scenario, 1) {
        panic!("{mismatch}\n\n{scenario}");
    }
}

/// Octets of which nothing is known: what they mean is found out by changing them.
pub fn seeds() -> Vec<Vec<u8>> {
    let mut rng = Rng::with_seed(1);
    (0..64).map(|count| (0..count * 16).map(|_| rng.u8(..)).collect()).collect()
}

fn loaded(number: u64) -> Loaded {
    LOADED.with_borrow_mut(|loaded| {
        let load = || {
            let config = Scenario::config_of(number * PER_CONFIG);
            let listening = random_listeners(&config, &mut Rng::with_seed(number));
            (config.clone(), Arc::new(Tables::from(&config)), listening)
        };
        loaded.entry(number).or_insert_with(load).clone()
    })
}

fn scenario(plot: &Plot, config: Config, listening: BTreeSet<Port>) -> Scenario {
    let services: Vec<Port> = config.services.iter().flat_map(|service| service.ports.clone()).collect();
    let mut connections = BTreeSet::new();
    for (index, source) in SOURCES.iter().enumerate().filter(|(index, _)| plot.connected >> (index % 8) & 1 == 1) {
        let source = address(source);
        connections.insert((source, CONNECTED, server(source, false), services[index % services.len()].0));
    }
    let mut scenario =
        Scenario { config, sockets: Sockets { listening, connections, ..Sockets::default() }, packets: Vec::new() };
    let mut now = if plot.late { ((1 << 40) - 9) * TICK } else { 9 * TICK };
    for step in &plot.steps {
        now = after(&scenario.config, now, &step.wait);
        for packet in packets(&scenario.config, &services, step) {
            if scenario.packets.len() < MOST {
                scenario.packets.push((now, packet));
            }
        }
    }
    scenario
}

fn after(config: &Config, now: Nanos, wait: &Wait) -> Nanos {
    let door = |index: u8| &config.doors[usize::from(index) % config.doors.len()];
    let early = |early: u8| Nanos::from(early % 3) * TICK;
    let span = match wait {
        Wait::No => 0,
        Wait::A(span) => Nanos::from(*span) * MILLISECOND / 8,
        Wait::Timeout { door: index, early: by } => door(*index).seq_timeout.saturating_sub(early(*by)),
        Wait::Command { door: index, early: by } => door(*index).cmd_timeout.unwrap_or(0).saturating_sub(early(*by)),
        Wait::Long(span) => Nanos::from(*span) * 500 * MILLISECOND,
    };
    (now + span).next_multiple_of(TICK)
}

fn packets(config: &Config, services: &[Port], step: &Step) -> Vec<PacketSpec> {
    let source = address(SOURCES[usize::from(step.who) % SOURCES.len()]);
    let dest = server(source, step.to_second);
    let door = |index: u8| &config.doors[usize::from(index) % config.doors.len()];
    let knock = |index: u8, number: usize| {
        let door = door(index);
        let target = door.target.filter(|target| target.is_ipv4() == source.is_ipv4() && !step.to_second);
        let to = door.sequence[number % door.sequence.len()];
        PacketSpec { flags: door.flags.set, ..PacketSpec::new(source, target.unwrap_or(dest), to) }
    };
    let mut packets = match &step.what {
        What::Knock { door, step } => vec![knock(*door, usize::from(*step))],
        What::Door(index) => (0..door(*index).sequence.len()).map(|number| knock(*index, number)).collect(),
        What::Odd { door, step, flags } => vec![PacketSpec { flags: *flags, ..knock(*door, usize::from(*step)) }],
        What::Service { port, flags, connected } => {
            let to = services[usize::from(*port) % services.len()];
            let from = if *connected { CONNECTED } else { 40_000 };
            vec![PacketSpec { flags: *flags, from, ..PacketSpec::new(source, dest, to) }]
        }
        What::Stray { port, tcp, flags } => {
            let to = Port(*port, if *tcp { Protocol::Tcp } else { Protocol::Udp });
            vec![PacketSpec { flags: *flags, ..PacketSpec::new(source, dest, to) }]
        }
    };
    let interface = links::ALL[usize::from(step.who) / SOURCES.len() % links::ALL.len()];
    packets.iter_mut().for_each(|packet| packet.interface = interface);
    if let Looks::Also(looks) = &step.looks {
        packets.iter_mut().for_each(|packet| disguise(packet, looks));
    }
    packets
}

fn disguise(packet: &mut PacketSpec, looks: &Unusual) {
    let v6 = packet.source.is_ipv6();
    packet.fragment = match looks.fragment % 16 {
        1 => Fragment::First,
        2 => Fragment::PortsOnly,
        3 => Fragment::Tiny,
        4 => Fragment::Second,
        5 => Fragment::Later,
        6 if v6 => Fragment::Atomic,
        _ => Fragment::Whole,
    };
    packet.checksum = match looks.checksum % 8 {
        1 => Checksum::WrongHeader,
        2 => Checksum::Wrong,
        3 if packet.to.1 == Protocol::Udp => Checksum::Absent,
        _ => Checksum::Right,
    };
    let kinds = [VLAN, SERVICE_VLAN, OLD_VLAN, 0x88e5];
    packet.tags = looks.tags.iter().take(4).map(|tag| kinds[usize::from(*tag) % kinds.len()]).collect();
    packet.extensions = looks.extensions % 10;
    packet.group = looks.group;
    packet.payload = looks.payload;
    packet.jumbo = looks.jumbo && packet.fragment == Fragment::Whole;
    packet.cut = looks.cut && !packet.jumbo;
}

fn address(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

fn server(source: IpAddr, second: bool) -> IpAddr {
    let half = if source.is_ipv4() { &SERVERS[..2] } else { &SERVERS[2..] };
    address(half[usize::from(second)])
}
