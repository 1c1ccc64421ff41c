//! Addresses of this host: those of its interfaces, and whole networks that its routes say are its own (AnyIP).

use std::collections::BTreeSet;
use std::io::Result;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;
use rtnetlink::MulticastGroup;
use rtnetlink::packet_core::{Emitable, Parseable};
use rtnetlink::packet_route::AddressFamily;
use rtnetlink::packet_route::address::{AddressAttribute, AddressFlags, AddressHeaderFlags, AddressMessage};
use rtnetlink::packet_route::link::{InfoData, InfoKind, InfoVrf, LinkAttribute, LinkInfo, LinkMessage};
use rtnetlink::packet_route::route::{RouteAddress, RouteAttribute, RouteMessage, RouteType};

use super::netlink::{Dump, nonsense};

/// What announces that [`own_addresses`] may say something else. Routes announce themselves too, and are left out: a router
/// that learns a million of them would be heard a million times. Networks by routes are found by the next look.
pub const CHANGES: [MulticastGroup; 2] = [MulticastGroup::Ipv4Ifaddr, MulticastGroup::Ipv6Ifaddr];

/// `RTM_NEWLINK`, `RTM_GETLINK`.
const LINK: (u16, u16) = (16, 18);
/// `RTM_NEWADDR`, `RTM_GETADDR`.
const ADDRESS: (u16, u16) = (20, 22);
/// `RTM_NEWROUTE`, `RTM_GETROUTE`.
const ROUTE: (u16, u16) = (24, 26);
/// `RT_TABLE_LOCAL`.
const LOCAL: u32 = 255;

/// All that this network namespace takes for its own, each network once, by address: the addresses of all interfaces, those
/// that are down too, with all their bits, and the destinations of routes of the type `local` in the table `local` and the tables of
/// VRFs. Neither broadcast, multicast nor anycast is among them, nor what another table calls local: that holds only
/// for packets that a rule of routing chooses, such as those for a transparent proxy. The kernel looks for the
/// routes, so that others are not read.
///
/// # Errors
///
/// If the kernel cannot be asked, or tells nonsense.
pub fn own_addresses() -> Result<Vec<IpNet>> {
    let mut own: BTreeSet<_> = ask(ADDRESS, &AddressMessage::default(), address_of)?.into_iter().collect();
    for table in [LOCAL].into_iter().chain(vrf_tables()?) {
        for family in [AddressFamily::Inet, AddressFamily::Inet6] {
            own.extend(local_routes(table, family)?);
        }
    }
    Ok(own.into_iter().collect())
}

fn ask<M, T>((answer, question): (u16, u16), about: &M, of: impl Fn(&M) -> Option<T>) -> Result<Vec<T>>
where
    M: Emitable + Parseable<[u8]>,
{
    let mut body = vec![0; about.buffer_len()];
    about.emit(&mut body);
    let dump = Dump { protocol: libc::NETLINK_ROUTE, question, answer, body: &body };
    dump.read(|body| Ok(of(&M::parse(body).map_err(nonsense)?)))
}

/// The address at this end; `None` if another host has it: it was found to be in use.
fn address_of(message: &AddressMessage) -> Option<IpNet> {
    let mut address = None;
    let mut refused = message.header.flags.contains(AddressHeaderFlags::Dadfailed);
    for attribute in &message.attributes {
        match attribute {
            // The other end's where there are two.
            AddressAttribute::Address(one) => address = address.or(Some(*one)),
            AddressAttribute::Local(one) => address = Some(*one),
            AddressAttribute::Flags(flags) => refused |= flags.contains(AddressFlags::Dadfailed),
            _ => {}
        }
    }
    address.filter(|_| !refused).map(IpNet::from)
}

/// The tables in which VRFs have their local routes.
fn vrf_tables() -> Result<BTreeSet<u32>> {
    let mut about = LinkMessage::default();
    // Kernels without VRFs know no such kind, and tell of all interfaces.
    about.attributes = vec![LinkAttribute::LinkInfo(vec![LinkInfo::Kind(InfoKind::Vrf)])];
    Ok(ask(LINK, &about, table_of)?.into_iter().collect())
}

fn table_of(message: &LinkMessage) -> Option<u32> {
    let infos = message.attributes.iter().find_map(|attribute| match attribute {
        LinkAttribute::LinkInfo(infos) => Some(infos),
        _ => None,
    })?;
    let data = infos.iter().find_map(|info| match info {
        LinkInfo::Data(InfoData::Vrf(data)) => Some(data),
        _ => None,
    })?;
    data.iter().find_map(|part| match part {
        InfoVrf::TableId(table) => Some(*table),
        _ => None,
    })
}

fn local_routes(table: u32, family: AddressFamily) -> Result<Vec<IpNet>> {
    let mut about = RouteMessage::default();
    about.header.address_family = family;
    about.header.kind = RouteType::Local;
    // As a number of eight bits for kernels that do not look at the attribute.
    about.header.table = u8::try_from(table).unwrap_or_default();
    about.attributes = vec![RouteAttribute::Table(table)];
    // Kernels before 4.20 tell of all routes.
    match ask(ROUTE, &about, |route| network_of(route, table)) {
        // A table that has never had a route, or a family that this kernel does not have.
        Err(error) if matches!(error.raw_os_error(), Some(libc::ENOENT | libc::EAFNOSUPPORT | libc::EOPNOTSUPP)) => {
            Ok(Vec::new())
        }
        found => found,
    }
}

