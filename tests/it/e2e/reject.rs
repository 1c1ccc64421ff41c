//! Rule 12: under `deny = "reject"` a protected port looks closed, to an octet.

use std::net::{IpAddr, UdpSocket};
use std::time::Duration;

use anyhow::{Context as _, Result};
use tests::harness::{Test, tests};
use tests::lab::{
    Config, Device, Family, Frames, Host, Late, PATIENCE, Probe, SSH_PORT, Status, Wire, connect, ip, ip_packet,
};
use tests::packet::extension::{DESTINATION, Extension};
use tests::packet::{ACK, CWR, ECE, FIN, PSH, PacketBuilder, RST, SYN, URG, checksum};
use tests::story::World;

use super::links::assert_place;

/// The tests.
pub fn tests() -> Vec<Test> {
    tests![
        "e2e::reject";
        an_answer_is_octet_for_octet_that_of_a_closed_port,
        so_is_one_without_a_link_header,
        what_a_closed_port_does_not_answer_is_not_answered,
        a_packet_padded_over_several_buffers_is_not_answered,
        errors_are_as_rare_as_those_of_the_stack,
        nmap_sees_a_closed_port,
        who_knocks_gets_through,
    ]
}

/// Protected, with something behind it.
const UDP_PORT: u16 = 5000;

fn config(verify_checksums: bool) -> Config {
    Config::lab()
        .with("[\"2222/tcp\"]", "[\"2222/tcp\", \"5000/udp\"]")
        .set("verify_checksums", if verify_checksums { "true" } else { "false" })
        .option("deny", "\"reject\"")
}

/// A server that rejects, with a listener behind each protected port, and the client's wire. The
/// client's own kernel leaves checksums to the device, and a veth pair has none.
fn gate(family: Family, verify_checksums: bool) -> Result<(World, Wire, UdpSocket)> {
    let mut world = World::new(family, None)?;
    let socket = Host::Server.enter(|| Ok(UdpSocket::bind(world.server(UDP_PORT))?))?;
    world.start(&config(verify_checksums))?;
    let wire = Wire::tap(Host::Client)?;
    Ok((world, wire, socket))
}

