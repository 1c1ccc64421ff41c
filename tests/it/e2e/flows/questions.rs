//! The host's own questions over UDP, asked from a port that is protected: mosh's range lies among those that the
//! kernel gives to whoever asks for none.

use std::io::ErrorKind;
use std::net::{IpAddr, SocketAddr, UdpSocket};

use anyhow::{Context as _, Result};
use tests::harness::{Test, tests};
use tests::lab::{Config, Echo, Family, Host, Line, PATIENCE, TIMEOUT, until};
use tests::story::World;

use super::{Judgement, SILENT, in_every_way};

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

/// A question of the server's in both families, under each way to deny; each of the two families has a port of its own.
fn asked(world: &mut World, from: u16, mut work: impl FnMut(&World, Judgement, u16) -> Result<()>) -> Result<()> {
    let config = Config::lab().with("[\"2222/tcp\"]", "[\"2222/tcp\", \"60000-61000/udp\"]");
    in_every_way(world, &config, |world, judgement| {
        work(world, judgement, if world.family == Family::V4 { from } else { from + 1 })
    })
}

/// Nobody else is heard on a port of the server from which it asks. Under silence the stack would say to them that the
/// port is closed; where the gate answers, it says the same.
fn assert_heard_by_nobody(from: Host, own: u16, to: SocketAddr, judgement: Judgement) -> Result<()> {
    if judgement.denied() == SILENT {
        let kind = heard(from, own, to)?;
        assert!(matches!(kind, ErrorKind::WouldBlock | ErrorKind::TimedOut), "{from:?}: {kind:?}");
        return Ok(());
    }
    let refused = || (heard(from, own, to).ok()? == ErrorKind::ConnectionRefused).then_some(());
    until(&format!("the refusal of {from:?} at {to}"), TIMEOUT, refused)
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
    let mut world = World::new(Family::V4, None)?;
    let _answers = Echo::udp(Host::Client, ECHO)?;
    asked(&mut world, FROM, |world, judgement, own| {
        let mut line = Line::udp_from(Host::Server, own, (world.address(Host::Client), ECHO).into())?;
        line.echo().context("the answer")?;
        for (host, from) in [(Host::Client, 0), (Host::Client, ECHO + 1), (Host::Stranger, ECHO)] {
            assert_heard_by_nobody(host, from, world.server(own), judgement)?;
        }
        line.echo()
    })
}

fn a_resolver_on_a_protected_port_gets_its_answer() -> Result<()> {
    const FROM: u16 = 60_223;
    let mut world = World::new(Family::V4, None)?;
    // The question with the bit of an answer is one, without an address in it.
    let _server = Echo::udp_with(Host::Client, DNS, |message| {
        if let Some(flags) = message.get_mut(2) {
            *flags |= 0x80;
        }
    })?;
    asked(&mut world, FROM, |world, _, own| {
        let own = format!("{}#{own}", world.address(Host::Server));
        let server = format!("@{}", world.address(Host::Client));
        let port = DNS.to_string();
        let dig = ["dig", "+tries=1", "+time=5", "+noedns", "-b", &own, "-p", &port, &server, "example.org"];
        let said = Host::Server.must(&dig)?;
        assert!(said.contains("status: NOERROR"), "{said}");
        Ok(())
    })
}

/// Its answer is like anybody's first datagram; `check` warns of the range.
fn a_socket_that_is_connected_to_nobody_gets_no_answer() -> Result<()> {
    const FROM: u16 = 60_323;
    let mut world = World::new(Family::V4, None)?;
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
    asked(&mut world, FROM, |world, _, own| {
        assert!(asks(world, 59_323)?, "from a port that is not protected");
        assert!(!asks(world, own)?, "from a protected port");
        Ok(())
    })
}
