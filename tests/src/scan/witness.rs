//! Sees every frame that the server's stack sends, and keeps those from protected ports: whoever gets one has
//! reached what the gate is to hide, whatever his tool made of it.
//!
//! What the gate answers itself goes back before the stack, and is not seen here.

use std::collections::BTreeMap;
use std::io::{ErrorKind, Read as _};
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::Result;
use nix::libc;
use socket2::{Domain, Protocol, Socket, Type};

use super::ports::Ports;
use super::row::Transport;
use crate::fuzz::reading::{self, Segment};
use crate::lab::{Family, Host};
use crate::model::Protocol as Kind;

/// Frames by whom they are to and what they are.
pub type Seen = BTreeMap<(IpAddr, String), u64>;

/// Watches until it is dropped.
pub struct Witness {
    seen: Arc<Mutex<Seen>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Witness {
    /// Begins.
    ///
    /// # Errors
    ///
    /// If the kernel does not let it.
    pub fn start() -> Result<Self> {
        let all = i32::from((libc::ETH_P_ALL as u16).to_be());
        let mut socket =
            Host::Server.enter(|| Ok(Socket::new(Domain::PACKET, Type::RAW, Some(Protocol::from(all)))?))?;
        socket.set_read_timeout(Some(Duration::from_millis(50)))?;
        // Room for what comes while this thread waits for a CPU.
        socket.set_recv_buffer_size(4 << 20)?;
        let (seen, stop) = (Arc::new(Mutex::new(Seen::new())), Arc::new(AtomicBool::new(false)));
        let (noted, stopped) = (Arc::clone(&seen), Arc::clone(&stop));
        let thread = thread::spawn(move || {
            let mut frame = vec![0; 1 << 16];
            while !stopped.load(Relaxed) {
                match socket.read(&mut frame) {
                    Ok(length) => {
                        if let Some(what) = from_protected(&frame[..length]) {
                            *noted.lock().unwrap_or_else(PoisonError::into_inner).entry(what).or_default() += 1;
                        }
                    }
                    Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
                    Err(_) => break,
                }
            }
        });
        Ok(Self { seen, stop, thread: Some(thread) })
    }

    /// What was seen so far. The socket hands over what was sent in some milliseconds.
    #[must_use]
    pub fn seen(&self) -> Seen {
        thread::sleep(Duration::from_millis(200));
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for Witness {
    fn drop(&mut self) {
        self.stop.store(true, Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// To whom a frame is, and what, if a protected port of the server sends it.
fn from_protected(frame: &[u8]) -> Option<(IpAddr, String)> {
    let Segment { source, from, dest, to, flags, .. } = reading::read(frame)?;
    let transport = if to.1 == Kind::Tcp { Transport::Tcp } else { Transport::Udp };
    let is_server = Family::ALL.iter().any(|family| family.address(Host::Server) == source);
    if !is_server || dest == source || from != Ports::of(transport).protected {
        return None;
    }
    Some((dest, format!("{from}/{transport:?} with flags {:#04x}", flags.unwrap_or_default()).to_lowercase()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packet::{ACK, PacketBuilder, SYN};

    #[test]
    fn what_a_protected_port_sends_is_seen() {
        let (server, client) = (Family::V4.address(Host::Server), Family::V4.address(Host::Client));
        let answer = PacketBuilder::between(server, client).tcp(2222, 40_000, SYN | ACK).build();
        assert_eq!(from_protected(&answer), Some((client, "2222/tcp with flags 0x12".into())));
        let other = PacketBuilder::between(server, client).tcp(2080, 40_000, SYN | ACK).build();
        assert_eq!(from_protected(&other), None);
        let asked = PacketBuilder::between(client, server).tcp(2222, 2222, SYN).build();
        assert_eq!(from_protected(&asked), None);
    }
}
