//! The ground: the lab with a server behind the guarded port, and thousands of clients.
//!
//! The clients are addresses for benchmarks (RFC 2544) of one host, which answers to all of a prefix. Those of
//! [`forged`] are nobody's: what is sent to them ends at the same host.

use std::cell::Cell;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::Duration;

use anyhow::Result;
use socket2::{Domain, Socket, Type};

use super::server::Server;
use crate::lab::{Host, Lab};

/// The lab and its server.
pub struct Ground {
    _server: Server,
    _lab: Lab,
    next: Cell<u16>,
}

impl Ground {
    /// Makes it; the server's work stays on the CPU with this number, if one is given.
    ///
    /// # Errors
    ///
    /// If the lab cannot be made.
    pub fn new(cpu: Option<usize>) -> Result<Self> {
        let lab = Lab::new()?;
        Host::Client.must(&["ip", "route", "add", "local", "198.18.0.0/16", "dev", "lo"])?;
        Host::Client.must(&["ip", "route", "add", "blackhole", "198.19.0.0/16"])?;
        Host::Server.must(&["ip", "route", "add", "198.18.0.0/15", "via", "192.0.2.2"])?;
        Ok(Self { _server: Server::start(cpu)?, _lab: lab, next: Cell::new(0) })
    }

    /// A client that was not there yet.
    #[must_use]
    pub fn source(&self) -> Ipv4Addr {
        let number = self.next.get().wrapping_add(1);
        self.next.set(number);
        client(number)
    }

    /// So many of them.
    #[must_use]
    pub fn sources(&self, count: usize) -> Vec<Ipv4Addr> {
        (0..count).map(|_| self.source()).collect()
    }
}

fn client(number: u16) -> Ipv4Addr {
    let [high, low] = number.to_be_bytes();
    Ipv4Addr::new(198, 18, high, low)
}

/// A source that is nobody's.
#[must_use]
pub fn forged(number: u16) -> Ipv4Addr {
    let [high, low] = number.to_be_bytes();
    Ipv4Addr::new(198, 19, high, low)
}

/// A socket for a connection from this client, which leaves nothing behind when it is closed.
///
/// # Errors
///
/// If this is not the clients' host.
pub fn socket(source: Ipv4Addr) -> Result<Socket> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    socket.set_linger(Some(Duration::ZERO))?;
    bound(socket, source)
}

/// A socket for datagrams from this client.
///
/// # Errors
///
/// As [`socket`].
pub fn datagrams(source: Ipv4Addr) -> Result<Socket> {
    bound(Socket::new(Domain::IPV4, Type::DGRAM, None)?, source)
}

fn bound(socket: Socket, source: Ipv4Addr) -> Result<Socket> {
    socket.bind(&SocketAddrV4::new(source, 0).into())?;
    Ok(socket)
}
