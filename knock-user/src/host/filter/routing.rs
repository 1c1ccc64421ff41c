//! Where packets go on this host, as far as filters ask.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use super::packet::Packet;
use crate::host::{routes, scope};

/// Where a packet goes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Way {
    /// To this host.
    Here,
    /// On by the interface of this name.
    Out(String),
}

/// Who knows the routes.
pub trait Routing {
    /// Where a packet goes from here; `None` if that cannot be told, or if it goes nowhere.
    fn way(&self, packet: &Packet) -> Option<Way>;

    /// True if there is a way back to the source of a packet by the interface on which it came; `None` if that cannot be told.
    fn has_way_back(&self, packet: &Packet) -> Option<bool>;

    /// By which interface this host answers an address; `None` if that cannot be told.
    fn way_out(&self, to: IpAddr) -> Option<String>;

    /// The names of all devices by which what goes out by this interface may leave, its own among them; `None` if that cannot
    /// be told.
    fn below(&self, interface: &str) -> Option<BTreeSet<String>>;

    /// True if no mark of a packet chooses another way, as far as is known.
    fn is_plain(&self, is_v6: bool) -> bool;
}

/// The name of the loopback interface.
const LOOPBACK: &str = "lo";

/// Of each interface, by its name: those by which what goes out by it may leave, itself among them.
pub type Below = BTreeMap<String, BTreeSet<String>>;

/// The kernel.
#[derive(Default, Debug)]
pub struct Kernel<'a> {
    /// What is below its interfaces, if that is known.
    pub below: Option<&'a Below>,
}

impl Routing for Kernel<'_> {
    fn way(&self, packet: &Packet) -> Option<Way> {
        let (dest, interface) = (packet.dest?, packet.interface.as_deref());
        // From outside such a packet is a martian, unless a setting says otherwise.
        if dest.is_loopback() && interface != Some(LOOPBACK) {
            return None;
        }
        let on = interface.and_then(|name| scope::index_of(name).ok());
        match routes::route(dest, packet.source.zip(on)).ok()? {
            routes::Route::Here => Some(Way::Here),
            routes::Route::Out(index) => routes::forwards(dest.is_ipv6()).then(|| Way::Out(scope::name_of(index))),
        }
    }

    fn has_way_back(&self, packet: &Packet) -> Option<bool> {
        let (source, interface) = (packet.source?, packet.interface.as_deref()?);
        // What comes on the loopback interface is never asked for its way back.
        if interface == LOOPBACK || !self.is_plain(source.is_ipv6()) {
            return None;
        }
        let on = scope::index_of(interface).ok()?;
        let is_by_it = |source| routes::route_by(source, on).is_ok_and(|route| route == routes::Route::Out(on));
        match source {
            // Any of several next hops is enough for the kernel. A route to this host is none back.
            IpAddr::V4(_) => {
                let hops = routes::hops(source).ok().filter(|hops| !hops.is_empty())?;
                Some(hops.contains(&on))
            }
            IpAddr::V6(source) if source.is_unicast_link_local() => is_by_it(source).then_some(true),
            // nftables asks for the best route, and ip6tables for one by that interface: where they differ it is left open.
            IpAddr::V6(v6) => (routes::hops(source).ok()? == [on] && is_by_it(v6)).then_some(true),
        }
    }

    fn way_out(&self, to: IpAddr) -> Option<String> {
        if !self.is_plain(to.is_ipv6()) {
            return None;
        }
        match routes::route(to, None).ok()? {
            routes::Route::Here => Some(LOOPBACK.to_owned()),
            // Of several next hops each may be the one.
            routes::Route::Out(index) => (routes::hops(to).ok()?.len() <= 1).then(|| scope::name_of(index)),
        }
    }

    fn below(&self, interface: &str) -> Option<BTreeSet<String>> {
        self.below?.get(interface).cloned()
    }

    fn is_plain(&self, is_v6: bool) -> bool {
        routes::are_plain(is_v6).unwrap_or(false)
    }
}
