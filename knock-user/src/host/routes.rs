//! Single routes, as the kernel finds them.

use std::io::{Error, ErrorKind, Result};
use std::net::IpAddr;

use rtnetlink::packet_core::{Emitable as _, Parseable as _};
use rtnetlink::packet_route::AddressFamily;
use rtnetlink::packet_route::route::{RouteAttribute, RouteMessage, RouteType};

use super::netlink::{Channel, nonsense};

/// `RTM_NEWROUTE`, `RTM_GETROUTE`.
const NEW_ROUTE: u16 = 24;
const GET_ROUTE: u16 = 26;

/// Where a route leads.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Route {
    /// To this host.
    Here,
    /// On by the interface with this index.
    Out(u32),
}

/// The route to an address, for a packet from an address that came on an interface (by its index), or for one of this host.
///
/// # Errors
///
/// If there is none, if this host forwards nothing, or if the kernel cannot be asked.
pub fn route(to: IpAddr, from: Option<(IpAddr, u32)>) -> Result<Route> {
    let came = from.map(|(address, on)| [RouteAttribute::Source(address.into()), RouteAttribute::Iif(on)]);
    ask(to, came.into_iter().flatten().collect(), from.is_some())
}

/// The route to an address by an interface and by no other.
///
/// # Errors
///
/// If there is none, or if the kernel cannot be asked.
pub fn route_by(to: IpAddr, interface: u32) -> Result<Route> {
    ask(to, vec![RouteAttribute::Oif(interface)], false)
}

fn ask(to: IpAddr, more: Vec<RouteAttribute>, has_source: bool) -> Result<Route> {
    let bits = if to.is_ipv4() { 32 } else { 128 };
    let mut about = RouteMessage::default();
    about.header.address_family = if to.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 };
    about.header.destination_prefix_length = bits;
    about.header.source_prefix_length = if has_source { bits } else { 0 };
    about.attributes = vec![RouteAttribute::Destination(to.into())];
    about.attributes.extend(more);
    let mut body = vec![0; about.buffer_len()];
    about.emit(&mut body);
    let found = Channel::of(libc::NETLINK_ROUTE)?.ask(GET_ROUTE, NEW_ROUTE, &body)?;
    let found = RouteMessage::parse(&found.ok_or_else(|| nonsense("no route in an answer"))?).map_err(nonsense)?;
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
        assert!(route_by("192.0.2.1".parse().unwrap(), u32::MAX).is_err());
    }
}
