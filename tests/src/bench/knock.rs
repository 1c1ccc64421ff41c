//! A knock, and how long it takes to be let in behind it.

use std::collections::VecDeque;
use std::net::Ipv4Addr;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use knock_common::packet::Transport;
use nix::libc;
use socket2::Socket;

use super::{ground, server};

/// One packet of a knock.
#[derive(Clone, Debug)]
pub struct Packet {
    /// To which port.
    pub port: u16,
    /// As what: a SYN, or a datagram.
    pub transport: Transport,
    /// What is in the datagram.
    pub payload: Vec<u8>,
}

/// What opens a port, in its order.
#[derive(Clone, Debug)]
pub struct Knock(pub Vec<Packet>);

impl Knock {
    /// A sequence of ports.
    #[must_use]
    pub fn of(steps: &[(u16, Transport)]) -> Self {
        Self(steps.iter().map(|&(port, transport)| Packet { port, transport, payload: vec![0] }).collect())
    }

    /// Sends it from here as fast as it goes, and says when the last packet left: just before the system call.
    ///
    /// # Errors
    ///
    /// If it cannot be sent.
    pub fn send(&self, source: Ipv4Addr) -> Result<Instant> {
        let mut left = Instant::now();
        for Packet { port, transport, payload } in &self.0 {
            let to = server::port(*port).into();
            if *transport == Transport::Udp {
                let socket = ground::datagrams(source)?;
                left = Instant::now();
                socket.send_to(payload, &to)?;
            } else {
                let socket = ground::socket(source)?;
                left = Instant::now();
                start(&socket, &to)?;
            }
        }
        Ok(left)
    }
}

/// How an attempt to get in went.
#[derive(Clone, Copy, Debug)]
pub struct Reached {
    /// From when the last knock left until a connection stood.
    pub time: Duration,
    /// SYNs that were sent before the one that was answered.
    pub unanswered: u32,
}

/// A SYN each, from a socket of its own: the kernel sends the same again after a second only.
const PACE: Duration = Duration::from_micros(200);
/// How long the answer to the first is looked for without a pause.
const AT_ONCE: Duration = Duration::from_micros(300);
/// SYNs whose answers are waited for: whatever is older was dropped.
const YOUNG: usize = 32;

/// Connects until somebody answers, beginning at once.
///
/// # Errors
///
/// If nobody does within `patience`.
pub fn reach(source: Ipv4Addr, since: Instant, patience: Duration) -> Result<Reached> {
    let to = server::guarded().into();
    let mut tries: VecDeque<(u32, Socket)> = VecDeque::new();
    for number in 0.. {
        let socket = ground::socket(source)?;
        start(&socket, &to)?;
        tries.push_back((number, socket));
        let begun = Instant::now();
        loop {
            if let Some((unanswered, _)) = tries.iter().find(|(_, socket)| socket.peer_addr().is_ok()) {
                return Ok(Reached { time: since.elapsed(), unanswered: *unanswered });
            }
            if begun.elapsed() > if number == 0 { AT_ONCE } else { PACE } {
                break;
            }
            if number > 0 {
                thread::sleep(PACE / 2);
            }
        }
        if since.elapsed() > patience {
            break;
        }
        if tries.len() == YOUNG {
            tries.pop_front();
        }
    }
    bail!("not in within {patience:?}")
}

/// Sends a SYN, and waits for nothing.
///
/// # Errors
///
/// If there is no way to the address.
pub fn start(socket: &Socket, to: &socket2::SockAddr) -> Result<()> {
    socket.set_nonblocking(true)?;
    match socket.connect(to) {
        Err(error) if !matches!(error.raw_os_error(), Some(libc::EINPROGRESS | libc::ECONNREFUSED)) => {
            Err(error.into())
        }
        _ => Ok(()),
    }
}
