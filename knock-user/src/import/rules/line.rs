//! A rule of a packet filter, as far as it is understood.

use std::net::IpAddr;

use ipnet::IpNet;
use knock_common::packet::Transport;

use super::verdict::Verdict;
use crate::config::PortRange;

/// All ports of a host.
pub(super) const ALL: [PortRange; 2] = [
    PortRange { first: 1, last: u16::MAX, transport: Transport::Tcp },
    PortRange { first: 1, last: u16::MAX, transport: Transport::Udp },
];

/// A rule, as far as it is understood.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub(super) struct RuleLine {
    /// The ports that it is for; empty for all.
    pub ports: Vec<PortRange>,
    /// The ports that it is for are not known: it says for which it is not, or names a set of them.
    pub negated: bool,
    /// The transports that it is for; empty for all.
    pub transports: Vec<Transport>,
    /// The sources that it is for; empty for all.
    pub sources: Vec<IpNet>,
    /// The sets that the source is looked for in.
    pub sets: Vec<String>,
    /// It is for all sources but these.
    pub others: bool,
    /// The interfaces that it is for; empty for all.
    pub interfaces: Vec<String>,
    /// The interface, or the pattern of interfaces, by which its packets leave.
    pub out: Option<String>,
    /// The destination is this host's loopback.
    pub to_loopback: bool,
    /// The destination is this host.
    pub to_local: bool,
    /// The one address that it is for.
    pub destination: Option<IpAddr>,
    /// No first packet of a connection to a port fits it.
    pub never: bool,
    /// It asks for something that is not understood.
    pub odd: bool,
    /// It is for IPv4 alone, or for IPv6.
    pub is_v4: Option<bool>,
    /// It is for all interfaces but these.
    pub elsewhere: Vec<String>,
    /// Its ports are those before DNAT.
    pub as_sent: bool,
    /// It asks for the state of a connection.
    pub by_state: bool,
    /// It may take a connection out of tracking.
    pub untracks: bool,
    /// Where its DNAT sends is not understood.
    pub astray: bool,
    /// The rule as it is listed.
    pub text: String,
    /// What it does.
    pub verdict: Verdict,
}

impl RuleLine {
    /// True if not all that it asks is understood by itself, or it is for all interfaces but some.
    pub fn is_odd(&self) -> bool {
        self.odd || self.negated || self.out.is_some() || !self.elsewhere.is_empty()
    }

    /// The ports that it is for; `None` for all.
    pub fn asked(&self) -> Option<Vec<PortRange>> {
        let whole = |&transport: &Transport| PortRange { first: 1, last: u16::MAX, transport };
        let is_for = |port: &&PortRange| self.transports.is_empty() || self.transports.contains(&port.transport);
        if self.negated || self.ports.is_empty() {
            (!self.transports.is_empty()).then(|| self.transports.iter().map(whole).collect())
        } else {
            Some(self.ports.iter().filter(is_for).copied().collect())
        }
    }

    /// It is for the sources in these networks, or in the others; `None`: networks that are not understood.
    pub fn add_sources(&mut self, networks: Option<Vec<IpNet>>) {
        match networks {
            Some(networks) => self.sources.extend(networks),
            None => self.odd = true,
        }
    }

    /// It is for some sources, and not for some others: that may be any.
    pub fn forget_sources(&mut self) {
        self.sources.clear();
        self.sets.clear();
        (self.others, self.odd) = (false, true);
    }

    /// It is for these destinations; `None` for those that are not understood, or for all others.
    pub fn is_to(&mut self, destinations: Option<Vec<IpNet>>) {
        let Some(found) = destinations.filter(|found| !found.is_empty()) else { return self.odd = true };
        let is_group = |network: &IpNet| match network {
            IpNet::V4(network) => network.network().is_multicast() || network.addr().is_broadcast(),
            IpNet::V6(network) => network.network().is_multicast(),
        };
        if found.iter().all(|network| network.addr().is_loopback()) {
            self.to_loopback = true;
        } else if found.iter().all(is_group) {
            self.never = true;
        } else {
            match found.as_slice() {
                [one] if one.prefix_len() == one.max_prefix_len() => self.destination = Some(one.addr()),
                _ => self.odd = true,
            }
        }
    }

    /// It is for packets in these states of a connection, or in all others.
    pub fn is_in<'a>(&mut self, negated: bool, states: impl IntoIterator<Item = &'a str>) {
        self.by_state = true;
        let states: Vec<String> = states.into_iter().map(str::to_ascii_lowercase).collect();
        let is_new = states.iter().any(|state| state == "new");
        let are_later = states.iter().all(|state| matches!(state.as_str(), "established" | "related" | "invalid"));
        match (negated, is_new, are_later) {
            (false, true, _) => {}
            (true, true, _) | (false, false, true) => self.never = true,
            _ => self.odd = true,
        }
    }
}

/// A rule in no more than a line, for messages.
pub(super) fn short(text: &str) -> String {
    const MOST: usize = 160;
    let mut short: String = text.chars().filter(|c| !c.is_control()).take(MOST).collect();
    if text.chars().nth(MOST).is_some() {
        short += " ...";
    }
    short
}
