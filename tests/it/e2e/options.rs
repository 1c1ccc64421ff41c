//! What the config says reaches the kernel: each option once, by what it does to packets.

use std::io::Read;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use socket2::{Domain, Protocol, Socket, Type};
use tests::harness::{Test, tests, waiting_tests};
use tests::lab::{
    Config, Daemon, Family, Host, PATIENCE, Probe, SSH_PORT, Status, TIMEOUT, connect, must_open, send_udp, until,
};
use tests::packet::{ACK, FIN, PacketBuilder, RST, SYN};
use tests::story::World;

/// The tests.
pub fn tests() -> Vec<Test> {
    let mut all = tests![
        "e2e::options";
        trusted_networks_never_knock,
        a_grant_may_cover_a_prefix,
        a_door_may_count_knocks_on_one_address_only,
        a_door_may_ask_for_flags,
        a_probe_without_syn_is_dropped_unless_stealth_is_off,
        denials_are_not_logged_if_nobody_wants_to_know,
        a_knock_reaches_what_listens_on_its_port,
        attempts_beyond_the_rate_are_begun_untold,
        ports_may_be_a_range_and_both_transports,
    ];
    all.extend(waiting_tests!["e2e::options"; traffic_keeps_a_udp_grant_alive]);
    all
}

fn trusted_networks_never_knock() -> Result<()> {
    let config = Config::lab().option("trusted", "[\"198.51.100.0/24\", \"2001:db8:2::/48\"]");
    let mut world = World::guarded(Family::V4, &config)?;
    for family in Family::ALL {
        world.family = family;
        world.must_open(Host::Stranger).context(family.name())?;
        assert_eq!(world.connect(Host::Client)?.0, Probe::Silent, "{}", family.name());
    }
    assert!(Status::read()?.counter("pass_trusted") > 0);
    Ok(())
}

/// Connects from another address of the client's.
fn connect_from(source: IpAddr, to: SocketAddr) -> Result<Probe> {
    Host::Client.enter(|| {
        let socket = Socket::new(Domain::for_address(to), Type::STREAM, None)?;
        socket.bind(&SocketAddr::new(source, 0).into())?;
        match socket.connect_timeout(&to.into(), PATIENCE) {
            Ok(()) => Ok(Probe::Open),
            Err(error) if error.kind() == std::io::ErrorKind::TimedOut => Ok(Probe::Silent),
            Err(error) => bail!("{error}"),
        }
    })
}

fn a_grant_may_cover_a_prefix() -> Result<()> {
    let config = Config::lab().set("cmd_timeout", "\"60s\"\ngrant_prefix_v6 = 64\ngrant_prefix_v4 = 30");
    let mut world = World::guarded(Family::V6, &config)?;
    for (family, near, far) in [
        (Family::V6, "2001:db8:1::77", "2001:db8:1:1::77"),
        // 192.0.2.0/30 has 192.0.2.3.
        (Family::V4, "192.0.2.3", "192.0.2.77"),
    ] {
        world.family = family;
        for address in [near, far] {
            let device = format!("{address}/{}", if family == Family::V6 { 128 } else { 32 });
            Host::Client.must(&["ip", "addr", "add", &device, "dev", "eth0", "nodad"])?;
            let gateway = world.address(Host::Client).to_string();
            Host::Server.must(&["ip", "route", "replace", &device, "via", &gateway, "dev", "eth0"])?;
        }
        world.knock_open()?;
        assert_eq!(connect_from(near.parse()?, world.server(SSH_PORT))?, Probe::Open, "{near}");
        assert_eq!(connect_from(far.parse()?, world.server(SSH_PORT))?, Probe::Silent, "{far}");
    }
    let sources: Vec<_> = Status::read()?.grants().iter().map(|grant| grant["source"].clone()).collect();
    assert!(sources.contains(&"2001:db8:1::/64".into()) && sources.contains(&"192.0.2.0/30".into()), "{sources:?}");
    world.command(&["revoke", "2001:db8:1::/64"])?;
    world.family = Family::V6;
    assert_eq!(connect_from("2001:db8:1::77".parse()?, world.server(SSH_PORT))?, Probe::Silent);
    Ok(())
}

