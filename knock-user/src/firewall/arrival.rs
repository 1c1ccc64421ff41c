//! On which interfaces the packets of a socket arrive, and so by which addresses the gate knows its other end: a
//! link-local source belongs to the interface on which its packets come (rule 15), and a socket to the one that has the
//! address, such as a bridge.

use std::net::IpAddr;

use anyhow::Result;
use knock_common::addr::Addr;

use super::interfaces::{self, Interface};
use crate::host::sockets::Connection;

/// The interfaces of this host, as far as they matter for some connections.
pub struct Arrivals(Vec<Interface>);

impl Arrivals {
    /// For these connections. Only link-local addresses belong to interfaces: without one, nobody is asked.
    ///
    /// # Errors
    ///
    /// If the interfaces cannot be listed.
    pub fn of(connections: &[Connection]) -> Result<Self> {
        let is_local = |connection: &Connection| Addr::from(connection.remote.ip()).is_link_local();
        Ok(Self(if connections.iter().any(is_local) { interfaces::list()? } else { Vec::new() }))
    }

    /// The sources that packets of a socket's other end may have for the gate: one for each interface on which they may
    /// arrive, if the address is link-local.
    #[must_use]
    pub fn sources(&self, connection: &Connection) -> Vec<Addr> {
        sources(connection.remote.ip(), connection.interface, &self.0)
    }
}

fn sources(remote: IpAddr, interface: u32, all: &[Interface]) -> Vec<Addr> {
    let addr = Addr::from(remote);
    if addr.is_link_local() {
        interfaces::below(interface, all).into_iter().map(|index| addr.scoped(index)).collect()
    } else {
        vec![addr]
    }
}

#[cfg(test)]
mod tests {
    use super::super::interfaces::tests::interface;
    use super::*;

    /// A bond of two cards, and one that is none of it.
    fn all() -> Vec<Interface> {
        let port = |name, index| Interface { master: Some(10), ..interface(name, index) };
        let bond = Interface { kind: Some("bond".into()), ..interface("bond0", 10) };
        vec![port("eth0", 2), port("eth1", 3), interface("eth2", 4), bond]
    }

    #[test]
    fn only_a_link_local_address_belongs_to_interfaces() {
        let addresses = |text: &str| sources(text.parse().unwrap(), 10, &all());
        let interfaces: Vec<_> = addresses("fe80::7").iter().map(Addr::interface).collect();
        assert_eq!(interfaces, [2, 3, 10]);
        for text in ["192.0.2.7", "2001:db8::7"] {
            assert_eq!(addresses(text), [Addr::from(text.parse::<IpAddr>().unwrap())]);
        }
    }
}
