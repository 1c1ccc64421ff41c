//! Where packets arrive, and to which interface a link-local source belongs then (rule 15). The ports of a bond are ways
//! to one link: what comes on them is the bond's. A socket belongs to the interface that has the address, such as a
//! bridge or a VLAN, and its packets arrive below that.

use std::collections::BTreeSet;
use std::net::IpAddr;

use anyhow::{Result, bail};
use knock_common::addr::Addr;

use super::links;
use super::list::{self, Interface};
use crate::host::scope;
use crate::host::sockets::Connection;
use crate::paths::Paths;

/// The interface that a link-local source belongs to if its packets come on this one: the bond or team that it is a port
/// of, or else itself.
#[must_use]
pub fn scope_of(interface: u32, all: &[Interface]) -> u32 {
    above(interface, all).last().map_or(interface, |master| master.index)
}

/// The bond or team that an interface is a port of, the one that this is a port of, and so on.
pub fn above(interface: u32, all: &[Interface]) -> Vec<&Interface> {
    let masters = list::masters(interface, all).into_iter();
    masters.take_while(|master| master.joins_its_ports()).collect()
}

/// The interfaces that sources belong to whose packets are for this one, as far as the gate judges them: where it stands
/// on the interface, on one below it, or on the bond of such a one.
fn judged(interface: u32, standing: &BTreeSet<u32>, all: &[Interface]) -> BTreeSet<u32> {
    let has_gate = |index: u32| {
        standing.contains(&index) || above(index, all).iter().any(|master| standing.contains(&master.index))
    };
    list::below(interface, all).into_iter().filter(|index| has_gate(*index)).map(|i| scope_of(i, all)).collect()
}

/// The interface that a link-local source belongs to which somebody says is on this one: on a port of a bond, on the bond,
/// on a VLAN above it. Where the gate judges nothing that is for it, the interface with the address.
fn meant(interface: u32, standing: &BTreeSet<u32>, all: &[Interface]) -> Result<u32, BTreeSet<u32>> {
    let own = scope_of(interface, all);
    let judged = judged(interface, standing, all);
    match judged.len() {
        0 => Ok(own),
        _ if judged.contains(&own) => Ok(own),
        1 => Ok(judged.into_iter().next().unwrap_or(own)),
        _ => Err(judged),
    }
}

/// The same on this host as it is now.
///
/// # Errors
///
/// If interfaces cannot be read, and if packets for the interface come by several.
pub fn scope_meant(interface: u32, paths: &Paths) -> Result<u32> {
    let all = list::list()?;
    // What cannot be read is told of by those who read the state.
    let standing = links::read(paths, &all).map(|links| links.standing.into_keys().collect()).unwrap_or_default();
    match meant(interface, &standing, &all) {
        Ok(scope) => Ok(scope),
        Err(several) => bail!(
            "what comes for {} is judged on {}: name one of them",
            scope::name_of(interface),
            several.into_iter().map(scope::name_of).collect::<Vec<_>>().join(" and ")
        ),
    }
}

/// The names of interfaces with the gate, and whether it judges there what belongs to this one.
///
/// # Errors
///
/// If interfaces or pins cannot be read.
pub fn gates_for(scope: u32, paths: &Paths) -> Result<Vec<(String, bool)>> {
    let all = list::list()?;
    let standing = links::read(paths, &all)?.standing;
    Ok(standing.into_iter().map(|(index, name)| (name, scope_of(index, &all) == scope)).collect())
}

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
        Ok(Self(if connections.iter().any(is_local) { list::list()? } else { Vec::new() }))
    }

    /// The sources that packets of a socket's other end may have for the gate: if the address is link-local, one for each
    /// interface that they may belong to.
    #[must_use]
    pub fn sources(&self, connection: &Connection) -> Vec<Addr> {
        sources(connection.remote.ip(), connection.interface, &self.0)
    }
}

fn sources(remote: IpAddr, interface: u32, all: &[Interface]) -> Vec<Addr> {
    let addr = Addr::from(remote);
    if addr.is_link_local() {
        let scopes: BTreeSet<_> = list::below(interface, all).iter().map(|index| scope_of(*index, all)).collect();
        scopes.into_iter().map(|scope| addr.scoped(scope)).collect()
    } else {
        vec![addr]
    }
}

