//! A stream of connection attempts, for tests in which there must be no moment without a gate.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use socket2::{Domain, Socket, Type};

use super::Host;

/// Attempts under way at once.
const BATCH: usize = 16;
/// How long they stay; in the lab, an answer comes in less than a tenth of this.
const STAY: Duration = Duration::from_millis(2);

/// The stream: thousands of SYNs a second, until it is stopped or dropped.
pub struct Flood {
    thread: Option<JoinHandle<Result<Flooded>>>,
    stop: Arc<AtomicBool>,
}

/// What became of it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Flooded {
    /// SYNs sent.
    pub sent: u64,
    /// Connections that came about.
    pub opened: u64,
}

impl Flood {
    /// Starts one.
    #[must_use]
    pub fn start(from: Host, to: SocketAddr) -> Self {
        Self::paced(from, to, STAY)
    }

    /// Starts one that waits longer between two batches.
    #[must_use]
    pub fn paced(from: Host, to: SocketAddr, stay: Duration) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = thread::spawn(move || from.enter(|| flood(to, stay, &stopped)));
        Self { thread: Some(thread), stop }
    }

    /// Ends it.
    ///
    /// # Errors
    ///
    /// If there was no way to the address.
    pub fn stop(mut self) -> Result<Flooded> {
        self.join().unwrap_or_else(|| Err(anyhow!("stopped twice")))
    }

    fn join(&mut self) -> Option<Result<Flooded>> {
        self.stop.store(true, Ordering::Relaxed);
        let result = self.thread.take()?.join();
        Some(result.unwrap_or_else(|_| Err(anyhow!("the flood panicked"))))
    }
}

impl Drop for Flood {
    fn drop(&mut self) {
        // Its result is asked for by `stop`.
        let _ = self.join();
    }
}

fn flood(to: SocketAddr, stay: Duration, stop: &AtomicBool) -> Result<Flooded> {
    let mut flooded = Flooded::default();
    while !stop.load(Ordering::Relaxed) {
        let mut sockets = Vec::with_capacity(BATCH);
        for _ in 0..BATCH {
            let socket = Socket::new(Domain::for_address(to), Type::STREAM, None)?;
            socket.set_nonblocking(true)?;
            match socket.connect(&to.into()) {
                // A link that is down for a while.
                Err(error) if matches!(error.kind(), ErrorKind::NetworkUnreachable | ErrorKind::HostUnreachable) => {}
                Err(error) if error.raw_os_error() != Some(nix::libc::EINPROGRESS) => {
                    return Err(error).with_context(|| format!("cannot connect to {to}"));
                }
                _ => sockets.push(socket),
            }
        }
        thread::sleep(stay);
        flooded.sent += sockets.len() as u64;
        flooded.opened += sockets.iter().filter(|socket| socket.peer_addr().is_ok()).count() as u64;
    }
    Ok(flooded)
}

/// How many connections the stack of a host has accepted.
///
/// # Errors
///
/// If it does not count them.
pub fn accepted(host: Host) -> Result<u64> {
    count(host, "snmp", "Tcp:", "PassiveOpens")
}

/// How many SYN cookies the stack of a host has sent.
///
/// # Errors
///
/// If it does not count them.
pub fn cookies_sent(host: Host) -> Result<u64> {
    count(host, "netstat", "TcpExt:", "SyncookiesSent")
}

/// A count of a host's stack, from a table of `/proc/net`.
fn count(host: Host, table: &str, group: &str, name: &str) -> Result<u64> {
    host.enter(|| {
        let text = std::fs::read_to_string(format!("/proc/thread-self/net/{table}"))?;
        number(&text, group, name).with_context(|| format!("no {name} in /proc/net/{table}"))
    })
}

/// The number in a table of lines of names, each above a line of numbers.
fn number(table: &str, group: &str, name: &str) -> Option<u64> {
    let mut lines = table.lines().filter(|line| line.starts_with(group));
    let (names, numbers) = (lines.next()?, lines.next()?);
    let at = names.split_whitespace().position(|found| found == name)?;
    numbers.split_whitespace().nth(at)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_under_its_name_is_read() {
        let table = "Ip: Forwarding\nIp: 1\nTcp: RtoMin ActiveOpens PassiveOpens\nTcp: 200 7 11\n";
        assert_eq!(number(table, "Tcp:", "PassiveOpens"), Some(11));
        assert_eq!(number("Ip: PassiveOpens\nIp: 1\n", "Tcp:", "PassiveOpens"), None);
    }
}
