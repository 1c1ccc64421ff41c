//! Volley from a host to the server, as fast as they can be sent, from whatever sources they say.

use std::io::Error;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::AsRawFd as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow};
use knock_common::packet::Transport;
use knock_common::packet::flags::TcpFlags;
use nix::libc;
use socket2::Socket;

use super::wire::{mac, sender};
use super::{Family, Host, SERVER_INTERFACES};
use crate::packet::PacketBuilder;

/// Volley that are handed to the kernel at once, fewer than a veth has room for.
const AT_ONCE: usize = 64;
/// The source port of them all.
const FROM: u16 = 40_000;

/// A stream of frames, until it is stopped or dropped.
pub struct Barrage {
    thread: Option<JoinHandle<Result<u64>>>,
    stop: Arc<AtomicBool>,
}

impl Barrage {
    /// Sends these frames from a host in turn, again and again.
    #[must_use]
    pub fn start(from: Host, frames: Volley) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let send = move || {
            from.enter(|| {
                let socket = sender()?;
                let mut sent = 0;
                while !stopped.load(Ordering::Relaxed) {
                    for frames in frames.0.chunks(AT_ONCE).take_while(|_| !stopped.load(Ordering::Relaxed)) {
                        sent += send(&socket, frames)?;
                    }
                }
                Ok(sent)
            })
        };
        Self { thread: Some(thread::spawn(send)), stop }
    }

    /// Ends it, and says how many frames were sent.
    ///
    /// # Errors
    ///
    /// If they could not be sent.
    pub fn stop(mut self) -> Result<u64> {
        self.join().unwrap_or_else(|| Err(anyhow!("stopped twice")))
    }

    fn join(&mut self) -> Option<Result<u64>> {
        self.stop.store(true, Ordering::Relaxed);
        let result = self.thread.take()?.join();
        Some(result.unwrap_or_else(|_| Err(anyhow!("the sender panicked"))))
    }
}

impl Drop for Barrage {
    fn drop(&mut self) {
        // Its result is asked for by `stop`.
        let _ = self.join();
    }
}

/// Volley with the addresses of a wire.
pub struct Volley(Vec<Vec<u8>>);

impl Volley {
    /// Knocks, or other packets that open a flow, in this order: from a forged source each, to a port of the server.
    ///
    /// # Errors
    ///
    /// If the interfaces of the wire have no addresses.
    pub fn forged(from: Host, packets: impl Iterator<Item = (u32, (u16, Transport))>) -> Result<Self> {
        let frame = |(number, (port, transport))| {
            let source = forged(number);
            let family = if source.is_ipv4() { Family::V4 } else { Family::V6 };
            let to = family.address(Host::Server);
            let packet = PacketBuilder::between(source, to);
            let packet = match transport {
                Transport::Udp => packet.udp(FROM, port),
                Transport::Tcp => packet.tcp(FROM, port, TcpFlags::SYN),
            };
            packet.build()
        };
        Self::of(from, packets.map(frame))
    }

