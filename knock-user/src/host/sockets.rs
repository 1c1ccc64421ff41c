//! Sockets of this network namespace, asked for by sock_diag(7): those that listen, those that are connected, and the end of
//! some of them. The tables under `/proc/net` have all sockets, and to go through the kernel's for them takes milliseconds,
//! even if there is none.

use std::collections::HashSet;
use std::io::{Error, ErrorKind, Result};
use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use knock_common::packet::Transport;

use super::netlink::{Channel, Dump, nonsense};
use crate::syntax::Port;

/// `SOCK_DIAG_BY_FAMILY`, of questions and answers.
const BY_FAMILY: u16 = 20;
/// `SOCK_DESTROY`.
const DESTROY: u16 = 21;
/// `struct inet_diag_req_v2`.
const REQUEST: usize = 56;
/// `struct inet_diag_sockid`: ports, addresses, interface, cookie.
const ID: usize = 48;
/// Where the inode is in `struct inet_diag_msg`.
const INODE: usize = 68;

const ESTABLISHED: u32 = 1;
const TIME_WAIT: u32 = 6;
const CLOSE: u32 = 7;
const LISTEN: u32 = 10;
/// `TCP_NEW_SYN_RECV`: the kernel's own handshakes, told as `TCP_SYN_RECV`.
const NEW_SYN_RECEIVED: u32 = 12;

/// All states of TCP in which there is another end.
const CONNECTED: u32 = ((1 << (NEW_SYN_RECEIVED + 1)) - 2) & !(1 << TIME_WAIT | 1 << CLOSE | 1 << LISTEN);

/// A connected socket of TCP or UDP.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Connection {
    /// TCP or UDP.
    pub transport: Transport,
    /// This end; an address of IPv4 as such, whatever the socket takes it for.
    pub local: SocketAddr,
    /// The other end, likewise.
    pub remote: SocketAddr,
    /// The interface that the socket is bound to: a bridge for a link-local connection over a port of it. 0 if it is
    /// bound to none.
    pub interface: u32,
    /// By which the kernel knows it again.
    socket: Identity,
    /// As `/proc/PID/fd` has it; 0 for a socket that no process has open.
    inode: u32,
}

/// A socket that takes what comes to it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Listener {
    /// TCP or UDP.
    pub transport: Transport,
    /// Where it listens; an address of IPv4 as such.
    pub address: SocketAddr,
    /// As `/proc/PID/fd` has it; 0 for a socket that no process has open.
    pub inode: u32,
}

/// What the kernel tells and wants to be told of one socket.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Identity {
    family: u8,
    id: [u8; ID],
}

/// Addresses and ports of the sockets of TCP that listen, of both families.
///
/// # Errors
///
/// If this kernel cannot be asked.
pub fn listening() -> Result<Vec<(IpAddr, u16)>> {
    let found = sockets(Transport::Tcp, 1 << LISTEN, |socket| Some((socket.local.ip(), socket.local.port())))?;
    Ok(found)
}

/// The sockets of TCP that listen, and those of UDP that have a port and no other end, of both families.
///
/// # Errors
///
/// If this kernel cannot be asked.
pub fn listeners() -> Result<Vec<Listener>> {
    let mut found = Vec::new();
    for (transport, states) in [(Transport::Tcp, 1 << LISTEN), (Transport::Udp, 1 << CLOSE)] {
        let listener = |one: Connection| Some(Listener { transport, address: one.local, inode: one.inode });
        found.extend(sockets(transport, states, listener)?);
    }
    Ok(found)
}

/// The sockets that are connected from a local port that is `wanted`: of TCP in all states but those of listening and of
/// waiting for late segments, of UDP those that have been given another end.
///
/// # Errors
///
/// If this kernel cannot be asked.
pub fn connections(wanted: impl Fn(Port) -> bool) -> Result<Vec<Connection>> {
    let mut found = Vec::new();
    for (transport, states) in [(Transport::Tcp, CONNECTED), (Transport::Udp, 1 << ESTABLISHED)] {
        found.extend(sockets(transport, states, |socket| {
            wanted(Port { number: socket.local.port(), transport }).then_some(socket)
        })?);
    }
    Ok(found)
}

