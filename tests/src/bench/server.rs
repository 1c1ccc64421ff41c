//! The server behind the guarded port: it echoes what it is told, or sends without end to who asks for that.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::thread::{self, JoinHandle};

use anyhow::Result;
use socket2::{Domain, Socket, Type};

use crate::kernel::stay_on_cpu;
use crate::lab::{Family, Host, SSH_PORT};

/// The first octet of who wants to be sent to.
pub const SEND: u8 = b'>';
/// Connections that may wait to be accepted, as many as a kernel allows by default.
const BACKLOG: i32 = 4096;

/// The guarded port.
#[must_use]
pub fn guarded() -> SocketAddr {
    port(SSH_PORT)
}

/// A port of the server.
#[must_use]
pub fn port(number: u16) -> SocketAddr {
    (Family::V4.address(Host::Server), number).into()
}

/// The server, until it is dropped.
pub struct Server {
    listener: Socket,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    /// Starts it on the server, and on one CPU if one is given by its number.
    ///
    /// # Errors
    ///
    /// If the port is taken.
    pub fn start(cpu: Option<usize>) -> Result<Self> {
        let listener = Host::Server.enter(|| {
            let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
            socket.set_reuse_address(true)?;
            socket.bind(&guarded().into())?;
            socket.listen(BACKLOG)?;
            Ok(socket)
        })?;
        let accepting: TcpListener = listener.try_clone()?.into();
        let accept = move || {
            if let Some(cpu) = cpu
                && let Err(error) = stay_on_cpu(cpu)
            {
                eprintln!("bench: {error:#}");
            }
            for stream in accepting.incoming() {
                match stream {
                    Ok(stream) => drop(thread::spawn(|| serve(stream))),
                    Err(error) if error.kind() == ErrorKind::InvalidInput => break,
                    // A client that has gone by now.
                    Err(_) => {}
                }
            }
        };
        Ok(Self { listener, thread: Some(thread::spawn(accept)) })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Wakes who accepts, with EINVAL.
        let _ = self.listener.shutdown(Shutdown::Both);
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

/// Until the client goes.
fn serve(mut stream: TcpStream) {
    let mut buffer = vec![0; 1 << 16];
    let _ = stream.set_nodelay(true);
    while let Ok(count @ 1..) = stream.read(&mut buffer) {
        if buffer[0] == SEND {
            while stream.write_all(&buffer).is_ok() {}
        } else if stream.write_all(&buffer[..count]).is_err() {
            break;
        }
    }
}
