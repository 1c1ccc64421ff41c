//! Standard input and output as the two ends of a connection.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::thread;

use anyhow::{Context as _, Result, anyhow};

use crate::exit::Exit;

const CHUNK: usize = 64 * 1024;

/// Why copying ended before its source did.
enum Broken {
    Reading(io::Error),
    Writing(io::Error),
}

/// Passes octets both ways until both sides have said that they are done. The end of one direction is
/// passed on and leaves the other open.
///
/// # Errors
///
/// If the connection breaks, or standard input cannot be read.
pub(super) fn pipe(stream: &TcpStream) -> Result<Exit> {
    let name = stream.peer_addr().map_or_else(|_| "the connection".to_owned(), |address| address.to_string());
    // ssh would ask for both, but has no socket here. Errors only make it slower, or break later.
    let _ = stream.set_nodelay(true);
    let _ = socket2::SockRef::from(stream).set_keepalive(true);

    let ours = stream.try_clone().context("knock: the connection")?;
    let upward = thread::spawn(move || {
        let copied = copy(&mut io::stdin().lock(), &mut &ours);
        // An error means that the other side is gone, which reading tells too.
        let _ = ours.shutdown(Shutdown::Write);
        copied
    });
    let mut output = Output::take().context("knock: standard output")?;
    match copy(&mut &*stream, &mut output) {
        Ok(()) => {}
        Err(Broken::Reading(error)) => return Err(anyhow!(error).context(format!("knock: {name}"))),
        // Nobody reads any more: the user has had enough.
        Err(Broken::Writing(error)) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(Exit::Done),
        Err(Broken::Writing(error)) => return Err(anyhow!(error).context("knock: standard output")),
    }
    output.end().context("knock: standard output")?;
    match upward.join() {
        // The other side has closed, and wants no more.
        Ok(Ok(()) | Err(Broken::Writing(_))) => Ok(Exit::Done),
        Ok(Err(Broken::Reading(error))) => Err(anyhow!(error).context("knock: standard input")),
        Err(panic) => std::panic::resume_unwind(panic),
    }
}

fn copy(from: &mut impl Read, to: &mut impl Write) -> Result<(), Broken> {
    let mut chunk = vec![0; CHUNK];
    loop {
        let length = match from.read(&mut chunk) {
            Ok(0) => return Ok(()),
            Ok(length) => length,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(Broken::Reading(error)),
        };
        to.write_all(&chunk[..length]).and_then(|()| to.flush()).map_err(Broken::Writing)?;
    }
}

/// Standard output, which can be closed while the process goes on.
#[cfg(unix)]
struct Output(std::fs::File);

#[cfg(unix)]
impl Output {
    fn take() -> io::Result<Self> {
        Ok(Self(rustix::stdio::stdout().try_clone_to_owned()?.into()))
    }

    /// Whoever reads sees the end now.
    fn end(self) -> io::Result<()> {
        let nothing = std::fs::File::options().write(true).open("/dev/null")?;
        Ok(rustix::stdio::dup2_stdout(&nothing)?)
    }
}

#[cfg(unix)]
impl Write for Output {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        self.0.write(octets)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// Standard output, which ends with the process only.
#[cfg(not(unix))]
struct Output(io::Stdout);

#[cfg(not(unix))]
impl Output {
    fn take() -> io::Result<Self> {
        Ok(Self(io::stdout()))
    }

    fn end(mut self) -> io::Result<()> {
        self.0.flush()?;
        // The reader could wait for ever for an end that the process would bring.
        std::process::exit(0)
    }
}

#[cfg(not(unix))]
impl Write for Output {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        self.0.write(octets)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}
