//! Servers that send back whatever they get, and a client's line to one.

use std::io::{ErrorKind, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail, ensure};
use socket2::{Domain, Socket, Type};

use super::{Host, PATIENCE, TIMEOUT};

/// How often a server looks whether it is to end.
const LOOK: Duration = Duration::from_millis(50);
/// Connections that wait to be accepted.
const BACKLOG: i32 = 128;

/// A server on all addresses of a host, both families, until it is dropped.
pub struct Echo {
    thread: Option<JoinHandle<()>>,
    stop: Arc<AtomicBool>,
}

impl Echo {
    /// Sends every connection what it says.
    ///
    /// # Errors
    ///
    /// If the port is not to be had.
    pub fn tcp(host: Host, port: u16) -> Result<Self> {
        Self::tcp_with_backlog(host, port, BACKLOG)
    }

    /// The same with room for `backlog` connections that are not accepted yet, half-open ones counted on their own.
    ///
    /// # Errors
    ///
    /// If the port is not to be had.
    pub fn tcp_with_backlog(host: Host, port: u16, backlog: i32) -> Result<Self> {
        let socket = bound(host, Type::STREAM, port)?;
        socket.listen(backlog)?;
        socket.set_nonblocking(true)?;
        let listener = TcpListener::from(socket);
        Ok(Self::serve(move |stop| {
            let mut lines = Vec::new();
            while !stop.load(Ordering::Relaxed) {
                match listener.accept() {
                    Ok((stream, _)) => {
                        let stop = Arc::clone(stop);
                        lines.push(thread::spawn(move || repeat(stream, &stop)));
                    }
                    Err(_) => thread::sleep(LOOK / 10),
                }
            }
            // Each of them looks too.
            lines.into_iter().for_each(|line| drop(line.join()));
        }))
    }

    /// Sends every datagram back where it came from, from one socket that is connected to nobody.
    ///
    /// # Errors
    ///
    /// If the port is not to be had.
    pub fn udp(host: Host, port: u16) -> Result<Self> {
        Self::udp_with(host, port, |_| {})
    }

    /// The same with something done to each datagram first.
    ///
    /// # Errors
    ///
    /// If the port is not to be had.
    pub fn udp_with(host: Host, port: u16, change: impl Fn(&mut [u8]) + Send + 'static) -> Result<Self> {
        let socket = UdpSocket::from(bound(host, Type::DGRAM, port)?);
        socket.set_read_timeout(Some(LOOK))?;
        Ok(Self::serve(move |stop| {
            let mut datagram = [0; 2048];
            while !stop.load(Ordering::Relaxed) {
                if let Ok((length, from)) = socket.recv_from(&mut datagram) {
                    change(&mut datagram[..length]);
                    // Who asked may be gone by now.
                    let _ = socket.send_to(&datagram[..length], from);
                }
            }
        }))
    }

    fn serve(work: impl FnOnce(&Arc<AtomicBool>) + Send + 'static) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        Self { thread: Some(thread::spawn(move || work(&stopped))), stop }
    }
}

impl Drop for Echo {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        // A panic of the server has shown in what it did not answer.
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

/// Sends back what comes until the other end has no more, or the server is to end.
fn repeat(mut stream: TcpStream, stop: &AtomicBool) {
    let mut octets = [0; 16 << 10];
    if stream.set_nonblocking(false).is_err() || stream.set_read_timeout(Some(LOOK)).is_err() {
        return;
    }
    while !stop.load(Ordering::Relaxed) {
        match stream.read(&mut octets) {
            Ok(0) => return,
            Ok(length) if stream.write_all(&octets[..length]).is_ok() => {}
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
            _ => return,
        }
    }
}

/// A socket of a host on a port of all its addresses.
fn bound(host: Host, kind: Type, port: u16) -> Result<Socket> {
    host.enter(|| {
        let socket = Socket::new(Domain::IPV6, kind, None)?;
        socket.set_only_v6(false)?;
        socket.set_reuse_address(kind == Type::STREAM)?;
        let address = SocketAddr::from((Ipv6Addr::UNSPECIFIED, port));
        socket.bind(&address.into()).with_context(|| format!("port {port} of {}", host.name()))?;
        Ok(socket)
    })
}

/// A client's line to an [`Echo`].
pub struct Line {
    socket: Kind,
    said: u64,
}

enum Kind {
    Tcp(TcpStream),
    Udp(UdpSocket),
}

impl Line {
    /// Connects from a host; it has not said anything yet.
    ///
    /// # Errors
    ///
    /// If nobody takes the connection.
    pub fn tcp(from: Host, to: SocketAddr) -> Result<Self> {
        Self::tcp_from(from, 0, to)
    }

    /// The same from a port of the host; 0 is any.
    ///
    /// # Errors
    ///
    /// If nobody takes the connection.
    pub fn tcp_from(from: Host, port: u16, to: SocketAddr) -> Result<Self> {
        Self::tcp_within(from, port, to, TIMEOUT).with_context(|| format!("no connection to {to}"))
    }

