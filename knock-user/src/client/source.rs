//! Where knocks and connections leave this host: an address, an interface, or as routes have it.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};

use socket2::{Domain, Socket, Type};

/// The way out. Default: as routes have it.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Source {
    /// An address of this host. Only addresses of its family can be reached from it.
    pub address: Option<IpAddr>,
    /// The number of the interface of a link-local address; 0 for others.
    pub scope: u32,
    /// An interface.
    pub interface: Option<String>,
}

impl Source {
    /// Whether `to` has the family of the address.
    #[must_use]
    pub fn reaches(&self, to: &SocketAddr) -> bool {
        self.address.is_none_or(|address| address.is_ipv4() == to.is_ipv4())
    }

    /// Ties a socket to this way.
    ///
    /// # Errors
    ///
    /// If the address or the interface is not this host's.
    pub fn bind(&self, socket: &Socket) -> io::Result<()> {
        if let Some(name) = &self.interface {
            bind_device(socket, name).map_err(|error| named(&error, "interface", name))?;
        }
        if let Some(address) = self.address {
            let local = match address {
                IpAddr::V6(ip) => SocketAddrV6::new(ip, 0, 0, self.scope).into(),
                IpAddr::V4(_) => SocketAddr::new(address, 0),
            };
            socket.bind(&local.into()).map_err(|error| named(&error, "source", &address.to_string()))?;
        }
        Ok(())
    }

    /// The address that packets to `to` would carry now; no packet is sent.
    #[must_use]
    pub fn towards(&self, to: SocketAddr) -> Option<IpAddr> {
        let local = || {
            let socket = Socket::new(Domain::for_address(to), Type::DGRAM, None)?;
            self.bind(&socket)?;
            socket.connect(&SocketAddr::new(to.ip(), 9).into())?;
            socket.local_addr()
        };
        let none = [IpAddr::from(Ipv4Addr::UNSPECIFIED), Ipv6Addr::UNSPECIFIED.into()];
        local().ok()?.as_socket().map(|address| address.ip()).filter(|address| !none.contains(address))
    }
}

fn named(error: &io::Error, what: &str, name: &str) -> io::Error {
    io::Error::new(error.kind(), format!("{what} {name}: {error}"))
}

#[cfg(any(target_os = "linux", target_os = "android"))]
fn bind_device(socket: &Socket, name: &str) -> io::Result<()> {
    socket.bind_device(Some(name.as_bytes()))
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn bind_device(_: &Socket, _: &str) -> io::Result<()> {
    let why = "this system cannot tie a socket to an interface by its name: give the source address instead";
    Err(io::Error::new(io::ErrorKind::Unsupported, why))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_way_of_a_packet_is_known_before_it_is_sent() {
        let to = SocketAddr::from((Ipv4Addr::new(127, 0, 0, 2), 0));
        assert_eq!(Source::default().towards(to), Some(IpAddr::from(Ipv4Addr::new(127, 0, 0, 1))));
        let source = Source { address: Some(Ipv4Addr::new(127, 0, 0, 3).into()), ..Source::default() };
        assert_eq!(source.towards(to), source.address);
        assert!(source.reaches(&to) && !source.reaches(&SocketAddr::from((Ipv6Addr::LOCALHOST, 0))));
    }

    #[test]
    fn what_this_host_has_not_is_named() {
        let socket = Socket::new(Domain::IPV4, Type::DGRAM, None).unwrap();
        let refused = |source: Source| source.bind(&socket).unwrap_err().to_string();
        let address = refused(Source { address: Some(Ipv4Addr::new(192, 0, 2, 99).into()), ..Source::default() });
        assert!(address.starts_with("source 192.0.2.99: "), "{address}");
        let interface = refused(Source { interface: Some("no-such-if".into()), ..Source::default() });
        assert!(interface.starts_with("interface no-such-if: "), "{interface}");
    }
}
