//! Sockets that are found by their ends, and ended for good.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{IpAddr, Ipv6Addr, SocketAddr, SocketAddrV6, TcpListener, TcpStream, UdpSocket};
use std::process::Command;

use anyhow::Result;
use knock_common::packet::Transport;
use knock_user::config::Port;
use knock_user::host::sockets::{Connection, connections, destroy};
use socket2::{Domain, Socket, Type};
use tests::harness::{Test, tests};
use tests::lab::{Family, Host, Lab, TIMEOUT, ip, until};

/// The tests.
pub fn tests() -> Vec<Test> {
    tests![
        "e2e::host::sockets";
        what_is_meant_is_ended_and_nothing_else,
        a_session_over_a_bridge_names_the_bridge,
        who_may_not_end_sockets_is_told_so,
    ]
}

const PORT: u16 = 2200;
const OTHER: u16 = 2300;

fn at(port: u16) -> Result<Vec<Connection>> {
    Host::Server.enter(move || Ok(connections(|one| one.number == port)?))
}

fn cut(source: IpAddr) -> Result<usize> {
    let mut meant = at(PORT)?;
    meant.retain(|one| one.remote.ip() == source);
    Host::Server.enter(move || Ok(destroy(meant)?.len()))
}

/// One that takes both families, as most servers do: it sees addresses of IPv4 as mapped.
fn listen(port: u16) -> Result<TcpListener> {
    Host::Server.enter(move || {
        let socket = Socket::new(Domain::IPV6, Type::STREAM, None)?;
        socket.set_only_v6(false)?;
        socket.bind(&SocketAddr::from((Ipv6Addr::UNSPECIFIED, port)).into())?;
        socket.listen(8)?;
        Ok(socket.into())
    })
}

fn connect(from: Host, to: SocketAddr, listener: &TcpListener) -> Result<(TcpStream, TcpStream)> {
    let there = from.enter(|| Ok(TcpStream::connect_timeout(&to, TIMEOUT)?))?;
    let (here, _) = listener.accept()?;
    for one in [&there, &here] {
        one.set_read_timeout(Some(TIMEOUT))?;
    }
    Ok((there, here))
}

/// What is said at one end arrives at the other.
fn goes_on((there, here): &mut (TcpStream, TcpStream)) -> Result<()> {
    there.write_all(b"x")?;
    here.read_exact(&mut [0])?;
    Ok(())
}

fn what_is_meant_is_ended_and_nothing_else() -> Result<()> {
    let _lab = Lab::new()?;
    let (listener, other) = (listen(PORT)?, listen(OTHER)?);
    for family in Family::ALL {
        let [client, server, stranger] = [Host::Client, Host::Server, Host::Stranger].map(|host| family.address(host));
        let mut session = connect(Host::Client, (server, PORT).into(), &listener)?;
        let mut elsewhere = connect(Host::Client, (server, OTHER).into(), &other)?;
        let mut strangers = connect(Host::Stranger, (server, PORT).into(), &listener)?;
        // A handshake that is done and not accepted is a socket as well.
        let waiting = Host::Client.enter(|| Ok(TcpStream::connect_timeout(&(server, PORT).into(), TIMEOUT)?))?;
        let bound = Host::Server.enter(|| Ok((UdpSocket::bind((server, PORT))?, UdpSocket::bind((server, OTHER))?)))?;
        let found = until("both sessions of the client", TIMEOUT, || {
            at(PORT).ok().filter(|all| all.iter().filter(|one| one.remote.ip() == client).count() == 2)
        })?;
        let seen = |stream: &TcpStream| {
            let (local, remote) = (stream.peer_addr().unwrap(), stream.local_addr().unwrap());
            let is_it =
                |one: &&Connection| (one.local, one.remote) == (local, remote) && one.transport == Transport::Tcp;
            assert_eq!(found.iter().filter(is_it).count(), 1, "{local} {remote} {found:?}");
        };
        [&session.0, &waiting, &strangers.0].into_iter().for_each(seen);
        // A UDP socket counts once it has another end.
        bound.0.connect((client, 4000))?;
        assert_eq!(at(PORT)?.iter().filter(|one| one.transport == Transport::Udp).count(), 1);

        assert_eq!(cut(client)?, 3, "{}", family.name());
        let mut octets = [0; 8];
        let error = session.1.read(&mut octets).expect_err("the server's end goes on");
        assert_eq!(error.kind(), ErrorKind::ConnectionAborted);
        let error = session.0.read(&mut octets).expect_err("the client's end goes on");
        assert_eq!(error.kind(), ErrorKind::ConnectionReset);
        assert_eq!(bound.0.recv(&mut octets).expect_err("it goes on").kind(), ErrorKind::ConnectionAborted);
        goes_on(&mut elsewhere)?;
        goes_on(&mut strangers)?;
        assert_eq!(at(PORT)?.iter().map(|one| one.remote.ip()).collect::<Vec<_>>(), [stranger]);
        assert_eq!(cut(client)?, 0);
        assert_eq!(cut(stranger)?, 1);
        // Those who listen still do: whoever waited in the queue has ended there.
        drop(session);
        listener.set_nonblocking(true)?;
        while listener.accept().is_ok() {}
        listener.set_nonblocking(false)?;
        goes_on(&mut connect(Host::Client, (server, PORT).into(), &listener)?)?;
    }
    Ok(())
}

/// The gate may stand on a port of the bridge: who looks for the socket there looks at the wrong interface.
fn a_session_over_a_bridge_names_the_bridge() -> Result<()> {
    let _lab = Lab::new()?;
    ip(Host::Server, "link add br0 type bridge\nlink set br0 up\nlink set eth0 master br0\n")?;
    let bridge = index(Host::Server, "br0")?;
    let link_local = |host: Host, device: &str| -> Result<Ipv6Addr> {
        until("a link-local address", TIMEOUT, || {
            let said =
                host.must(&["ip", "-6", "-o", "addr", "show", "dev", device, "scope", "link", "-tentative"]).ok()?;
            said.split_whitespace().nth(3)?.split_once('/')?.0.parse().ok()
        })
    };
    let server = link_local(Host::Server, "br0")?;
    link_local(Host::Client, "eth0")?;
    let listener = listen(PORT)?;
    let client = index(Host::Client, "eth0")?;
    let there = until("a session over the bridge", TIMEOUT, || {
        let to = SocketAddrV6::new(server, PORT, 0, client);
        Host::Client.enter(|| Ok(TcpStream::connect_timeout(&to.into(), TIMEOUT)?)).ok()
    })?;
    let _here = listener.accept()?;
    let found = at(PORT)?;
    let [connection] = &found[..] else { panic!("{found:?}") };
    assert_eq!(connection.remote.port(), there.local_addr()?.port());
    assert_eq!(connection.interface, bridge);
    Ok(())
}

/// The index of an interface.
fn index(host: Host, device: &str) -> Result<u32> {
    let said = host.must(&["ip", "-o", "link", "show", "dev", device])?;
    Ok(said.split_once(':').expect("an index").0.parse()?)
}

fn who_may_not_end_sockets_is_told_so() -> Result<()> {
    Command::new("ip").args(["link", "set", "lo", "up"]).status()?;
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    let _there = TcpStream::connect(address)?;
    // Of this whole process; its sandbox ends with it.
    nix::unistd::setresuid(65_534.into(), 65_534.into(), 65_534.into())?;
    let here = |port: Port| port.number == address.port();
    let meant = connections(here)?;
    assert_eq!(meant.len(), 1);
    assert_eq!(destroy(meant).expect_err("anybody may").kind(), ErrorKind::PermissionDenied);
    Ok(())
}
