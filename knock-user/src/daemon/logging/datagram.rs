//! What syslog and the journal have in common: a local datagram socket of somebody who may be late,
//! slow, or gone for a while. No line waits for it.
//!
//! Ours and not a crate's: those that there are for these two protocols wait for the other side, or do not
//! come back after it was restarted.

use std::io;
use std::os::unix::net::UnixDatagram;
use std::path::Path;

use log::Level;

use super::line::LogLine;
use super::stderr::Stderr;

/// A protocol: where its socket is, and how it says a line.
pub(super) trait Protocol {
    /// Its name for people.
    const NAME: &'static str;
    fn path(&self) -> &Path;
    fn datagram(&self, line: &LogLine<'_>) -> Vec<u8>;
}

/// The other side.
pub(super) struct Remote<P> {
    protocol: P,
    socket: Option<UnixDatagram>,
    /// It was not there, and standard error has been told.
    missing: bool,
    lost: u64,
}

enum Outcome {
    Sent,
    /// It is there, but does not take more now.
    Full,
    Missing(io::Error),
}

impl<P: Protocol> Remote<P> {
    pub(super) fn new(protocol: P) -> Self {
        Self { protocol, socket: None, missing: false, lost: 0 }
    }

    /// Sends a line; to standard error while nobody is there.
    pub(super) fn write(&mut self, line: &LogLine<'_>) {
        self.tell_lost();
        let name = P::NAME;
        match self.send(line) {
            Outcome::Sent if self.missing => {
                self.missing = false;
                Stderr::new().write(&LogLine::plain(Level::Info, &format!("{name} is there: the log goes on there")));
            }
            Outcome::Sent => {}
            Outcome::Full => self.lost += 1,
            Outcome::Missing(error) => {
                let stderr = Stderr::new();
                if !self.missing {
                    self.missing = true;
                    let path = self.protocol.path().display();
                    let text = format!("{path}: {error}: no {name}: logging to standard error until it is there");
                    stderr.write(&LogLine::plain(Level::Warn, &text));
                }
                stderr.write(line);
            }
        }
    }

    /// Says how many lines were lost, if the other side takes that.
    pub(super) fn tell_lost(&mut self) {
        if self.lost > 0 {
            let text = format!("{} lines are lost: {} did not take them in time", self.lost, P::NAME);
            if matches!(self.send(&LogLine::plain(Level::Warn, &text)), Outcome::Sent) {
                self.lost = 0;
            }
        }
    }

    fn send(&mut self, line: &LogLine<'_>) -> Outcome {
        let datagram = self.protocol.datagram(line);
        // The socket of one that was restarted is another one.
        let first = self.try_send(&datagram);
        if matches!(first, Outcome::Missing(_)) { self.try_send(&datagram) } else { first }
    }

    fn try_send(&mut self, datagram: &[u8]) -> Outcome {
        let socket = match self.socket.take().map_or_else(|| connect(self.protocol.path()), Ok) {
            Ok(socket) => socket,
            Err(error) => return Outcome::Missing(error),
        };
        let outcome = match socket.send(datagram) {
            Ok(_) => Outcome::Sent,
            Err(error) if is_full(&error) => Outcome::Full,
            Err(error) => return Outcome::Missing(error),
        };
        self.socket = Some(socket);
        outcome
    }
}

fn connect(path: &Path) -> io::Result<UnixDatagram> {
    let socket = UnixDatagram::unbound()?;
    socket.set_nonblocking(true)?;
    socket.connect(path)?;
    Ok(socket)
}

/// No room in its queue, or in this socket for a line of that length.
fn is_full(error: &io::Error) -> bool {
    let code = error.raw_os_error();
    error.kind() == io::ErrorKind::WouldBlock || code == Some(libc::ENOBUFS) || code == Some(libc::EMSGSIZE)
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    struct Plain(PathBuf);

    impl Protocol for Plain {
        const NAME: &'static str = "test";

        fn path(&self) -> &Path {
            &self.0
        }

        fn datagram(&self, line: &LogLine<'_>) -> Vec<u8> {
            line.text.as_bytes().to_vec()
        }
    }

    fn listen(path: &Path) -> UnixDatagram {
        let _ = std::fs::remove_file(path);
        let socket = UnixDatagram::bind(path).unwrap();
        socket.set_nonblocking(true).unwrap();
        socket
    }

    fn receive(socket: &UnixDatagram) -> Option<String> {
        let mut buffer = [0; 2000];
        let length = socket.recv(&mut buffer).ok()?;
        Some(String::from_utf8_lossy(&buffer[..length]).into_owned())
    }

    #[test]
    fn one_that_is_late_or_restarted_gets_the_next_line() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("log");
        let mut remote = Remote::new(Plain(path.clone()));
        let mut write = |text| remote.write(&LogLine::plain(Level::Info, text));
        write("nobody");
        let first = listen(&path);
        write("one");
        assert_eq!(receive(&first).as_deref(), Some("one"));
        let second = listen(&path);
        drop(first);
        write("two");
        assert_eq!(receive(&second).as_deref(), Some("two"));
        assert_eq!(receive(&second), None);
    }

    #[test]
    fn one_that_does_not_read_keeps_nobody_waiting_and_learns_what_was_lost() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("log");
        let slow = listen(&path);
        let mut remote = Remote::new(Plain(path));
        let (text, sent) = ("x".repeat(1000), 5000);
        (0..sent).for_each(|_| remote.write(&LogLine::plain(Level::Info, &text)));
        let received = std::iter::from_fn(|| receive(&slow)).count();
        assert!((1..sent).contains(&received), "{received}");
        remote.tell_lost();
        let lost = format!("{} lines are lost: test did not take them in time", sent - received);
        assert_eq!(receive(&slow), Some(lost));
        remote.tell_lost();
        assert_eq!(receive(&slow), None);
    }
}
