//! Whitelists of the packet filter: whom it lets in to the protected ports without a knock.

use std::collections::HashMap;
use std::rc::Rc;

use ipnet::IpNet;
use knock_common::abi::layout::MAX_TRUSTED;

use super::Request;
use super::commands::Container;
use super::ports::{Lookup, list};
use super::rules::{Certain, Entry, Gate};
use super::settle::{Candidate, Deed};
use crate::config::PortRange;

/// Networks that should be trusted here, or might be.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Trusted {
    /// Those that should, as many as there is room for.
    pub sure: Vec<IpNet>,
    /// How many more the packet filter lets in; whether that is certain is not asked any more.
    pub left_off: usize,
    /// Those that are only proposed, and why.
    pub proposed: Vec<(IpNet, String)>,
    /// Why it is not known what else the packet filter has.
    pub unread: Vec<String>,
}

/// A network that is found.
struct Found {
    network: IpNet,
    /// How it is let in for certain.
    entries: Vec<Rc<Entry>>,
    /// Why one of the rules that let it in is not enough.
    but: Option<String>,
}

/// Looks for them, where something is protected.
pub fn find(
    doors: &[Candidate<'_>],
    services: &[Vec<PortRange>],
    interfaces: &[String],
    lookup: &mut Lookup,
    request: &Request<'_>,
) -> Trusted {
    let protected = PortRange::joined(&services.concat());
    if protected.is_empty() {
        return Trusted::default();
    }
    let gate = Gate { ports: &protected, interfaces };
    let mut found: Vec<Found> = Vec::new();
    let mut places: HashMap<IpNet, usize> = HashMap::new();
    // Rules of the same form as those that knockd adds: which of them are there now says who has knocked.
    let mine: Vec<_> =
        doors.iter().flat_map(Candidate::opened).map(|rule| (rule, PortRange::joined(&rule.ports))).collect();
    // A command may do anything to a set.
    let does_anything = doors.iter().any(|door| matches!(door.deed, Deed::Hooks(_) | Deed::Seek(_)));
    let filters = lookup.all(request);
    let certain = Certain::new(&filters, gate);
    for (_, rules) in &filters.read {
        for white in rules.whitelists(gate) {
            let entry = &white.entry;
            let whole = if white.source.addr().is_ipv4() { 32 } else { 128 };
            let knocks = mine.iter().any(|(rule, ports)| {
                let in_chain = match &rule.place {
                    Container::Everything | Container::Zone(_) => true,
                    Container::Set(_) => false,
                    place => place.name() == Some(entry.chain.as_str()),
                };
                in_chain
                    && rule.prefix.unwrap_or(whole).min(whole) == white.source.prefix_len()
                    && (ports.is_empty() || *ports == entry.ports)
            });
            let is_put_into = |set: &&String| {
                mine.iter().any(|(rule, _)| matches!(&rule.place, Container::Set(other) if other == *set))
            };
            let but = if let Some(set) = entry.set.as_ref().filter(is_put_into) {
                Some(format!("knockd puts whoever has knocked into set {set}"))
            } else if let Some(set) = entry.set.as_ref().filter(|_| white.ends) {
                Some(format!("it is in set {set} for a while only"))
            } else if knocks {
                Some("it looks like a rule that knockd has added for whoever has knocked".to_owned())
            } else if white.source.prefix_len() == whole && (entry.set.is_none() || does_anything) {
                Some("one address alone may be that of somebody who has knocked".to_owned())
            } else {
                white.doubt
            };
            let place = *places.entry(white.source).or_insert_with(|| {
                found.push(Found { network: white.source, entries: Vec::new(), but: None });
                found.len() - 1
            });
            match but {
                Some(but) => {
                    found[place].but.get_or_insert(but);
                }
                None => found[place].entries.push(white.entry),
            }
        }
    }
    let mut trusted = Trusted::default();
    for (_, why) in &filters.unread {
        if !trusted.unread.contains(why) {
            trusted.unread.push(why.clone());
        }
    }
    for Found { network, entries, but } in found {
        let has_room = trusted.sure.len() < MAX_TRUSTED as usize;
        let lacks = if entries.is_empty() {
            but
        } else {
            // One listing may be sure of what another one drops.
            lacks(&entries, gate).or_else(|| if has_room { certain.doubt(network) } else { None })
        };
        match lacks {
            Some(but) => trusted.proposed.push((network, but)),
            None if has_room => trusted.sure.push(network),
            None => trusted.left_off += 1,
        }
    }
    trusted
}

/// What is lacking for a network to be trusted: all protected ports, on all interfaces of the gate.
fn lacks(entries: &[Rc<Entry>], gate: Gate<'_>) -> Option<String> {
    let ports_of = |entries: &[&Rc<Entry>]| -> Option<Vec<PortRange>> {
        let all = entries.iter().any(|entry| entry.ports.is_empty());
        (!all).then(|| PortRange::joined(&entries.iter().flat_map(|entry| entry.ports.clone()).collect::<Vec<_>>()))
    };
    let are_in = |ports: &[PortRange]| gate.ports.iter().all(|port| covers(ports, *port));
    if let Some(ports) = ports_of(&entries.iter().collect::<Vec<_>>()).filter(|ports| !are_in(ports)) {
        let ports = list(&ports);
        return Some(format!("the packet filter lets it in to {ports} only, and trusted is for all services"));
    }
    let interface = gate.interfaces.iter().find(|interface| {
        let here: Vec<_> = entries.iter().filter(|entry| entry.is_on(interface)).collect();
        ports_of(&here).is_some_and(|ports| !are_in(&ports))
    })?;
    let place = if interface == "*" { "some interfaces" } else { interface };
    Some(format!(
        "on {place} the packet filter does not let it in to all services, and trusted is for all interfaces of the gate"
    ))
}

fn covers(ports: &[PortRange], port: PortRange) -> bool {
    ports.iter().any(|own| own.transport == port.transport && own.first <= port.first && port.last <= own.last)
}