fn a_door_may_count_knocks_on_one_address_only() -> Result<()> {
    let config = Config::lab().set("cmd_timeout", "\"4s\"\ntarget = \"198.51.100.1\"");
    let world = World::guarded(Family::V4, &config)?;
    world.knock_open()?;
    assert_eq!(world.connect(Host::Client)?.0, Probe::Silent);
    tests::lab::knockctl(Host::Client, &["knock", "198.51.100.1", "7000", "8000/udp", "9000"])?.success()?;
    world.must_open(Host::Client)?;
    Ok(())
}

/// Sends a bare TCP segment from the client to the server, and says with what flags the server
/// answers, if it does.
fn segment(port: u16, flags: u8) -> Result<Option<u8>> {
    const SOURCE: u16 = 40_000;
    let (IpAddr::V4(client), IpAddr::V4(server)) = (Family::V4.address(Host::Client), Family::V4.address(Host::Server))
    else {
        bail!("IPv4 addresses");
    };
    let frame = PacketBuilder::between(client, server).tcp(SOURCE, port, flags).build();
    Host::Client.enter(|| {
        let socket = Socket::new(Domain::IPV4, Type::RAW, Some(Protocol::TCP))?;
        socket.set_header_included_v4(true)?;
        socket.set_read_timeout(Some(PATIENCE))?;
        socket.send_to(&frame[14..], &SocketAddr::from((server, 0)).into())?;
        answer(&socket, server, port)
    })
}

/// The flags of the first segment from that port.
fn answer(mut socket: &Socket, server: Ipv4Addr, port: u16) -> Result<Option<u8>> {
    let start = Instant::now();
    let mut packet = [0; 128];
    while start.elapsed() < PATIENCE {
        let Ok(length) = socket.read(&mut packet) else { return Ok(None) };
        let from = (&packet[12..16], u16::from_be_bytes([packet[20], packet[21]]));
        if length >= 40 && from == (&server.octets()[..], port) {
            return Ok(Some(packet[33]));
        }
    }
    Ok(None)
}

fn a_door_may_ask_for_flags() -> Result<()> {
    let config = Config::lab().with(
        "[\"7000/tcp\", \"8000/udp\", \"9000/tcp\"]",
        "[\"7000/tcp\", \"9000/tcp\"]\ntcpflags = [\"fin\", \"!syn\"]",
    );
    let world = World::guarded(Family::V4, &config)?;
    world.knock(&["7000/tcp", "9000/tcp"], Duration::ZERO)?;
    assert_eq!(world.connect(Host::Client)?.0, Probe::Silent);
    segment(7000, SYN | FIN)?;
    segment(9000, SYN | FIN)?;
    assert_eq!(world.connect(Host::Client)?.0, Probe::Silent);
    segment(7000, FIN | ACK)?;
    segment(9000, FIN)?;
    world.must_open(Host::Client)?;
    Ok(())
}

fn traffic_keeps_a_udp_grant_alive() -> Result<()> {
    let config = Config::lab()
        .with("ports = [\"2222/tcp\"]", "ports = [\"5000/udp\"]\nkeepalive = true")
        .set("cmd_timeout", "\"1s\"");
    let mut world = World::guarded(Family::V4, &config)?;
    for family in Family::ALL {
        world.family = family;
        let server = world.server(5000);
        let socket = Host::Server.enter(|| Ok(UdpSocket::bind(server)?))?;
        socket.set_read_timeout(Some(PATIENCE))?;
        world.knock_open()?;
        let mut buffer = [0; 16];
        // Three windows long.
        for _ in 0..12 {
            std::thread::sleep(Duration::from_millis(250));
            send_udp(Host::Client, server, b"still here")?;
            socket.recv(&mut buffer)?;
        }
        until("the end of the grant", TIMEOUT, || Status::read().ok()?.grants().is_empty().then_some(()))?;
        send_udp(Host::Client, server, b"too late")?;
        assert!(socket.recv(&mut buffer).is_err());
    }
    Ok(())
}