/// A packet without its ports, by its name.
type Case = (&'static str, Box<dyn Fn(PacketBuilder, u16) -> PacketBuilder>);

fn case(name: &'static str, build: impl Fn(PacketBuilder, u16) -> PacketBuilder + 'static) -> Case {
    (name, Box::new(build))
}

const SOURCE: u16 = 40_000;

fn flags(name: &'static str, flags: u8) -> Case {
    case(name, move |packet, port| packet.tcp(SOURCE, port, flags))
}

fn segments(family: Family) -> Vec<Case> {
    let mut cases = vec![
        flags("SYN", SYN),
        flags("SYN with ECN", SYN | ECE | CWR),
        flags("SYN and FIN", SYN | FIN),
        flags("no flags", 0),
        flags("FIN", FIN),
        flags("Xmas", FIN | PSH | URG),
        flags("ACK", ACK),
        flags("SYN and ACK", SYN | ACK),
        flags("FIN and ACK", FIN | ACK),
        case("SYN with options", |packet, port| {
            packet.tcp(SOURCE, port, SYN).tcp_options(&[2, 4, 5, 0xb4, 4, 2, 8, 10, 0, 0, 0, 9, 0, 0, 0, 0, 1, 3, 3, 7])
        }),
        case("SYN with data", |packet, port| packet.tcp(SOURCE, port, SYN).payload(b"fast open")),
        case("ACK with data", |packet, port| packet.tcp(SOURCE, port, ACK | PSH).payload(&[7; 999])),
        case("FIN with data", |packet, port| packet.tcp(SOURCE, port, FIN).payload(&[7; 11])),
        case("SYN of a class", |packet, port| packet.class(0x10).tcp(SOURCE, port, SYN)),
        case("SYN of a class with ECN bits", |packet, port| packet.class(0xbb).tcp(SOURCE, port, SYN)),
        case("SYN from far away", |packet, port| packet.hops(3).tcp(SOURCE, port, SYN)),
    ];
    if family == Family::V6 {
        cases.push(case("SYN behind a header", |packet, port| {
            packet.extension(Extension::generic(DESTINATION, 1)).tcp(SOURCE, port, SYN)
        }));
    } else {
        cases.push(case("SYN with IP padding", |packet, port| packet.options(&[1; 4]).tcp(SOURCE, port, SYN)));
    }
    cases
}

/// As many as there are errors at once.
fn datagrams(family: Family) -> Vec<Case> {
    let mut cases = vec![
        case("empty", |packet, port| packet.udp(SOURCE, port)),
        case("odd", |packet, port| packet.udp(SOURCE, port).payload(b"a query")),
        case("longer than what is quoted", |packet, port| packet.udp(SOURCE, port).payload(&[0x5a; 1400])),
        case("of a class", |packet, port| packet.class(0xbb).udp(SOURCE, port).payload(&[1; 600])),
    ];
    if family == Family::V4 {
        cases.push(case("without a checksum", |packet, port| {
            packet.udp(SOURCE, port).payload(b"unsummed").without_udp_checksum()
        }));
    } else {
        cases.push(case("behind a header", |packet, port| {
            packet.extension(Extension::generic(DESTINATION, 1)).udp(SOURCE, port).payload(b"far")
        }));
    }
    cases
}

fn between(family: Family) -> PacketBuilder {
    PacketBuilder::between(family.address(Host::Client), family.address(Host::Server))
}

/// A way to the server on which frames are sent and seen as they are.
trait Way {
    /// A packet without its ports that comes to the server this way.
    fn between(&self, family: Family) -> PacketBuilder;

    /// Sends it, and returns the IP packet that answers.
    fn ask(&self, family: Family, packet: &PacketBuilder) -> Result<Option<Vec<u8>>>;
}

impl Way for Wire {
    fn between(&self, family: Family) -> PacketBuilder {
        between(family)
    }

    fn ask(&self, family: Family, packet: &PacketBuilder) -> Result<Option<Vec<u8>>> {
        self.send(&packet.build())?;
        let is_answer = |frame: &[u8]| ip_packet(frame, family).is_some_and(|packet| message(packet, family).is_some());
        let frame = self.receive(PATIENCE, is_answer)?;
        Ok(frame.and_then(|frame| ip_packet(&frame, family).map(<[u8]>::to_vec)))
    }
}

/// A tunnel of which the test has the far end.
struct Raw(Device);

impl Raw {
    const TUN: Late = Late { name: "tun0", peer: "tun9", number: 3 };

    fn new() -> Result<Self> {
        let device = Device::new(Host::Server, Self::TUN.name, Frames::Told)?;
        ip(Host::Server, &Self::TUN.up(Self::TUN.name, 1))?;
        Ok(Self(device))
    }
}

impl Way for Raw {
    fn between(&self, family: Family) -> PacketBuilder {
        PacketBuilder::between(Self::TUN.client(family), Self::TUN.server(family, 0).ip())
    }

    /// The device is told the protocol before the packet, and tells it.
    fn ask(&self, family: Family, packet: &PacketBuilder) -> Result<Option<Vec<u8>>> {
        /// Of the link header that the builder writes, and of `struct tun_pi`.
        const LINK: usize = 14;
        const INFO: usize = 4;
        let frame = packet.build();
        self.0.send(&[&[0, 0], &frame[LINK - 2..]].concat())?;
        let is_answer = |frame: &[u8]| frame.get(INFO..).is_some_and(|packet| message(packet, family).is_some());
        let Some(answer) = self.0.receive(PATIENCE, is_answer) else { return Ok(None) };
        assert_eq!(answer[2..INFO], frame[LINK - 2..LINK], "the protocol that the kernel takes the answer for");
        Ok(Some(answer[INFO..].to_vec()))
    }
}

/// Its TCP segment or ICMP error, and the protocol.
fn message(packet: &[u8], family: Family) -> Option<(u8, &[u8])> {
    let (protocol, message) = match family {
        Family::V4 => (packet[9], packet.get(20..)?),
        Family::V6 => (packet[6], packet.get(40..)?),
    };
    let wanted = match (protocol, message.first()) {
        (6, _) => message.len() >= 20,
        (1, Some(3)) | (58, Some(1)) => message.len() > 8,
        _ => false,
    };
    wanted.then_some((protocol, message))
}

/// Checks the checksums, and takes out what differs between two ports that are alike.
fn normal(packet: &[u8], family: Family, port: u16) -> Vec<u8> {
    let (protocol, found) = message(packet, family).expect("an answer");
    let at = packet.len() - found.len();
    let (source, dest): (IpAddr, IpAddr) = match family {
        Family::V4 => {
            assert_eq!(checksum::internet(&packet[..20]), 0, "the checksum of the IPv4 header");
            (octets4(&packet[12..16]), octets4(&packet[16..20]))
        }
        Family::V6 => (octets6(&packet[8..24]), octets6(&packet[24..40])),
    };
    let sum =
        if protocol == 1 { checksum::internet(found) } else { checksum::transport(source, dest, protocol, found) };
    assert_eq!(sum, 0, "the checksum of the answer");
    let mut normal = packet.to_vec();
    let ports = if protocol == 6 { at } else { quoted_ports(packet, family, at + 8) };
    let (own, field) = if protocol == 6 { (ports, at + 16) } else { (ports + 2, at + 2) };
    assert_eq!(normal[own..own + 2], port.to_be_bytes());
    normal[own..own + 2].fill(0);
    normal[field..field + 2].fill(0);
    match family {
        Family::V4 => {
            // The identification of a packet that may be fragmented counts on.
            if packet[6] & 0x40 == 0 {
                assert_ne!(packet[4..6], [0, 0], "an identification");
                normal[4..6].fill(0);
            }
            normal[10..12].fill(0);
        }
        Family::V6 => {
            let label = [packet[1] & 0x0f, packet[2], packet[3]];
            assert_ne!(label, [0; 3], "a flow label");
            normal[1] &= 0xf0;
            normal[2..4].fill(0);
        }
    }
    if protocol != 6 {
        // The checksum of the datagram that is quoted has the port in it.
        normal[ports + 6..ports + 8].fill(0);
    }
    normal
}

/// Where the ports are in the packet that is quoted from `at` on.
fn quoted_ports(packet: &[u8], family: Family, at: usize) -> usize {
    match family {
        Family::V4 => at + usize::from(packet[at] & 0x0f) * 4,
        Family::V6 if packet[at + 6] == DESTINATION => at + 40 + (usize::from(packet[at + 41]) + 1) * 8,
        Family::V6 => at + 40,
    }
}

fn octets4(octets: &[u8]) -> IpAddr {
    <[u8; 4]>::try_from(octets).expect("four").into()
}

fn octets6(octets: &[u8]) -> IpAddr {
    <[u8; 16]>::try_from(octets).expect("sixteen").into()
}

fn an_answer_is_octet_for_octet_that_of_a_closed_port() -> Result<()> {
    let (_world, wire, _socket) = gate(Family::V4, true)?;
    assert_looks_closed(&wire)
}

fn so_is_one_without_a_link_header() -> Result<()> {
    let mut world = World::new(Family::V4, None)?;
    let way = Raw::new()?;
    let config = config(true).set("interfaces", "[\"eth0\", \"tun0\"]").option("mode", "\"auto\"");
    world.start(&config)?;
    assert_place("tun0", "generic", "up")?;
    assert_looks_closed(&way)
}

/// Asks a protected port and a closed one the same.
fn assert_looks_closed(way: &dyn Way) -> Result<()> {
    for family in Family::ALL {
        for (cases, port) in [(segments(family), SSH_PORT), (datagrams(family), UDP_PORT)] {
            for (name, build) in cases {
                let answer_of = |port| -> Result<Vec<u8>> {
                    let found = way.ask(family, &build(way.between(family), port))?;
                    let found = found.with_context(|| format!("{name}, {}: {port} is silent", family.name()))?;
                    Ok(normal(&found, family, port))
                };
                let (closed, protected) = (answer_of(port + 1)?, answer_of(port)?);
                assert_eq!(closed, protected, "{name}, {}", family.name());
            }
        }
    }
    Ok(())
}

fn what_a_closed_port_does_not_answer_is_not_answered() -> Result<()> {
    let (mut world, wire, _socket) = gate(Family::V4, true)?;
    for family in Family::ALL {
        world.family = family;
        for (name, packet) in [
            ("a reset", between(family).tcp(SOURCE, SSH_PORT, RST)),
            ("a wrong checksum", between(family).tcp(SOURCE, SSH_PORT, SYN).wrong_checksum()),
            ("a wrong checksum", between(family).udp(SOURCE, UDP_PORT).wrong_checksum()),
            ("a multicast frame", between(family).multicast().udp(SOURCE, UDP_PORT)),
        ] {
            assert_eq!(wire.ask(family, &packet)?, None, "{name}, {}", family.name());
        }
    }
    Ok(())
}

/// Generic XDP would send more than the answer: octets that are not of this frame.
fn a_packet_padded_over_several_buffers_is_not_answered() -> Result<()> {
    // Generic XDP begins a second buffer behind the first page.
    const LONG: usize = 8000;
    let mut world = World::new(Family::V4, None)?;
    for host in [Host::Server, Host::Client] {
        host.must(&["ip", "link", "set", "eth0", "mtu", "9000"])?;
    }
    world.start(&config(true).option("mode", "\"generic\""))?;
    let wire = Wire::tap_alone(Host::Client)?;
    for family in Family::ALL {
        for packet in [between(family).tcp(SOURCE, SSH_PORT, SYN), between(family).udp(SOURCE, UDP_PORT)] {
            for (padded, answered) in [(0, true), (1000, true), (LONG, false)] {
                wire.send(&packet.clone().padded(padded).build())?;
                let is_answer =
                    |frame: &[u8]| ip_packet(frame, family).is_some_and(|packet| message(packet, family).is_some());
                let length = wire.receive(PATIENCE, is_answer)?.map(|frame| frame.len());
                let what = format!("{packet:?} of {padded} octets has an answer of {length:?}");
                assert!(length.is_some() == answered && length.is_none_or(|length| length < 150), "{what}");
            }
        }
    }
    Ok(())
}

fn errors_are_as_rare_as_those_of_the_stack() -> Result<()> {
    let (world, wire, _socket) = gate(Family::V4, true)?;
    let count = |port: u16| -> Result<usize> {
        let mut answers = 0;
        for _ in 0..20 {
            wire.send(&between(Family::V4).udp(SOURCE, port).build())?;
        }
        let from_port = |frame: &[u8]| ip_packet(frame, Family::V4).is_some_and(|packet| packet[9] == 1);
        while wire.receive(Duration::from_millis(200), from_port)?.is_some() {
            answers += 1;
        }
        Ok(answers)
    };
    let (closed, protected) = (count(UDP_PORT + 1)?, count(UDP_PORT)?);
    assert_eq!((closed, protected), (6, 6));
    assert_eq!(Status::read()?.counter("reject_limited"), 14);
    drop(world);
    Ok(())
}

/// What nmap says of each port: state and reason.
fn nmap(family: Family, args: &[&str], ports: &str) -> Result<Vec<(String, String)>> {
    let address = family.address(Host::Server).to_string();
    let mut words = vec!["nmap", "-n", "-Pn", "--reason", "--max-retries", "3", "-p", ports];
    words.extend(args);
    if family == Family::V6 {
        words.push("-6");
    }
    words.push(&address);
    let text = Host::Client.must(&words)?;
    let lines = text.lines().filter(|line| line.contains("/tcp ") || line.contains("/udp "));
    let parse = |line: &str| {
        let words: Vec<&str> = line.split_whitespace().collect();
        // PORT STATE SERVICE REASON...
        Some(((*words.first()?).to_owned(), format!("{} {}", words.get(1)?, words.get(3..)?.join(" "))))
    };
    Ok(lines.filter_map(parse).collect())
}

fn nmap_sees_a_closed_port() -> Result<()> {
    let (mut world, _wire, _socket) = gate(Family::V4, false)?;
    for family in Family::ALL {
        world.family = family;
        // A protected port and its neighbours, three knock ports and theirs.
        let tcp = "2221,2222,2223,6999,7000,7001,8999,9000,9001";
        for scan in ["-sS", "-sT", "-sA", "-sW", "-sM", "-sN", "-sF", "-sX", "-sV"] {
            let found = nmap(family, &[scan], tcp)?;
            assert_eq!(found.len(), 9, "{scan}, {}: {found:?}", family.name());
            assert!(found.iter().all(|(_, state)| *state == found[0].1), "{scan}, {}: {found:?}", family.name());
        }
        let found = nmap(family, &["-sU", "--max-rate", "1"], "4999,5000,5001,7999,8000")?;
        assert_eq!(found.len(), 5, "{}: {found:?}", family.name());
        assert!(found.iter().all(|(_, state)| *state == found[0].1), "{}: {found:?}", family.name());
        assert!(found[0].1.starts_with("closed port-unreach"), "{found:?}");
    }
    Ok(())
}

fn who_knocks_gets_through() -> Result<()> {
    let (mut world, _wire, _socket) = gate(Family::V4, false)?;
    for family in Family::ALL {
        world.family = family;
        assert_eq!(world.connect(Host::Client)?.0, Probe::Refused, "{}", family.name());
        world.knock_open()?;
        world.must_open(Host::Client).context(family.name())?;
        assert_eq!(connect(Host::Stranger, world.server(7000), PATIENCE)?.0, Probe::Refused);
    }
    assert_eq!(Status::read()?.0["deny"], "reject");
    Ok(())
}
