//! The sockets that a test speaks of, made for real in the network namespace of this thread.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::mem::size_of_val;
use std::net::{Ipv6Addr, SocketAddr};
use std::os::fd::AsRawFd as _;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use nix::libc;
use socket2::{Domain, Socket, Type};

use crate::history::Flow;
use crate::model::{Port, Protocol, Sockets};

/// How long a port may stay in use.
const PATIENCE: Duration = Duration::from_secs(2);

/// Listening sockets and connections.
#[derive(Debug, Default)]
pub struct RealSockets {
    listening: BTreeMap<Port, Socket>,
    connections: BTreeMap<Flow, Socket>,
    questions: BTreeMap<Flow, Socket>,
}

impl RealSockets {
    /// Makes what is missing and closes what is too many.
    ///
    /// # Errors
    ///
    /// If the kernel makes one not.
    pub fn become_like(&mut self, wanted: &Sockets) -> Result<()> {
        self.listen(&wanted.listening)?;
        follow(&mut self.connections, &wanted.connections, established)?;
        follow(&mut self.questions, &wanted.questions, asking)
    }

    fn listen(&mut self, wanted: &BTreeSet<Port>) -> Result<()> {
        self.listening.retain(|port, _| wanted.contains(port));
        for port in wanted {
            if !self.listening.contains_key(port) {
                let socket = patiently(|| listener(*port)).with_context(|| format!("cannot listen on {port}"))?;
                self.listening.insert(*port, socket);
            }
        }
        Ok(())
    }
}

fn follow(
    sockets: &mut BTreeMap<Flow, Socket>,
    wanted: &BTreeSet<Flow>,
    make: impl Fn(&Flow) -> Result<Socket>,
) -> Result<()> {
    sockets.retain(|flow, _| wanted.contains(flow));
    for flow in wanted {
        if !sockets.contains_key(flow) {
            let socket = make(flow).with_context(|| format!("no connection {flow:?}"))?;
            sockets.insert(*flow, socket);
        }
    }
    Ok(())
}

/// A program that another thread is just starting may hold, for a moment, a socket that was closed.
fn patiently<T>(bind: impl Fn() -> io::Result<T>) -> io::Result<T> {
    let begun = Instant::now();
    loop {
        match bind() {
            Err(error) if error.kind() == io::ErrorKind::AddrInUse && begun.elapsed() < PATIENCE => {
                thread::sleep(Duration::from_millis(1));
            }
            result => return result,
        }
    }
}

/// A socket on every address of both families.
fn listener(Port(number, protocol): Port) -> io::Result<Socket> {
    let tcp = protocol == Protocol::Tcp;
    let socket = Socket::new(Domain::IPV6, if tcp { Type::STREAM } else { Type::DGRAM }, None)?;
    socket.set_only_v6(false)?;
    // For UDP, so that a connected socket may have the port as well.
    socket.set_reuse_address(true)?;
    socket.bind(&SocketAddr::from((Ipv6Addr::UNSPECIFIED, number)).into())?;
    if tcp {
        socket.listen(16)?;
    }
    Ok(socket)
}

/// A connection that the kernel takes for established, with nobody at the other end (`TCP_REPAIR`,
/// by which connections are restored after a move).
fn established(&(source, from, dest, to): &Flow) -> Result<Socket> {
    let socket = Socket::new(Domain::for_address((dest, to).into()), Type::STREAM, None)?;
    set_tcp_option(&socket, libc::TCP_REPAIR, 1).context("TCP_REPAIR")?;
    socket.bind(&SocketAddr::from((dest, to)).into()).context("bind")?;
    socket.connect(&SocketAddr::from((source, from)).into()).context("connect")?;
    Ok(socket)
}

/// A UDP socket that is connected, as that of somebody who awaits an answer.
fn asking(&(source, from, dest, to): &Flow) -> Result<Socket> {
    let socket = Socket::new(Domain::for_address((dest, to).into()), Type::DGRAM, None)?;
    socket.set_reuse_address(true)?;
    socket.bind(&SocketAddr::from((dest, to)).into()).context("bind")?;
    socket.connect(&SocketAddr::from((source, from)).into()).context("connect")?;
    Ok(socket)
}

/// `TCP_DEFER_ACCEPT`.
pub const DEFER_ACCEPT: libc::c_int = libc::TCP_DEFER_ACCEPT;

/// Sets an option of TCP that is a number.
///
/// # Errors
///
/// If the kernel does not.
pub fn set_tcp_option(socket: &Socket, option: libc::c_int, value: libc::c_int) -> io::Result<()> {
    let length = size_of_val(&value) as libc::socklen_t;
    // SAFETY: the value is an int of that length.
    let result =
        unsafe { libc::setsockopt(socket.as_raw_fd(), libc::IPPROTO_TCP, option, (&raw const value).cast(), length) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
