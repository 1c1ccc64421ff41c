//! Single routes, as the kernel finds them.

use std::fs;
use std::io::{Error, ErrorKind, Result};
use std::net::{IpAddr, Ipv6Addr};

use rtnetlink::packet_core::{Emitable as _, Parseable as _};
use rtnetlink::packet_route::AddressFamily;
use rtnetlink::packet_route::route::{RouteAttribute, RouteFlags, RouteMessage, RouteType};
use rtnetlink::packet_route::rule::{RuleAttribute, RuleMessage};

use super::netlink::{Channel, Dump, nonsense};

/// `RTM_NEWROUTE`, `RTM_GETROUTE`.
const NEW_ROUTE: u16 = 24;
const GET_ROUTE: u16 = 26;
/// `RTM_NEWRULE`, `RTM_GETRULE`.
const NEW_RULE: u16 = 32;
const GET_RULE: u16 = 34;
/// The length of `struct fib_rule_hdr`, which begins with the family.
const RULE_HEADER: usize = 12;

/// Where a route leads.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Route {
    /// To this host.
    Here,
    /// On by the interface with this index.
    Out(u32),
}

/// The route to an address, for a packet from an address that came on an interface (by its index), or for one of this host.
/// Whether this host forwards at all is another question ([`forwards`]): the kernel looks at that only for IPv4, and only
/// for a packet that came.
///
/// # Errors
///
/// If there is none, or if the kernel cannot be asked.
pub fn route(to: IpAddr, from: Option<(IpAddr, u32)>) -> Result<Route> {
    let came = from.map(|(address, on)| [RouteAttribute::Source(address.into()), RouteAttribute::Iif(on)]);
    led(&ask(to, came.into_iter().flatten().collect(), RouteFlags::empty())?)
}

/// The route to an address of IPv6 by an interface and by no other. For IPv4 the kernel takes every address to be on the
/// link of an interface that is asked for, so that the answer says nothing.
///
/// # Errors
///
/// If there is none, or if the kernel cannot be asked.
pub fn route_by(to: Ipv6Addr, interface: u32) -> Result<Route> {
    led(&ask(to.into(), vec![RouteAttribute::Oif(interface)], RouteFlags::empty())?)
}

/// The interfaces by which the route to an address may lead, by their index, as the table has it: several for a route with
/// several next hops, and none for one that leads to this host.
///
/// # Errors
///
/// If there is no route, or if the kernel cannot be asked.
pub fn hops(to: IpAddr) -> Result<Vec<u32>> {
    let found = ask(to, Vec::new(), RouteFlags::FibMatch)?;
    if found.header.kind != RouteType::Unicast {
        return Ok(Vec::new());
    }
    let of = |attribute: &RouteAttribute| match attribute {
        RouteAttribute::Oif(index) => vec![*index],
        RouteAttribute::MultiPath(hops) => hops.iter().map(|hop| hop.interface_index).collect(),
        _ => Vec::new(),
    };
    Ok(found.attributes.iter().flat_map(of).collect())
}

/// True if the destination alone chooses a route: no rule of routing looks at a source, a mark, a port or an interface.
///
/// # Errors
///
/// If the kernel cannot be asked, or has no rules for this family.
pub fn are_plain(is_v6: bool) -> Result<bool> {
    let mut body = [0; RULE_HEADER];
    body[0] = if is_v6 { libc::AF_INET6 } else { libc::AF_INET } as u8;
    let dump = Dump { protocol: libc::NETLINK_ROUTE, question: GET_RULE, answer: NEW_RULE, body: &body };
    let rules = dump.read(|body| Ok(Some(is_plain(&RuleMessage::parse(body).map_err(nonsense)?))))?;
    Ok(rules.into_iter().all(|is_plain| is_plain))
}

fn is_plain(rule: &RuleMessage) -> bool {
    let is_said_of_all = |attribute: &RuleAttribute| {
        matches!(
            attribute,
            RuleAttribute::Table(_)
                | RuleAttribute::Priority(_)
                | RuleAttribute::Protocol(_)
                | RuleAttribute::SuppressPrefixLen(_)
        )
    };
    rule.header.tos == 0 && rule.attributes.iter().all(is_said_of_all)
}

/// True if this host forwards packets of a family; false too if it does not say so.
#[must_use]
pub fn forwards(is_v6: bool) -> bool {
    let setting = if is_v6 { "ipv6/conf/all/forwarding" } else { "ipv4/ip_forward" };
    fs::read_to_string(format!("/proc/sys/net/{setting}")).is_ok_and(|text| text.trim() != "0")
}

fn ask(to: IpAddr, more: Vec<RouteAttribute>, flags: RouteFlags) -> Result<RouteMessage> {
    let bits = if to.is_ipv4() { 32 } else { 128 };
    let has_source = more.iter().any(|attribute| matches!(attribute, RouteAttribute::Source(_)));
    let mut about = RouteMessage::default();
    about.header.address_family = if to.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 };
    about.header.destination_prefix_length = bits;
    about.header.source_prefix_length = if has_source { bits } else { 0 };
    about.header.flags = flags;
    about.attributes = vec![RouteAttribute::Destination(to.into())];
    about.attributes.extend(more);
    let mut body = vec![0; about.buffer_len()];
    about.emit(&mut body);
    let found = Channel::of(libc::NETLINK_ROUTE)?.ask(GET_ROUTE, NEW_ROUTE, &body)?;
    RouteMessage::parse(&found.ok_or_else(|| nonsense("no route in an answer"))?).map_err(nonsense)
}

fn led(found: &RouteMessage) -> Result<Route> {
    match found.header.kind {
        RouteType::Local => Ok(Route::Here),
        RouteType::Unicast => found
            .attributes
            .iter()
            .find_map(|attribute| if let RouteAttribute::Oif(index) = attribute { Some(*index) } else { None })
            .map(Route::Out)
            .ok_or_else(|| nonsense("a route without an interface")),
        other => Err(Error::new(ErrorKind::HostUnreachable, format!("a route of the kind {other:?}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sent_to_this_host_stays_here() {
        for here in ["127.0.0.1", "127.1.2.3"] {
            assert_eq!(route(here.parse().unwrap(), None).unwrap(), Route::Here);
        }
        assert!(route_by("2001:db8::1".parse().unwrap(), u32::MAX).is_err());
        assert!(hops("127.0.0.1".parse().unwrap()).unwrap().is_empty());
    }

    #[test]
    fn no_interface_is_taken_to_lead_where_no_route_leads_by_it() {
        // Whether there is a route at all is the host's affair; by `lo` there is none.
        let hops = hops("198.51.100.7".parse().unwrap()).unwrap_or_default();
        assert!(!hops.contains(&1), "{hops:?}");
    }

    #[test]
    fn a_rule_that_looks_at_a_packet_is_not_plain() {
        let rule = |attributes: Vec<RuleAttribute>| {
            let mut rule = RuleMessage::default();
            rule.attributes = attributes;
            is_plain(&rule)
        };
        let table = || vec![RuleAttribute::Priority(32766), RuleAttribute::Table(254)];
        assert!(rule(table()));
        for choice in [
            RuleAttribute::FwMark(7),
            RuleAttribute::Source("192.0.2.1".parse().unwrap()),
            RuleAttribute::Iifname("eth0".to_owned()),
        ] {
            assert!(!rule([table(), vec![choice]].concat()));
        }
    }
}
