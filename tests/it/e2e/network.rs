//! What passes besides TCP to the protected port, and checksums on real interfaces.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::time::Duration;

use anyhow::{Context as _, Result};
use socket2::{Domain, Socket, Type};
use tests::harness::{Test, tests};
use tests::lab::{Config, Family, Host, PATIENCE, Probe, SSH_PORT, Status, TIMEOUT, connect, send_udp};
use tests::story::World;

/// The tests.
pub fn tests() -> Vec<Test> {
    tests![
        "e2e::network";
        neighbours_are_found_through_the_gate,
        the_gate_is_asked_on_every_interface,
        the_server_reaches_others_from_the_protected_port,
        a_local_client_is_not_asked_to_knock,
        udp_is_denied_and_granted,
        checksums_left_to_the_card_are_allowed_for_on_veth,
        knocks_with_checksums_count_where_they_are_verified,
    ]
}

fn neighbours_are_found_through_the_gate() -> Result<()> {
    let mut world = World::new(Family::V4, None)?;
    world.gate()?;
    for (host, device) in [(0, "eth0"), (0, "eth1"), (1, "eth0"), (2, "eth0")] {
        for family in ["-4", "-6"] {
            Host::ALL[host].must(&["ip", family, "neigh", "flush", "dev", device])?;
        }
    }
    for family in Family::ALL {
        for host in [Host::Client, Host::Stranger] {
            let (probe, _) = connect(host, (family.address(Host::Server), 7777).into(), Duration::from_secs(2))?;
            assert_eq!(probe, Probe::Refused, "{} over {}", host.name(), family.name());
        }
    }
    Ok(())
}

fn the_gate_is_asked_on_every_interface() -> Result<()> {
    let mut world = World::new(Family::V4, None)?;
    world.gate()?;
    for family in Family::ALL {
        world.family = family;
        for host in [Host::Client, Host::Stranger] {
            assert_eq!(world.connect(host)?.0, Probe::Silent);
            world.command(&["allow", &world.address(host).to_string()])?;
            world.must_open(host)?;
        }
    }
    Ok(())
}

/// The answers to a connection of the server's own, from a port that the gate protects, pass.
fn the_server_reaches_others_from_the_protected_port() -> Result<()> {
    const PORT: u16 = 2223;
    let mut world = World::new(Family::V4, None)?;
    let config = Config::lab().with("\"2222/tcp\"", &format!("\"{SSH_PORT}/tcp\", \"{PORT}/tcp\""));
    world.start(&config)?;
    for family in Family::ALL {
        let from = SocketAddr::from((family.address(Host::Server), PORT));
        let to = SocketAddr::from((family.address(Host::Client), 4000));
        let listener = Host::Client.enter(|| Ok(TcpListener::bind(to)?))?;
        let mut stream = Host::Server.enter(|| {
            let socket = Socket::new(Domain::for_address(from), Type::STREAM, None)?;
            socket.bind(&from.into())?;
            socket.connect_timeout(&to.into(), PATIENCE)?;
            Ok(TcpStream::from(socket))
        })?;
        listener.accept()?.0.write_all(b"an answer")?;
        stream.set_read_timeout(Some(TIMEOUT))?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        assert_eq!(answer, "an answer");
    }
    Ok(())
}

fn a_local_client_is_not_asked_to_knock() -> Result<()> {
    let mut world = World::new(Family::V4, None)?;
    world.gate()?;
    for family in Family::ALL {
        world.family = family;
        world.must_open(Host::Server)?;
    }
    Ok(())
}

fn udp_is_denied_and_granted() -> Result<()> {
    const PORT: u16 = 5000;
    let mut world = World::guarded(Family::V4, &Config::lab().with("[\"2222/tcp\"]", "[\"2222/tcp\", \"5000/udp\"]"))?;
    for family in Family::ALL {
        world.family = family;
        let server = (world.address(Host::Server), PORT).into();
        let socket = Host::Server.enter(|| Ok(UdpSocket::bind(server)?))?;
        socket.set_read_timeout(Some(PATIENCE))?;
        let mut buffer = [0; 16];
        send_udp(Host::Client, server, b"early")?;
        assert!(socket.recv(&mut buffer).is_err(), "a datagram came through");
        world.knock_open()?;
        send_udp(Host::Client, server, b"granted")?;
        let length = socket.recv(&mut buffer)?;
        assert_eq!(&buffer[..length], b"granted");
        world.revoke()?;
    }
    assert_eq!(Status::read()?.counter("deny_udp"), 2);
    Ok(())
}

fn checksums_left_to_the_card_are_allowed_for_on_veth() -> Result<()> {
    let config = Config::lab().with("verify_checksums = false\n", "");
    knocks_open(&config, true)
}

fn knocks_with_checksums_count_where_they_are_verified() -> Result<()> {
    let config = Config::lab().set("verify_checksums", "true");
    knocks_open(&config, false)
}

/// Knocks with checksums as the interface leaves them; and if those do not count, once more with
/// checksums filled in.
fn knocks_open(config: &Config, open_checksums_count: bool) -> Result<()> {
    let mut world = World::guarded(Family::V4, config)?;
    for family in Family::ALL {
        world.family = family;
        Host::Client.must(&["ethtool", "-K", "eth0", "tx", "on"])?;
        world.knock_open()?;
        let expected = if open_checksums_count { Probe::Open } else { Probe::Silent };
        assert_eq!(world.connect(Host::Client)?.0, expected, "{}", family.name());
        if !open_checksums_count {
            assert!(Status::read()?.counter("bad_checksum") > 0);
            Host::Client.must(&["ethtool", "-K", "eth0", "tx", "off"])?;
            world.knock_open()?;
            world.must_open(Host::Client).context(family.name())?;
        }
        world.revoke()?;
    }
    Ok(())
}
