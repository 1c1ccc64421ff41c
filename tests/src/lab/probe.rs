//! One packet, or one connection, and what becomes of it.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, UdpSocket};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use super::{Host, TIMEOUT};

/// How long a probe waits for an answer. In the lab, one comes in less than a millisecond; and a SYN
/// that got none is sent again after a second: an answer within this time is one to the first SYN.
pub const PATIENCE: Duration = Duration::from_millis(300);
/// The same where more wants to run than there are CPUs: an answer may lie in a queue of the kernel for as long as others
/// have their turns. It still is one to the first SYN.
const LONG_PATIENCE: Duration = Duration::from_millis(900);

/// What a connection met.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Probe {
    /// A server.
    Open,
    /// A port on which nothing listens.
    Refused,
    /// No answer.
    Silent,
}

impl Probe {
    /// In a word.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Refused => "refused",
            Self::Silent => "silent",
        }
    }
}

/// Connects from a host; with the time that it took.
///
/// # Errors
///
/// If there is no way to the address.
pub fn connect(from: Host, to: SocketAddr, patience: Duration) -> Result<(Probe, Duration)> {
    from.enter(|| connect_here(to, patience))
}

/// Connects from a host, which must get through.
///
/// On a busy machine a first answer may come too late: then a connection is tried for as long as it takes.
///
/// # Errors
///
/// If there is no answer, or a refusal.
pub fn must_open(from: Host, to: SocketAddr) -> Result<()> {
    let was_busy = is_busy();
    let (mut probe, _) = connect(from, to, PATIENCE)?;
    if probe == Probe::Silent && (was_busy || is_busy()) {
        (probe, _) = connect(from, to, TIMEOUT)?;
    }
    ensure!(probe == Probe::Open, "{to} is {}, and not open", probe.name());
    Ok(())
}

/// The same as [`connect`] from where the thread is.
pub(crate) fn connect_here(to: SocketAddr, patience: Duration) -> Result<(Probe, Duration)> {
    let patience = if patience == PATIENCE && is_busy() { LONG_PATIENCE } else { patience };
    let start = Instant::now();
    let result = TcpStream::connect_timeout(&to, patience);
    let took = start.elapsed();
    let probe = match result {
        Ok(_) => Probe::Open,
        Err(error) => match error.kind() {
            io::ErrorKind::ConnectionRefused => Probe::Refused,
            io::ErrorKind::TimedOut => Probe::Silent,
            _ => return Err(error).with_context(|| format!("cannot connect to {to}")),
        },
    };
    Ok((probe, took))
}

/// True if threads wait for a CPU: by those that can run, in the fourth field of proc_loadavg(5).
fn is_busy() -> bool {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let running = text.split_whitespace().nth(3).and_then(|field| field.split('/').next()?.parse::<usize>().ok());
    let cpus = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    running.is_none_or(|running| running > cpus)
}

/// Sends a datagram to each of some ports, again and again, as fast as a host can.
///
/// # Errors
///
/// If there is no way to one of them.
pub fn send_many(from: Host, to: &[SocketAddr], times: usize) -> Result<()> {
    from.enter(|| {
        let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
        for to in to.iter().cycle().take(to.len() * times) {
            // A port that is closed says so at the next datagram.
            let _ = socket.send_to(&[], to).or_else(|_| socket.send_to(&[], to));
        }
        Ok(())
    })
}

/// Sends a datagram from a host.
///
/// # Errors
///
/// If there is no way to the address.
pub fn send_udp(from: Host, to: SocketAddr, data: &[u8]) -> Result<()> {
    from.enter(|| {
        let any: IpAddr = if to.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
        let socket = UdpSocket::bind((any, 0))?;
        socket.send_to(data, to).with_context(|| format!("cannot send to {to}"))?;
        Ok(())
    })
}