/// The sockets of TCP on a local port that is `wanted` that are bound to no interface and have another end, and what waits
/// for late segments of one: local and remote end. Whoever looks a segment of theirs up finds one, on whatever interface it
/// has come.
///
/// # Errors
///
/// If this kernel cannot be asked.
pub fn everywhere(wanted: impl Fn(u16) -> bool) -> Result<HashSet<(SocketAddr, SocketAddr)>> {
    let found = sockets(Transport::Tcp, CONNECTED | 1 << TIME_WAIT, |socket| {
        (socket.interface == 0 && wanted(socket.local.port())).then_some((socket.local, socket.remote))
    })?;
    Ok(found.into_iter().collect())
}

/// Ends these connections, as `ss -K` does: their programs get `ECONNABORTED`, and the other end of TCP a reset. Says which
/// those were that had not ended by themselves.
///
/// # Errors
///
/// With [`ErrorKind::PermissionDenied`] without `CAP_NET_ADMIN`, and [`ErrorKind::Unsupported`] if this kernel was built
/// without `CONFIG_INET_DIAG_DESTROY`. What was ended before stays so.
pub fn destroy(meant: Vec<Connection>) -> Result<Vec<Connection>> {
    if meant.is_empty() {
        return Ok(meant);
    }
    let mut channel = Channel::of(libc::NETLINK_SOCK_DIAG)?;
    let mut destroyed = Vec::new();
    for connection in meant {
        let Connection { transport, socket, .. } = connection;
        match channel.order(DESTROY, &request(socket.family, transport, u32::MAX, &socket.id)) {
            Ok(()) => destroyed.push(connection),
            // It has ended by itself: the kernel compares what the socket is known by, and takes no other.
            Err(error) if matches!(error.raw_os_error(), Some(libc::ENOENT | libc::ESTALE)) => {}
            Err(error) if error.raw_os_error() == Some(libc::EOPNOTSUPP) => {
                let why = "this kernel ends no sockets of others (CONFIG_INET_DIAG_DESTROY)";
                return Err(Error::new(ErrorKind::Unsupported, why));
            }
            Err(error) => return Err(error),
        }
    }
    Ok(destroyed)
}

/// What `of` makes of the sockets in these states, of both families.
fn sockets<T>(transport: Transport, states: u32, of: impl Fn(Connection) -> Option<T>) -> Result<Vec<T>> {
    let mut found = Vec::new();
    for family in [libc::AF_INET, libc::AF_INET6] {
        let dump = Dump {
            protocol: libc::NETLINK_SOCK_DIAG,
            question: BY_FAMILY,
            answer: BY_FAMILY,
            body: &request(family as u8, transport, states, &[0; ID]),
        };
        found.extend(dump.read(|body| Ok(of(socket_of(body, transport)?)))?);
    }
    Ok(found)
}

/// `struct inet_diag_req_v2`; an `id` of zeroes is all sockets.
fn request(family: u8, transport: Transport, states: u32, id: &[u8; ID]) -> Vec<u8> {
    let mut octets = Vec::with_capacity(REQUEST);
    octets.extend([family, transport as u8, 0, 0]);
    octets.extend(states.to_ne_bytes());
    octets.extend(id);
    octets
}

