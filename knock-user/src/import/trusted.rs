//! Whitelists of the packet filter: whom it lets in to the protected ports without a knock.

use ipnet::IpNet;
use knock_common::layout::MAX_TRUSTED;

use super::commands::Place;
use super::ports::{Lookup, list};
use super::settle::{Candidate, Deed};
use super::{Listing, Request};
use crate::config::PortRange;

/// A network that should be trusted here, or might be.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Trusted {
    /// Which.
    pub network: IpNet,
    /// Why it is only proposed, if so.
    pub but: Option<String>,
}

/// Looks for them, where something is protected.
pub fn find(
    doors: &[Candidate<'_>],
    services: &[Vec<PortRange>],
    interfaces: &[String],
    lookup: &mut Lookup,
    request: &Request<'_>,
) -> Vec<Trusted> {
    let protected = PortRange::joined(&services.concat());
    let mut found: Vec<Trusted> = Vec::new();
    if protected.is_empty() {
        return found;
    }
    // Rules of the same form as those that knockd adds: which of them are there now says who has knocked.
    let mine: Vec<_> =
        doors.iter().flat_map(Candidate::opened).map(|rule| (rule, PortRange::joined(&rule.ports))).collect();
    // A command may do anything to a set.
    let does_anything = doors.iter().any(|door| matches!(door.deed, Deed::Hooks(_) | Deed::Seek(_)));
    for listing in [Listing::Iptables, Listing::Ip6tables, Listing::Nft] {
        let Ok(rules) = lookup.listed(listing, request) else { continue };
        for white in rules.whitelists() {
            let here = |name: &String| interfaces.iter().any(|own| own == name || own == "*");
            let elsewhere = !white.interfaces.is_empty() && !white.interfaces.iter().any(here);
            let other_ports = !white.ports.is_empty() && !white.ports.iter().any(|port| meets(&protected, *port));
            if elsewhere || other_ports {
                continue;
            }
            let whole = if white.source.addr().is_ipv4() { 32 } else { 128 };
            let knocks = mine.iter().any(|(rule, ports)| {
                let in_chain = match &rule.place {
                    Place::Everything | Place::Zone(_) => true,
                    Place::Set(_) => false,
                    place => place.name() == Some(white.chain.as_str()),
                };
                in_chain
                    && rule.prefix.unwrap_or(whole).min(whole) == white.source.prefix_len()
                    && (ports.is_empty() || *ports == white.ports)
            });
            let all = white.ports.is_empty() || protected.iter().all(|port| covers(&white.ports, *port));
            let is_put_into =
                |set: &&String| mine.iter().any(|(rule, _)| matches!(&rule.place, Place::Set(other) if other == *set));
            let but = if let Some(set) = white.set.as_ref().filter(is_put_into) {
                Some(format!("knockd puts whoever has knocked into set {set}"))
            } else if let Some(set) = white.set.as_ref().filter(|_| white.ends) {
                Some(format!("it is in set {set} for a while only"))
            } else if knocks {
                Some("it looks like a rule that knockd has added for whoever has knocked".to_owned())
            } else if white.source.prefix_len() == whole && (white.set.is_none() || does_anything) {
                Some("one address alone may be that of somebody who has knocked".to_owned())
            } else if all {
                None
            } else {
                Some(format!(
                    "the packet filter lets it in to {} only, and trusted is for all services",
                    list(&white.ports)
                ))
            };
            match found.iter_mut().find(|other| other.network == white.source) {
                Some(other) => other.but = other.but.take().and(but),
                None => found.push(Trusted { network: white.source, but }),
            }
        }
    }
    found.truncate(MAX_TRUSTED as usize);
    found
}

fn meets(ports: &[PortRange], port: PortRange) -> bool {
    ports.iter().any(|other| other.shared(port).is_some())
}

fn covers(ports: &[PortRange], port: PortRange) -> bool {
    ports.iter().any(|own| own.transport == port.transport && own.first <= port.first && port.last <= own.last)
}