    /// The same within some time.
    ///
    /// # Errors
    ///
    /// If nobody takes the connection in time.
    pub fn tcp_within(from: Host, port: u16, to: SocketAddr, patience: Duration) -> Result<Self> {
        let stream = from.enter(|| {
            let socket = own(to, Type::STREAM, port)?;
            socket.connect_timeout(&to.into(), patience)?;
            Ok(TcpStream::from(socket))
        })?;
        stream.set_nodelay(true)?;
        Ok(Self { socket: Kind::Tcp(stream), said: 0 })
    }

    /// A socket on a port of a host, connected to where its datagrams go; 0 is any port.
    ///
    /// # Errors
    ///
    /// If the port is not to be had, or there is no way to the address.
    pub fn udp_from(from: Host, port: u16, to: SocketAddr) -> Result<Self> {
        let socket = from.enter(|| {
            let socket = own(to, Type::DGRAM, port)?;
            socket.connect(&to.into()).with_context(|| format!("no way to {to}"))?;
            Ok(UdpSocket::from(socket))
        })?;
        socket.set_read_timeout(Some(PATIENCE))?;
        Ok(Self { socket: Kind::Udp(socket), said: 0 })
    }

    /// Says something, and waits until it comes back.
    ///
    /// # Errors
    ///
    /// If it does not. A line that has fallen silent is lost, and not late.
    pub fn echo(&mut self) -> Result<()> {
        if let Kind::Tcp(_) = self.socket {
            return self.repeat();
        }
        let start = Instant::now();
        while !self.asks()? {
            ensure!(start.elapsed() < TIMEOUT / 3, "the line is silent: no datagram comes back");
        }
        Ok(())
    }

    /// Whether something that is said once comes back soon. A connection that was asked in vain is of no more use.
    ///
    /// # Errors
    ///
    /// If the host cannot send, or what comes back is something else.
    pub fn asks(&mut self) -> Result<bool> {
        let text = self.next();
        let mut heard = [0; 2048];
        match &mut self.socket {
            Kind::Tcp(stream) => {
                stream.set_read_timeout(Some(PATIENCE))?;
                let heard = &mut heard[..text.len()];
                let result = stream.write_all(text.as_bytes()).and_then(|()| stream.read_exact(heard));
                ensure!(result.is_err() || heard == text.as_bytes(), "{:?} comes back", String::from_utf8_lossy(heard));
                Ok(result.is_ok())
            }
            Kind::Udp(socket) => {
                // A port that is closed says so at the next datagram.
                socket.send(text.as_bytes()).or_else(|_| socket.send(text.as_bytes()))?;
                loop {
                    match socket.recv(&mut heard) {
                        Ok(length) if heard[..length] == *text.as_bytes() => return Ok(true),
                        // Late, to what was said before.
                        Ok(length) if heard.starts_with(SAID.as_bytes()) && length > SAID.len() => {}
                        Ok(length) => bail!("{:?} comes back", String::from_utf8_lossy(&heard[..length])),
                        Err(_) => return Ok(false),
                    }
                }
            }
        }
    }

    /// Ends a connection with a reset, so that its port is free at once.
    ///
    /// # Errors
    ///
    /// If the kernel does not let it.
    pub fn reset(self) -> Result<()> {
        let Kind::Tcp(stream) = self.socket else { bail!("only a connection can be reset") };
        Ok(Socket::from(stream).set_linger(Some(Duration::ZERO))?)
    }

    /// Waits for the reset of the connection.
    ///
    /// # Errors
    ///
    /// If it goes on, or ends in another way.
    pub fn wait_for_reset(mut self) -> Result<()> {
        let Kind::Tcp(stream) = &mut self.socket else { bail!("only a connection can be reset") };
        stream.set_read_timeout(Some(TIMEOUT / 3))?;
        match stream.read(&mut [0; 1]) {
            Err(error) if error.kind() == ErrorKind::ConnectionReset => Ok(()),
            other => bail!("no reset, but {other:?}"),
        }
    }

    /// More than a segment, through the connection and back.
    fn repeat(&mut self) -> Result<()> {
        let text = self.next().repeat(200);
        let Kind::Tcp(stream) = &mut self.socket else { bail!("a connection") };
        stream.set_read_timeout(Some(TIMEOUT))?;
        let mut heard = vec![0; text.len()];
        let result = stream.write_all(text.as_bytes()).and_then(|()| stream.read_exact(&mut heard));
        result.map_err(|error| anyhow!("the line is silent: {error}"))?;
        ensure!(heard == text.as_bytes(), "{:?} comes back", String::from_utf8_lossy(&heard));
        Ok(())
    }

    fn next(&mut self) -> String {
        self.said += 1;
        format!("{SAID} {}\n", self.said)
    }
}

/// How all that is said begins.
const SAID: &str = "line";

/// A socket on a port of all own addresses of a family; the other family's are left to others.
fn own(to: SocketAddr, kind: Type, port: u16) -> Result<Socket> {
    let socket = Socket::new(Domain::for_address(to), kind, None)?;
    let any: IpAddr = if to.is_ipv4() {
        Ipv4Addr::UNSPECIFIED.into()
    } else {
        socket.set_only_v6(true)?;
        Ipv6Addr::UNSPECIFIED.into()
    };
    // Its last connection may not be forgotten yet.
    socket.set_reuse_address(kind == Type::STREAM)?;
    socket.bind(&SocketAddr::new(any, port).into())?;
    Ok(socket)
}
