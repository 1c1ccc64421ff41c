//! The host's own questions over UDP, asked from a port that is protected: mosh's range lies among those that the
//! kernel gives to whoever asks for none.

use std::io::ErrorKind;
use std::net::{IpAddr, SocketAddr, UdpSocket};

use anyhow::{Context as _, Result};
use tests::harness::{Test, tests};
use tests::lab::{Config, Echo, Family, Host, Line, PATIENCE};
use tests::story::World;

/// The tests.
pub fn tests() -> Vec<Test> {
    tests![
        "e2e::flows::questions";
        a_connected_socket_on_a_protected_port_gets_its_answer,
        a_resolver_on_a_protected_port_gets_its_answer,
        a_socket_that_is_connected_to_nobody_gets_no_answer,
    ]
}

/// Where the client answers the server's questions, and where it does so as a name server.
const ECHO: u16 = 5300;
const DNS: u16 = 5353;

fn world() -> Result<World> {
    let config = Config::lab().with("[\"2222/tcp\"]", "[\"2222/tcp\", \"60000-61000/udp\"]");
    World::guarded(Family::V4, &config)
}

/// What a host hears from a port of the server that it sends something to.
fn heard(from: Host, own: u16, to: SocketAddr) -> Result<ErrorKind> {
    let any: IpAddr = if to.is_ipv4() { [0; 4].into() } else { [0; 16].into() };
    from.enter(|| {
        let socket = UdpSocket::bind((any, own))?;
        socket.set_read_timeout(Some(PATIENCE))?;
        socket.connect(to)?;
        socket.send(b"nobody asked")?;
        Ok(socket.recv(&mut [0; 64]).err().context("an answer")?.kind())
    })
}

fn a_connected_socket_on_a_protected_port_gets_its_answer() -> Result<()> {
    /// The server's, one for each family.
    const FROM: u16 = 60_123;
    let mut world = world()?;
    let _answers = Echo::udp(Host::Client, ECHO)?;
    for (family, own) in Family::ALL.into_iter().zip(FROM..) {
        world.family = family;
        let mut line = Line::udp_from(Host::Server, own, (world.address(Host::Client), ECHO).into())?;
        line.echo().with_context(|| format!("{family:?}: the answer"))?;
        // Nobody else is heard there: the stack would say that the port is closed to them.
        for (host, from) in [(Host::Client, 0), (Host::Client, ECHO + 1), (Host::Stranger, ECHO)] {
            let kind = heard(host, from, world.server(own))?;
            assert!(matches!(kind, ErrorKind::WouldBlock | ErrorKind::TimedOut), "{family:?}, {host:?}: {kind:?}");
        }
        line.echo()?;
    }
    Ok(())
}

fn a_resolver_on_a_protected_port_gets_its_answer() -> Result<()> {
    const FROM: u16 = 60_223;
    let mut world = world()?;
    // The question with the bit of an answer is one, without an address in it.
    let _server = Echo::udp_with(Host::Client, DNS, |message| {
        if let Some(flags) = message.get_mut(2) {
            *flags |= 0x80;
        }
    })?;
    for (family, own) in Family::ALL.into_iter().zip(FROM..) {
        world.family = family;
        let own = format!("{}#{own}", world.address(Host::Server));
        let server = format!("@{}", world.address(Host::Client));
        let port = DNS.to_string();
        let dig = ["dig", "+tries=1", "+time=5", "+noedns", "-b", &own, "-p", &port, &server, "example.org"];
        let said = Host::Server.must(&dig).with_context(|| format!("{family:?}"))?;
        assert!(said.contains("status: NOERROR"), "{said}");
    }
    Ok(())
}

/// Its answer is like anybody's first datagram; `check` warns of the range.
fn a_socket_that_is_connected_to_nobody_gets_no_answer() -> Result<()> {
    const FROM: u16 = 60_323;
    let mut world = world()?;
    let _answers = Echo::udp(Host::Client, ECHO)?;
    let asks = |world: &World, own: u16| {
        let client: SocketAddr = (world.address(Host::Client), ECHO).into();
        let server = world.server(own);
        Host::Server.enter(|| {
            let socket = UdpSocket::bind(server)?;
            socket.set_read_timeout(Some(PATIENCE))?;
            socket.send_to(b"a question", client)?;
            Ok(socket.recv(&mut [0; 64]).is_ok())
        })
    };
    for family in Family::ALL {
        world.family = family;
        assert!(asks(&world, 59_323)?, "{family:?}: from a port that is not protected");
        assert!(!asks(&world, FROM)?, "{family:?}: from a protected port");
    }
    Ok(())
}
