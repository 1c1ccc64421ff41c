//! One knock: exactly one packet, and no socket left behind.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use knock_common::packet::Transport;
use socket2::{Domain, Protocol, Socket, Type};

use super::Source;

/// Sends one knock to `address`, as routes have it.
///
/// # Errors
///
/// If the packet could not be sent. A port that refuses was knocked.
pub fn hit(address: SocketAddr, transport: Transport) -> io::Result<()> {
    hit_from(&Source::default(), address, transport)
}

/// Sends one knock to `address` on a certain way.
///
/// # Errors
///
/// If the packet could not be sent. A port that refuses was knocked.
pub fn hit_from(source: &Source, address: SocketAddr, transport: Transport) -> io::Result<()> {
    match transport {
        Transport::Tcp => hit_tcp(source, address),
        Transport::Udp => hit_udp(source, address),
    }
}

/// The SYN leaves inside `connect`; closing the socket before the answer forgets the connection,
/// so nothing is sent again.
fn hit_tcp(source: &Source, address: SocketAddr) -> io::Result<()> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    source.bind(&socket)?;
    socket.set_nonblocking(true)?;
    // For a port of this very host, where the connection stands before `connect` returns: without
    // this its end would linger for a minute.
    socket.set_linger(Some(Duration::ZERO))?;
    match socket.connect(&address.into()) {
        Err(error) if !is_sent(&error) => Err(error),
        _ => Ok(()),
    }
}

/// One octet, as knock sends: some filters drop empty datagrams.
fn hit_udp(source: &Source, address: SocketAddr) -> io::Result<()> {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
    source.bind(&socket)?;
    socket.set_nonblocking(true)?;
    match socket.send_to(&[0], &address.into()) {
        Err(error) if error.kind() != io::ErrorKind::ConnectionRefused => Err(error),
        _ => Ok(()),
    }
}

/// True for what `connect` says when the SYN is out.
fn is_sent(error: &io::Error) -> bool {
    #[cfg(unix)]
    let under_way = error.raw_os_error() == Some(libc::EINPROGRESS);
    // WSAEWOULDBLOCK
    #[cfg(not(unix))]
    let under_way = error.kind() == io::ErrorKind::WouldBlock;
    under_way || error.kind() == io::ErrorKind::ConnectionRefused
}