/// The destination of a local route of this table.
fn network_of(route: &RouteMessage, table: u32) -> Option<IpNet> {
    let (mut of, mut address) = (u32::from(route.header.table), None);
    for attribute in &route.attributes {
        match attribute {
            RouteAttribute::Table(table) => of = *table,
            RouteAttribute::Destination(RouteAddress::Inet(one)) => address = Some(IpAddr::from(*one)),
            RouteAttribute::Destination(RouteAddress::Inet6(one)) => address = Some(IpAddr::from(*one)),
            _ => {}
        }
    }
    // A default route has none.
    let any = || match route.header.address_family {
        AddressFamily::Inet => Some(IpAddr::from(Ipv4Addr::UNSPECIFIED)),
        AddressFamily::Inet6 => Some(IpAddr::from(Ipv6Addr::UNSPECIFIED)),
        _ => None,
    };
    if route.header.kind != RouteType::Local || of != table {
        return None;
    }
    IpNet::new(address.or_else(any)?, route.header.destination_prefix_length).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn net(text: &str) -> IpNet {
        text.parse().unwrap()
    }

    fn address(attributes: Vec<AddressAttribute>) -> Option<IpNet> {
        let mut message = AddressMessage::default();
        message.attributes = attributes;
        address_of(&message)
    }

    #[test]
    fn of_two_ends_this_one_is_told() {
        let (here, there) = ([192, 0, 2, 1].into(), [192, 0, 2, 2].into());
        let [local, other] = [AddressAttribute::Local(here), AddressAttribute::Address(there)];
        assert_eq!(address(vec![other.clone(), local.clone()]), Some(net("192.0.2.1/32")));
        assert_eq!(address(vec![local, other]), Some(net("192.0.2.1/32")));
        let v6 = "fe80::1".parse().unwrap();
        assert_eq!(address(vec![AddressAttribute::Address(v6)]), Some(net("fe80::1/128")));
    }

    #[test]
    fn an_address_that_another_host_has_is_not_ours() {
        let mine = AddressAttribute::Address("2001:db8::1".parse().unwrap());
        assert!(address(vec![mine.clone(), AddressAttribute::Flags(AddressFlags::Tentative)]).is_some());
        assert_eq!(address(vec![mine, AddressAttribute::Flags(AddressFlags::Dadfailed)]), None);
    }

    #[test]
    fn only_local_routes_of_the_table_count() {
        let route = |kind, table: u32| {
            let mut route = RouteMessage::default();
            route.header.address_family = AddressFamily::Inet;
            route.header.destination_prefix_length = 24;
            route.header.kind = kind;
            route.attributes = vec![
                RouteAttribute::Destination(RouteAddress::Inet([203, 0, 113, 0].into())),
                RouteAttribute::Table(table),
            ];
            network_of(&route, LOCAL)
        };
        assert_eq!(route(RouteType::Local, LOCAL), Some(net("203.0.113.0/24")));
        for (kind, table) in [
            (RouteType::Broadcast, LOCAL),
            (RouteType::Unicast, LOCAL),
            (RouteType::Local, 100),
            (RouteType::Anycast, LOCAL),
        ] {
            assert_eq!(route(kind, table), None, "{kind:?} {table}");
        }
    }

    #[test]
    fn a_vrf_names_its_table() {
        let link = |data| {
            let mut link = LinkMessage::default();
            let name = LinkAttribute::IfName("red".to_owned());
            link.attributes =
                vec![name, LinkAttribute::LinkInfo(vec![LinkInfo::Kind(InfoKind::Vrf), LinkInfo::Data(data)])];
            // As it comes from the kernel.
            let mut octets = vec![0; link.buffer_len()];
            link.emit(&mut octets);
            table_of(&LinkMessage::parse(&octets).unwrap())
        };
        assert_eq!(link(InfoData::Vrf(vec![InfoVrf::TableId(1000)])), Some(1000));
        assert_eq!(link(InfoData::Vrf(Vec::new())), None);
        assert_eq!(table_of(&LinkMessage::default()), None);
    }

    #[test]
    fn a_default_route_is_every_address() {
        let mut route = RouteMessage::default();
        route.header.address_family = AddressFamily::Inet6;
        route.header.kind = RouteType::Local;
        route.header.table = 255;
        assert_eq!(network_of(&route, LOCAL), Some(net("::/0")));
    }

    #[test]
    fn the_loopback_network_is_this_hosts() {
        let own = own_addresses().unwrap();
        assert!(own.contains(&net("127.0.0.0/8")) && own.contains(&net("127.0.0.1/32")), "{own:?}");
        assert!(own.iter().all(|network| !network.addr().is_multicast()), "{own:?}");
    }
}
