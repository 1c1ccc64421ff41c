//! The networks that a packet filter lets in by themselves.

use std::collections::HashMap;
use std::rc::Rc;

use ipnet::IpNet;

use super::chain::{Hook, family};
use super::line::RuleLine;
use super::ruleset::Rules;
use super::sets;
use super::verdict::Verdict;
use super::ways::{Gate, Reading, Way, covers};
use crate::config::PortRange;

/// A whitelist: sources that the filter lets in.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Whitelist {
    /// Who.
    pub source: IpNet,
    /// In which way.
    pub entry: Rc<Entry>,
    /// It is in its set for a while only.
    pub ends: bool,
    /// Why it is not certain that it is let in, if so.
    pub doubt: Option<String>,
}

/// A rule that lets sources in.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Entry {
    /// To which ports; empty for all.
    pub ports: Vec<PortRange>,
    /// The interfaces that it is for; empty for all.
    pub interfaces: Vec<String>,
    /// The chain in which it stands.
    pub chain: String,
    /// The set that they are in, if they are in one.
    pub set: Option<String>,
}

impl Entry {
    /// True if all is for these ports on an interface of the gate, or on all that fit its pattern.
    pub fn is_on(&self, interface: &str) -> bool {
        self.interfaces.is_empty() || self.interfaces.iter().any(|own| covers(own, interface))
    }
}

impl Rules {
    /// The networks that the filter lets in by themselves to ports of a gate. Only those without a doubt are sure: each
    /// rule that lets them in is understood as a whole, and none before it may drop them. What other filters do, and where
    /// DNAT sends them, is not asked here.
    pub fn whitelists(&self, gate: Gate<'_>) -> Vec<Whitelist> {
        let reading = Reading::new(self, gate);
        let before: HashMap<_, _> = self.chains.keys().map(|key| (key, reading.obstacles(key, 0).0)).collect();
        let ways = reading.ways(&before);
        let mut found = Vec::new();
        for (key, chain) in &self.chains {
            let Some(ways) = ways.get(key) else { continue };
            for (line, stopped) in chain.lines.iter().zip(&before[key]) {
                if !reading.lets_in(key, line) || line.others || !reading.may_fit(line) {
                    continue;
                }
                for way in ways.iter().filter_map(|way| way.through(line)) {
                    let ports = reading.sent(&way, line);
                    let elsewhere = ports.as_ref().is_some_and(|ports| ports.iter().all(|port| !meets(&gate, *port)));
                    if elsewhere || !gate.is_on(&way.interfaces) {
                        continue;
                    }
                    let entry = |set: Option<&String>| {
                        Rc::new(Entry {
                            ports: PortRange::joined(ports.as_deref().unwrap_or_default()),
                            interfaces: way.interfaces.clone(),
                            chain: key.1.clone(),
                            set: set.cloned(),
                        })
                    };
                    let doubt = doubt(&way, line);
                    let white = |source: IpNet, entry: &Rc<Entry>, ends| {
                        let stops = || way.before.iter().chain([stopped]).any(|stopped| stopped.meets(source));
                        let why = || stops().then(|| "a rule before that which lets it in may drop it".to_owned());
                        let doubt = doubt.clone().or_else(why);
                        Whitelist { source: source.trunc(), entry: Rc::clone(entry), ends, doubt }
                    };
                    let own = entry(None);
                    let foreign = |source: &IpNet| {
                        let v4 = source.addr().is_ipv4();
                        matches!((family(key), v4), ("ip", false) | ("ip6", true))
                    };
                    let sources = line.sources.iter().filter(|source| !foreign(source));
                    found.extend(sources.map(|source| white(*source, &own, false)));
                    for name in &line.sets {
                        let Some(set) = self.sets.get(&(key.0.clone(), name.clone())) else { continue };
                        let own = entry(Some(name));
                        let accepted =
                            |element: &&sets::Element| matches!(element.verdict, None | Some(Verdict::Accept));
                        for element in set.elements.iter().filter(accepted) {
                            let ends = set.changes || element.ends;
                            let networks = element.key.as_deref().and_then(sets::networks).unwrap_or_default();
                            found.extend(networks.into_iter().map(|network| white(network, &own, ends)));
                        }
                    }
                }
            }
        }
        found.retain(|white| {
            let source = white.source;
            source.prefix_len() > 0 && !source.addr().is_loopback() && !source.addr().is_multicast()
        });
        found
    }
}

/// Why it is not certain that a line lets in what comes on a way.
fn doubt(way: &Way, line: &RuleLine) -> Option<String> {
    let here = || match line.destination {
        _ if line.is_odd() => Some("the rule that lets it in asks for more than is understood".to_owned()),
        Some(address) if way.hook == Hook::Input => {
            Some(format!("the packet filter lets it in to the address {address} only"))
        }
        _ if usize::from(!line.sources.is_empty()) + line.sets.len() > 1 => {
            Some("the rule that lets it in asks for its address twice".to_owned())
        }
        _ => None,
    };
    way.doubt.clone().or_else(here)
}

fn meets(gate: &Gate<'_>, port: PortRange) -> bool {
    gate.ports.iter().any(|own| own.shared(port).is_some())
}