#[cfg(test)]
mod tests {
    use super::super::list::tests::interface;
    use super::*;

    fn of(kind: &str, interface: Interface) -> Interface {
        Interface { kind: Some(kind.into()), ..interface }
    }

    fn port(master: u32, interface: Interface) -> Interface {
        Interface { master: Some(master), ..interface }
    }

    /// A bond of two cards with a VLAN, a bridge with a card and with another VLAN of the bond, and a card by itself.
    fn all() -> Vec<Interface> {
        let vlan = |name, index| of("vlan", Interface { lower: Some(10), ..interface(name, index) });
        vec![
            port(10, interface("eth0", 2)),
            port(10, interface("eth1", 3)),
            interface("eth2", 4),
            port(20, interface("eth3", 5)),
            of("bond", interface("bond0", 10)),
            vlan("bond0.5", 11),
            port(20, vlan("bond0.6", 12)),
            of("bridge", interface("br0", 20)),
        ]
    }

    #[test]
    fn what_comes_on_a_port_of_a_bond_belongs_to_the_bond() {
        let all = all();
        let scopes: Vec<_> = all.iter().map(|one| scope_of(one.index, &all)).collect();
        assert_eq!(scopes, [10, 10, 4, 5, 10, 11, 12, 20]);
        assert_eq!(scope_of(99, &all), 99, "one that is gone");
        for (kind, scope) in
            [(Some("team"), 7), (None, 7), (Some("bridge"), 6), (Some("vrf"), 6), (Some("openvswitch"), 6)]
        {
            let master = Interface { kind: kind.map(str::to_owned), ..interface("master", 7) };
            assert_eq!(scope_of(6, &[port(7, interface("eth0", 6)), master]), scope, "{kind:?}");
        }
    }

    #[test]
    fn a_bond_that_is_a_port_of_another_belongs_to_that() {
        let all = [
            port(3, interface("eth0", 2)),
            port(4, of("bond", interface("bond0", 3))),
            of("bond", interface("bond1", 4)),
        ];
        assert_eq!([2, 3, 4].map(|index| scope_of(index, &all)), [4; 3]);
        // Nobody makes these; they have an end all the same.
        let circle = [port(6, of("bond", interface("a", 5))), port(5, of("bond", interface("b", 6)))];
        assert_eq!([5, 6].map(|index| scope_of(index, &circle)), [6, 5]);
    }

    #[test]
    fn an_interface_that_is_named_means_the_one_that_the_gate_knows() {
        let all = all();
        let meant = |named: u32, standing: &[u32]| meant(named, &standing.iter().copied().collect(), &all);
        // On the bond, in its ports or behind them, and on the ports alone.
        for standing in [&[10][..], &[2, 3], &[3], &[]] {
            for named in [2, 3, 10] {
                assert_eq!(meant(named, standing), Ok(10), "{named} with the gate on {standing:?}");
            }
        }
        for (named, standing, wanted) in [
            (11, &[10][..], Ok(10)),
            (11, &[2, 3], Ok(10)),
            (11, &[11], Ok(11)),
            (11, &[2, 3, 11], Ok(11)),
            (11, &[4], Ok(11)),
            (20, &[5], Ok(5)),
            (20, &[10], Ok(10)),
            (20, &[20, 5], Ok(20)),
            (20, &[5, 10], Err(BTreeSet::from([5, 10]))),
            (4, &[4], Ok(4)),
        ] {
            assert_eq!(meant(named, standing), wanted, "{named} with the gate on {standing:?}");
        }
    }

    #[test]
    fn only_a_link_local_address_belongs_to_interfaces() {
        let addresses = |text: &str, interface: u32| sources(text.parse().unwrap(), interface, &all());
        for (socket, scopes) in [(10, &[10][..]), (2, &[10]), (11, &[10, 11]), (20, &[5, 10, 12, 20]), (4, &[4])] {
            let interfaces: Vec<_> = addresses("fe80::7", socket).iter().map(Addr::interface).collect();
            assert_eq!(interfaces, scopes, "a socket on {socket}");
        }
        for text in ["192.0.2.7", "2001:db8::7"] {
            assert_eq!(addresses(text, 10), [Addr::from(text.parse::<IpAddr>().unwrap())]);
        }
    }
}