/// The beginning of `struct inet_diag_msg`: family, state, timer, retransmissions; and who it is.
fn socket_of(body: &[u8], transport: Transport) -> Result<Connection> {
    let short = || nonsense("a socket that is cut off");
    let family = *body.first().ok_or_else(short)?;
    let id: [u8; ID] = *body.get(4..).and_then(<[u8]>::first_chunk).ok_or_else(short)?;
    let address = |at: usize| match i32::from(family) {
        libc::AF_INET => id[at..].first_chunk::<4>().copied().map(IpAddr::from),
        _ => id[at..].first_chunk::<16>().map(|octets| IpAddr::from(Ipv6Addr::from(*octets)).to_canonical()),
    };
    let [local, remote] = [address(4), address(20)].map(|address| address.ok_or_else(short));
    Ok(Connection {
        transport,
        local: SocketAddr::new(local?, u16::from_be_bytes([id[0], id[1]])),
        remote: SocketAddr::new(remote?, u16::from_be_bytes([id[2], id[3]])),
        interface: u32::from_ne_bytes([id[36], id[37], id[38], id[39]]),
        socket: Identity { family, id },
        inode: body.get(INODE..).and_then(<[u8]>::first_chunk).map_or(0, |octets| u32::from_ne_bytes(*octets)),
    })
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream, UdpSocket};

    use super::*;

    #[test]
    fn the_kernel_tells_of_listeners_of_both_families() {
        for host in ["127.0.0.1:0", "[::1]:0"] {
            let Ok(listener) = TcpListener::bind(host) else { continue };
            let address = listener.local_addr().unwrap();
            let found = listening().unwrap();
            assert!(found.contains(&(address.ip(), address.port())), "{address} is not in {found:?}");
            drop(listener);
            assert!(!listening().unwrap().contains(&(address.ip(), address.port())));
        }
    }

    #[test]
    fn both_ends_of_a_connection_are_told_and_listeners_are_not() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let here = |port: Port| port == Port { number: address.port(), transport: Transport::Tcp };
        assert_eq!(connections(here).unwrap(), []);
        let client = TcpStream::connect(address).unwrap();
        let found = connections(here).unwrap();
        let [connection] = &found[..] else { panic!("{found:?}") };
        assert_eq!((connection.local, connection.remote), (address, client.local_addr().unwrap()));
        assert_eq!((connection.transport, connection.interface), (Transport::Tcp, 0));
    }

    #[test]
    fn a_udp_socket_is_connected_once_it_has_another_end() {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let address = socket.local_addr().unwrap();
        let here = |port: Port| port == Port { number: address.port(), transport: Transport::Udp };
        assert_eq!(connections(here).unwrap(), []);
        socket.connect("127.0.0.1:9").unwrap();
        let found = connections(here).unwrap();
        let [connection] = &found[..] else { panic!("{found:?}") };
        assert_eq!((connection.local, connection.remote), (address, "127.0.0.1:9".parse().unwrap()));
    }

    #[test]
    fn an_address_of_ipv4_is_told_as_such() {
        let mut id = [0; ID];
        id[..4].copy_from_slice(&[0, 22, 0x9c, 0x40]);
        for (at, address) in [(4, "::ffff:192.0.2.1"), (20, "::ffff:198.51.100.7")] {
            id[at..at + 16].copy_from_slice(&address.parse::<Ipv6Addr>().unwrap().octets());
        }
        id[36..40].copy_from_slice(&7_u32.to_ne_bytes());
        let body = [&[libc::AF_INET6 as u8, 1, 0, 0], &id[..]].concat();
        let socket = socket_of(&body, Transport::Tcp).unwrap();
        assert_eq!(socket.local, "192.0.2.1:22".parse().unwrap());
        assert_eq!(socket.remote, "198.51.100.7:40000".parse().unwrap());
        assert_eq!(socket.interface, 7);
        assert_eq!(request(socket.socket.family, Transport::Tcp, 0, &socket.socket.id)[8..], id);
    }

    #[test]
    fn cut_off_sockets_are_errors() {
        let whole = [&[libc::AF_INET as u8, 1, 0, 0], &[0; ID][..]].concat();
        assert!(socket_of(&whole, Transport::Tcp).is_ok());
        for length in 0..whole.len() {
            assert!(socket_of(&whole[..length], Transport::Tcp).is_err(), "{length}");
        }
    }

    #[test]
    fn all_states_with_another_end_are_asked_for() {
        let asked: Vec<_> = (0..32).filter(|state| CONNECTED & 1 << state != 0).collect();
        // ESTABLISHED, SYN_SENT, SYN_RECV, FIN_WAIT1, FIN_WAIT2, CLOSE_WAIT, LAST_ACK, CLOSING, NEW_SYN_RECV.
        assert_eq!(asked, [1, 2, 3, 4, 5, 8, 9, 11, 12]);
    }
}