    /// Any frames, from the MAC of a host to the server's.
    ///
    /// # Errors
    ///
    /// If the interfaces of the wire have no addresses.
    pub fn of(from: Host, frames: impl Iterator<Item = Vec<u8>>) -> Result<Self> {
        let interface = SERVER_INTERFACES[usize::from(from == Host::Stranger)];
        let (server, own) = (mac(Host::Server, interface)?, mac(from, "eth0")?);
        let addressed = |mut frame: Vec<u8>| {
            frame[..6].copy_from_slice(&server);
            frame[6..12].copy_from_slice(&own);
            frame
        };
        Ok(Self(frames.map(addressed).collect()))
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// Sends each of them once, from where the thread is.
    ///
    /// # Errors
    ///
    /// If they cannot be sent.
    pub fn send_here(&self) -> Result<()> {
        self.send_by(&Outlet::here()?)
    }

    /// Sends each of them once.
    ///
    /// # Errors
    ///
    /// If they cannot be sent.
    pub fn send_by(&self, outlet: &Outlet) -> Result<()> {
        self.send_spaced(outlet, Duration::ZERO)
    }

    /// The same with a pause behind every few, in which the other end of a veth can take them: one whose work was left
    /// to ksoftirqd loses what comes meanwhile.
    ///
    /// # Errors
    ///
    /// If they cannot be sent.
    pub fn send_spaced(&self, outlet: &Outlet, pause: Duration) -> Result<()> {
        self.0.chunks(AT_ONCE).try_for_each(|frames| {
            send(&outlet.0, frames)?;
            if !pause.is_zero() {
                thread::sleep(pause);
            }
            Ok(())
        })
    }

    /// Sends them in turn from where the thread is, `rate` a second, or as many as go out, until it is told to stop.
    /// How many it were.
    ///
    /// # Errors
    ///
    /// If they cannot be sent.
    pub fn pace_here(&self, rate: f64, stop: &AtomicBool) -> Result<u64> {
        /// Between two bursts.
        const BEAT: Duration = Duration::from_millis(1);
        let socket = sender()?;
        let mut frames = self.0.chunks(AT_ONCE).cycle();
        let (mut sent, mut last, mut ahead) = (0, Instant::now(), 0.0);
        while !stop.load(Ordering::Relaxed) {
            // Of what could not be sent in time, one burst is made up for.
            let due = rate * last.elapsed().min(2 * BEAT).as_secs_f64() - ahead;
            last = Instant::now();
            let before = sent;
            while ((sent - before) as f64) < due {
                sent += send(&socket, frames.next().context("no frames")?)?;
            }
            ahead = (sent - before) as f64 - due;
            thread::sleep(BEAT);
        }
        Ok(sent)
    }
}

/// Where frames go out. To close it takes the kernel milliseconds.
pub struct Outlet(Socket);

impl Outlet {
    /// That of the host on which the thread is.
    ///
    /// # Errors
    ///
    /// If it has none.
    pub fn here() -> Result<Self> {
        sender().map(Self)
    }
}

/// A source that is not there, of which the server knows no way back: of the addresses for benchmarks (RFC 2544) or
/// of those for documentation.
#[must_use]
pub fn forged(number: u32) -> IpAddr {
    if number.is_multiple_of(2) {
        Ipv4Addr::from(0xc612_0000 + (number & 0x1_ffff)).into()
    } else {
        Ipv6Addr::from(0x2001_0db8_00bb_0000_0000_0000_0000_0000 + u128::from(number)).into()
    }
}

/// Sends some frames with one system call; how many.
fn send(socket: &Socket, frames: &[Vec<u8>]) -> Result<u64> {
    let mut parts: Vec<libc::iovec> = frames
        .iter()
        .map(|frame| libc::iovec { iov_base: frame.as_ptr().cast_mut().cast(), iov_len: frame.len() })
        .collect();
    let mut messages: Vec<libc::mmsghdr> = parts
        .iter_mut()
        .map(|part| {
            // SAFETY: all zeroes are a header of nothing.
            let mut message: libc::mmsghdr = unsafe { std::mem::zeroed() };
            message.msg_hdr.msg_iov = part;
            message.msg_hdr.msg_iovlen = 1;
            message
        })
        .collect();
    let mut sent = 0;
    while sent < messages.len() {
        let rest = &mut messages[sent..];
        // SAFETY: every header is of one part, which is a frame that is only read; all outlive the call.
        let done = unsafe { libc::sendmmsg(socket.as_raw_fd(), rest.as_mut_ptr(), rest.len() as u32, 0) };
        match usize::try_from(done) {
            Ok(done) => sent += done,
            // What finds no room is lost on the way, as on any wire.
            Err(_) if Error::last_os_error().raw_os_error() == Some(libc::ENOBUFS) => sent += 1,
            Err(_) => return Err(Error::last_os_error()).context("frames cannot be sent"),
        }
    }
    Ok(sent as u64)
}
