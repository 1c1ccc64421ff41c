//! Interfaces that come and go while the lab stands: one more veth pair from the server to the client.

use std::fs;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use anyhow::Result;

use super::{Family, Host, PATIENCE, Probe, SSH_PORT, connect, sandbox};

/// One more way from the client to the server, not there until it is made.
#[derive(Clone, Copy, Debug)]
pub struct Late {
    /// The server's interface.
    pub name: &'static str,
    /// The client's.
    pub peer: &'static str,
    /// Number of its networks: 203.0.113.16 times this, in steps of sixteen addresses, and 2001:db8:n::.
    pub number: u8,
}

impl Late {
    /// The first such way.
    pub const FIRST: Self = Self { name: "late0", peer: "peer0", number: 3 };
    /// The second.
    pub const SECOND: Self = Self { name: "late1", peer: "peer1", number: 4 };

    /// The server's address on it.
    #[must_use]
    pub fn server(self, family: Family, port: u16) -> SocketAddr {
        SocketAddr::new(self.address(family, 1), port)
    }

    /// The client's address on it.
    #[must_use]
    pub fn client(self, family: Family) -> IpAddr {
        self.address(family, 2)
    }

    fn address(self, family: Family, host: u8) -> IpAddr {
        let address = match family {
            Family::V4 => format!("203.0.113.{}", self.number * 16 + host).parse(),
            Family::V6 => format!("2001:db8:{}::{host}", self.number).parse(),
        };
        address.expect("an address")
    }

    /// Lines of iproute2 that make it on the server.
    #[must_use]
    pub fn made(self) -> String {
        let Self { name, peer, .. } = self;
        let queues = "numtxqueues 1 numrxqueues 1";
        format!("link add {name} {queues} type veth peer name {peer} {queues} netns client\n")
    }

    /// Lines that give an end of it its addresses and bring it up.
    #[must_use]
    pub fn up(self, interface: &str, host: u8) -> String {
        let (v4, v6) = (self.number * 16 + host, self.number);
        format!(
            "addr replace 203.0.113.{v4}/28 dev {interface}
             addr replace 2001:db8:{v6}::{host}/64 dev {interface} nodad
             link set {interface} up\n"
        )
    }

    /// Makes it, gives it addresses and brings it up, as fast as iproute2 can.
    ///
    /// # Errors
    ///
    /// If the kernel does not.
    pub fn appear(self) -> Result<()> {
        ip(Host::Server, &(self.made() + &self.up(self.name, 1)))?;
        ip(Host::Client, &self.up(self.peer, 2))
    }

    /// Removes it.
    ///
    /// # Errors
    ///
    /// If it is not there.
    pub fn vanish(self) -> Result<()> {
        ip(Host::Server, &format!("link del {}\n", self.name))
    }

    /// What the protected port is to the client this way.
    ///
    /// # Errors
    ///
    /// If there is no way.
    pub fn probe(self, family: Family) -> Result<Probe> {
        Ok(connect(Host::Client, self.server(family, SSH_PORT), PATIENCE)?.0)
    }

    /// True once packets get through to the server this way: a port on which nothing listens refuses.
    #[must_use]
    pub fn reaches(self, family: Family) -> bool {
        let probe = connect(Host::Client, self.server(family, 1), Duration::from_millis(50));
        matches!(probe, Ok((Probe::Refused, _)))
    }
}

/// Runs lines of iproute2 on a host.
///
/// # Errors
///
/// If one of them fails; with what it says.
pub fn ip(host: Host, lines: &str) -> Result<()> {
    let file = Path::new(sandbox::DIR).join("lines");
    fs::write(&file, lines)?;
    host.must(&["ip", "-batch", &file.display().to_string()]).map(drop)
}
