//! What the service manager is told, sd_notify(3): that the gate stands, that a reload begins and ends,
//! that the daemon ends, that its loop turns, and that a start takes longer. Without `$NOTIFY_SOCKET`, nothing.
//!
//! Ours and not a crate's: `sd-notify` knows no socket without a file, which systemd may hand out too.

use std::ffi::OsStr;
use std::io;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

use log::warn;
use rustix::time::{ClockId, clock_gettime};
use tokio::time::Instant;

/// How much more time a start is given from now on: much more than the time until it is asked for again, so that a machine
/// under load is not too late with it.
const MORE_TIME: Duration = Duration::from_secs(60);

/// A start needs more time, since the kernel has no random numbers yet.
pub fn wait_for_random() {
    if let Some(manager) = manager() {
        ask_for_more_time(&manager);
    }
}

fn ask_for_more_time(manager: &SocketAddr) {
    let message = format!(
        "EXTEND_TIMEOUT_USEC={}\nSTATUS=waiting for the kernel's random numbers, so early in the boot",
        MORE_TIME.as_micros()
    );
    tell(manager, &message);
}

/// Whom `$NOTIFY_SOCKET` names.
fn manager() -> Option<SocketAddr> {
    let name = std::env::var_os("NOTIFY_SOCKET")?;
    address(&name).inspect_err(|error| warn!("$NOTIFY_SOCKET: {}: {error}", name.display())).ok()
}

/// The service manager, and when its watchdog next wants to hear of us.
pub struct Notify {
    manager: Option<SocketAddr>,
    /// Half of the time after which it would take us for dead.
    every: Option<Duration>,
    next: Instant,
    /// What it was last told of the gate.
    standing: String,
}

impl Notify {
    /// What `$NOTIFY_SOCKET`, `$WATCHDOG_USEC` and `$WATCHDOG_PID` ask for.
    pub fn new() -> Self {
        let number = |name| std::env::var(name).ok()?.parse::<u64>().ok();
        let ours = number("WATCHDOG_PID").is_none_or(|process| process == u64::from(std::process::id()));
        let every = number("WATCHDOG_USEC").filter(|_| ours).map(|time| Duration::from_micros(time) / 2);
        Self { manager: manager(), every, next: Instant::now(), standing: String::new() }
    }

    /// The gate stands, at the start and after a reload.
    pub fn ready(&mut self, standing: &str) {
        standing.clone_into(&mut self.standing);
        self.send(&format!("READY=1\nSTATUS={}", one_line(standing)));
    }

    /// A reload begins. The time tells the manager which of its requests this is about (systemd 253).
    pub fn reloading(&self) {
        let now = clock_gettime(ClockId::Monotonic);
        let now = now.tv_sec * 1_000_000 + now.tv_nsec / 1000;
        self.send(&format!("RELOADING=1\nMONOTONIC_USEC={now}\nSTATUS=reading the config again"));
    }

    /// A reload has failed, and is over.
    pub fn as_before(&self, error: &str) {
        self.send(&format!("READY=1\nSTATUS=reload failed: {}: the gate goes on as it was", one_line(error)));
    }

    /// The gate stands somewhere else by now, or not.
    pub fn standing(&mut self, standing: &str) {
        if self.standing != standing {
            standing.clone_into(&mut self.standing);
            self.send(&format!("STATUS={}", one_line(standing)));
        }
    }

    /// The daemon ends.
    pub fn stopping(&self, status: &str) {
        self.send(&format!("STOPPING=1\nSTATUS={}", one_line(status)));
    }

    /// When [`Notify::turn`] has next something to do.
    pub fn wake(&self) -> Option<Instant> {
        self.every.map(|_| self.next)
    }

    /// To be called from the daemon's loop and nowhere else: it says that the loop turns.
    pub fn turn(&mut self) {
        let now = Instant::now();
        if let Some(every) = self.every
            && self.next <= now
        {
            self.send("WATCHDOG=1");
            self.next = now + every;
        }
    }

    fn send(&self, message: &str) {
        if let Some(manager) = &self.manager {
            tell(manager, message);
        }
    }
}

fn tell(manager: &SocketAddr, message: &str) {
    if let Err(error) = send(manager, message) {
        warn!("$NOTIFY_SOCKET: the service manager cannot be told: {error}");
    }
}

/// A path, or behind an `@` a name without a file.
fn address(name: &OsStr) -> io::Result<SocketAddr> {
    match name.as_bytes() {
        [b'@', name @ ..] => SocketAddr::from_abstract_name(name),
        [b'/', ..] => SocketAddr::from_pathname(name),
        _ => Err(io::Error::new(io::ErrorKind::InvalidInput, "neither a path nor a name behind an @")),
    }
}

/// One that does not read for that long will not either.
fn send(manager: &SocketAddr, message: &str) -> io::Result<()> {
    let socket = UnixDatagram::unbound()?;
    socket.set_write_timeout(Some(Duration::from_secs(1)))?;
    socket.send_to_addr(message.as_bytes(), manager).map(drop)
}

/// The message is lines: one in a text would be a message of its own.
fn one_line(text: &str) -> String {
    text.lines().map(str::trim).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_text_is_a_message_of_its_own() {
        assert_eq!(one_line("reload failed: a\n  READY=1\n"), "reload failed: a READY=1");
    }

    #[test]
    fn a_start_that_waits_asks_for_a_minute_more() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify");
        let socket = UnixDatagram::bind(&path).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        ask_for_more_time(&address(path.as_os_str()).unwrap());
        let mut message = [0; 256];
        let length = socket.recv(&mut message).unwrap();
        let lines: Vec<_> = std::str::from_utf8(&message[..length]).unwrap().lines().collect();
        assert_eq!(lines[0], "EXTEND_TIMEOUT_USEC=60000000");
        assert!(lines[1].starts_with("STATUS=waiting for the kernel's random numbers"), "{lines:?}");
    }

    #[test]
    fn a_socket_has_a_path_or_a_name() {
        assert_eq!(address(OsStr::new("@knock")).unwrap().as_abstract_name(), Some(&b"knock"[..]));
        assert_eq!(address(OsStr::new("/run/n")).unwrap().as_pathname(), Some(std::path::Path::new("/run/n")));
        assert!(address(OsStr::new("n")).is_err());
    }
}