fn a_probe_without_syn_is_dropped_unless_stealth_is_off() -> Result<()> {
    let world = World::guarded(Family::V4, &Config::lab())?;
    assert_eq!(segment(SSH_PORT, ACK)?, None);
    assert_eq!(segment(7777, ACK)?, Some(RST));
    assert_eq!(Status::read()?.counter("deny_probe"), 1);
    drop(world);
    let _world = World::guarded(Family::V4, &Config::lab().option("stealth", "false"))?;
    assert_eq!(segment(SSH_PORT, ACK)?, Some(RST));
    assert_eq!(segment(SSH_PORT, SYN)?, None);
    assert_eq!(segment(SSH_PORT, 0)?, None);
    Ok(())
}

fn denials_are_not_logged_if_nobody_wants_to_know() -> Result<()> {
    let mut world = World::guarded(Family::V4, &Config::lab().set("log_denied", "false"))?;
    let mark = world.gate()?.mark();
    world.connect(Host::Client)?;
    world.knock_open()?;
    world.gate()?.wait_after(mark, "OPEN SESAME")?;
    let lines = world.gate()?.after(mark);
    assert!(!lines.iter().any(|line| line.contains("did not knock")), "{lines:?}");
    assert_eq!(Status::read()?.counter("deny_new"), 1);
    Ok(())
}

fn a_knock_reaches_what_listens_on_its_port() -> Result<()> {
    let world = World::new(Family::V4, None)?;
    let (tcp, udp) = (world.server(7000), world.server(8000));
    let (listener, socket) = Host::Server.enter(|| Ok((TcpListener::bind(tcp)?, UdpSocket::bind(udp)?)))?;
    let daemon = Daemon::start(&Config::lab(), None)?;
    daemon.wait_after(0, "something listens on this port")?;
    must_open(Host::Stranger, tcp)?;
    listener.accept()?;
    send_udp(Host::Stranger, udp, b"a query")?;
    let mut buffer = [0; 16];
    assert_eq!(socket.recv(&mut buffer)?, 7);
    // And it is a knock all the same.
    world.knock_open()?;
    world.must_open(Host::Client)?;
    Ok(())
}

fn attempts_beyond_the_rate_are_begun_untold() -> Result<()> {
    let world = World::guarded(Family::V4, &Config::lab().option("attempt_rate", "1"))?;
    // The one that starts and ends again and again is soon not told of.
    let ports: Vec<String> = (0..50).flat_map(|_| ["7000/tcp".to_owned(), "7777/tcp".to_owned()]).collect();
    let ports: Vec<&str> = ports.iter().map(String::as_str).collect();
    world.knock(&ports, Duration::ZERO)?;
    let status = Status::read()?;
    assert!(status.counter("attempt_untold") >= 40, "{}", status.0);
    assert!(status.counter("attempt_started") >= 1, "{}", status.0);
    // Knocking works all the same.
    world.knock_open()?;
    world.must_open(Host::Client)?;
    Ok(())
}

fn ports_may_be_a_range_and_both_transports() -> Result<()> {
    let config = Config::lab().with("[\"2222/tcp\"]", "[\"2222/tcp\", \"6000-6010/tcp\", \"6000-6010/udp\"]");
    let world = World::guarded(Family::V4, &config)?;
    for (port, expected) in
        [(5999, Probe::Refused), (6000, Probe::Silent), (6010, Probe::Silent), (6011, Probe::Refused)]
    {
        assert_eq!(connect(Host::Client, world.server(port), PATIENCE)?.0, expected, "{port}");
    }
    let ports = Status::read()?.0["services"][0]["ports"].to_string();
    for text in ["2222/tcp", "6000-6010/tcp", "6000-6010/udp"] {
        assert!(ports.contains(text), "{ports}");
    }
    Ok(())
}
