//! What the packet filter of a host has, from what `iptables-save` or `nft list ruleset` prints: which ports lead into
//! a chain, whether its packets are for this host, and which ports they had before DNAT.

mod iptables;
mod nft;
mod obstacles;
mod sets;
mod verdict;
mod ways;
mod whitelist;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};
use std::net::IpAddr;

use ipnet::IpNet;
use knock_common::packet::Transport;

use self::sets::Set;
use self::verdict::Verdict;
pub use self::ways::Gate;
pub use self::whitelist::Entry;
use crate::config::{PortNames, PortRange};

/// A table, such as `ip filter`, and a chain of it.
type Key = (String, String);

/// Where the kernel hands packets to a base chain.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Hook {
    /// For this host.
    Input,
    /// For others.
    Forward,
    /// From a device or within a bridge: for this host, and for others as well.
    Device,
    /// Before those for this host, or beside them: none is let in here for good.
    Early,
    /// Anywhere else.
    Other,
}

impl Hook {
    /// True if packets for this host's ports come here.
    const fn is_ours(self) -> bool {
        matches!(self, Self::Input | Self::Device)
    }
}

/// A rule, as far as it is understood.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
struct Line {
    /// The ports that it is for; empty for all.
    ports: Vec<PortRange>,
    /// The ports that it is for are not known: it says for which it is not, or names a set of them.
    negated: bool,
    /// The transports that it is for; empty for all.
    transports: Vec<Transport>,
    /// The sources that it is for; empty for all.
    sources: Vec<IpNet>,
    /// The sets that the source is looked for in.
    sets: Vec<String>,
    /// It is for all sources but these.
    others: bool,
    /// The interfaces that it is for; empty for all.
    interfaces: Vec<String>,
    /// The destination is this host's loopback.
    to_loopback: bool,
    /// The one address that it is for.
    destination: Option<IpAddr>,
    /// No first packet of a connection to a port fits it.
    never: bool,
    /// It asks for something that is not understood.
    odd: bool,
    /// What it does.
    verdict: Verdict,
}

impl Line {
    /// The ports that it is for; `None` for all.
    fn asked(&self) -> Option<Vec<PortRange>> {
        let whole = |&transport: &Transport| PortRange { first: 1, last: u16::MAX, transport };
        let is_for = |port: &&PortRange| self.transports.is_empty() || self.transports.contains(&port.transport);
        if self.negated || self.ports.is_empty() {
            (!self.transports.is_empty()).then(|| self.transports.iter().map(whole).collect())
        } else {
            Some(self.ports.iter().filter(is_for).copied().collect())
        }
    }

    /// It is for the sources in these networks, or in the others; `None`: networks that are not understood.
    fn add_sources(&mut self, networks: Option<Vec<IpNet>>) {
        match networks {
            Some(networks) => self.sources.extend(networks),
            None => self.odd = true,
        }
    }

    /// It is for these destinations; `None` for those that are not understood, or for all others.
    fn is_to(&mut self, destinations: Option<Vec<IpNet>>) {
        let Some(found) = destinations.filter(|found| !found.is_empty()) else { return self.odd = true };
        let is_group = |network: &IpNet| match network {
            IpNet::V4(network) => network.network().is_multicast() || network.addr().is_broadcast(),
            IpNet::V6(network) => network.network().is_multicast(),
        };
        if found.iter().any(|network| network.addr().is_loopback()) {
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
    fn is_in<'a>(&mut self, negated: bool, states: impl IntoIterator<Item = &'a str>) {
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

/// All ports of a host.
const ALL: [PortRange; 2] = [
    PortRange { first: 1, last: u16::MAX, transport: Transport::Tcp },
    PortRange { first: 1, last: u16::MAX, transport: Transport::Udp },
];

#[derive(Default)]
struct Chain {
    hook: Option<Hook>,
    /// What no rule decides about is dropped.
    drops: bool,
    lines: Vec<Line>,
}

/// Whose packets come to a chain.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Whose {
    /// This host's, and maybe others' as well.
    Ours,
    /// Others' only: they are forwarded.
    Forwarded,
    /// Nothing leads into it.
    Nobodys,
}

/// The rules of a host.
#[derive(Default)]
pub struct Rules {
    chains: BTreeMap<Key, Chain>,
    /// Sets and verdict maps of nftables.
    sets: BTreeMap<Key, Set>,
    /// Tables that are there and do nothing.
    dormant: BTreeSet<String>,
    /// By the chain into which rules lead: from which, and which line of it.
    jumps: HashMap<Key, Vec<(Key, usize)>>,
    /// From which hooks packets come to a chain.
    whose: HashMap<Key, BTreeSet<Hook>>,
}

impl Rules {
    /// Reads what one of the two programs prints, or both in one text.
    ///
    /// # Errors
    ///
    /// Of which rule the ports are not understood, as the end of a sentence.
    pub fn parse(text: &str, names: &PortNames) -> Result<Self, String> {
        let mut rules = Self::default();
        iptables::read(text, names, &mut rules.chains)?;
        nft::read(text, names, &mut rules);
        for (key, chain) in &rules.chains {
            for (index, line) in chain.lines.iter().enumerate() {
                if let Some(to) = line.verdict.chain() {
                    rules.jumps.entry((key.0.clone(), to.to_owned())).or_default().push((key.clone(), index));
                }
            }
        }
        rules.reach();
        Ok(rules)
    }

    /// Finds out from which hooks each chain is reached.
    fn reach(&mut self) {
        let mut next: VecDeque<(Key, Hook)> =
            self.chains.iter().filter_map(|(key, chain)| Some((key.clone(), chain.hook?))).collect();
        while let Some((key, hook)) = next.pop_front() {
            if !self.whose.entry(key.clone()).or_default().insert(hook) {
                continue;
            }
            for line in self.chains.get(&key).into_iter().flat_map(|chain| &chain.lines) {
                if let Some(to) = line.verdict.chain() {
                    next.push_back(((key.0.clone(), to.to_owned()), hook));
                }
            }
        }
    }

    /// Whose packets come to a chain of a table.
    pub fn whose(&self, table: &str, chain: &str) -> Whose {
        let hooks = self.whose.get(&(table.to_owned(), chain.to_owned()));
        match hooks {
            Some(hooks) if hooks.iter().any(|hook| hook.is_ours()) => Whose::Ours,
            Some(hooks) if hooks.contains(&Hook::Forward) => Whose::Forwarded,
            Some(_) | None => Whose::Nobodys,
        }
    }

    /// The ports whose packets reach `chain` from INPUT.
    ///
    /// # Errors
    ///
    /// Why that is not known, as the end of a sentence.
    pub fn ports_into(&self, table: &str, chain: &str) -> Result<Vec<PortRange>, String> {
        let start: Key = (table.to_owned(), chain.to_owned());
        let mut ports = Vec::new();
        let mut seen = HashSet::from([&start]);
        let mut next = VecDeque::from([&start]);
        while let Some(into) = next.pop_front() {
            if self.chains.get(into).is_some_and(|chain| chain.hook.is_some_and(Hook::is_ours)) {
                return Err(format!("packets to every port come to chain {chain}"));
            }
            let mut used = false;
            for (from, index) in self.jumps.get(into).into_iter().flatten() {
                if self.whose(&from.0, &from.1) != Whose::Ours {
                    continue;
                }
                let Some(line) = self.chains.get(from).and_then(|chain| chain.lines.get(*index)) else { continue };
                used = true;
                if line.negated {
                    return Err(format!("a rule with ! leads into chain {}", into.1));
                } else if line.ports.is_empty() && seen.insert(from) {
                    next.push_back(from);
                } else {
                    ports.extend(line.ports.iter().copied());
                }
            }
            if !used && *into == start {
                return Err(format!("no rule leads into chain {chain}"));
            }
        }
        if ports.is_empty() { Err(format!("no rule with a port leads into chain {chain}")) } else { Ok(ports) }
    }

    /// The ports to which sources in a set are let in.
    ///
    /// # Errors
    ///
    /// Why that is not known, as the end of a sentence.
    pub fn ports_of_set(&self, set: &str) -> Result<Vec<PortRange>, String> {
        let mut ports = Vec::new();
        let mut asked = false;
        for (key, chain) in &self.chains {
            for line in chain.lines.iter().filter(|line| line.sets.iter().any(|other| other == set)) {
                if !matches!(line.verdict, Verdict::Accept | Verdict::To(_) | Verdict::Goto(_)) {
                    continue;
                }
                asked = true;
                if line.negated {
                    return Err(format!("a rule with ! asks set {set}"));
                } else if self.whose(&key.0, &key.1) == Whose::Forwarded {
                    ports.extend(self.before_dnat(&line.asked().unwrap_or_else(|| ALL.to_vec()), None));
                } else if line.ports.is_empty() {
                    ports.extend(self.ports_into(&key.0, &key.1)?);
                } else {
                    ports.extend(line.ports.iter().copied());
                }
            }
        }
        match (asked, ports.is_empty()) {
            (false, _) => Err(format!("no rule lets in who is in set {set}")),
            (true, true) => Err(format!("no rule with a port of this host asks set {set}")),
            (true, false) => Ok(ports),
        }
    }

    /// The ports to which packets were sent that have these ports after DNAT, and this destination.
    pub fn before_dnat(&self, ports: &[PortRange], destination: Option<IpAddr>) -> Vec<PortRange> {
        let mut before = Vec::new();
        for line in self.chains.values().flat_map(|chain| &chain.lines) {
            let Verdict::Dnat(to, port) = &line.verdict else { continue };
            if line.negated || line.to_loopback || (destination.is_some() && *to != destination) {
                continue;
            }
            for range in &line.ports {
                let meets = |wanted: &PortRange| match port {
                    Some(port) => wanted.transport == range.transport && (wanted.first..=wanted.last).contains(port),
                    None => wanted.shared(*range).is_some(),
                };
                if ports.iter().any(meets) {
                    before.push(*range);
                }
            }
        }
        PortRange::joined(&before)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAVED: &str = "# Generated by iptables-save v1.8.9 (nf_tables)
*nat
-A PREROUTING -p tcp -m tcp --dport 80 -j SSH2
COMMIT
*filter
:INPUT ACCEPT [0:0]
:SSH2 - [0:0]
[12:720] -A INPUT -p tcp -m tcp --dport 2222 -m comment --comment \"to -j \\\"SSH2\\\"\" -m conntrack --ctstate NEW -j SSH2
-A FORWARD -p tcp -m tcp --dport 23 -j SSH2
-A INPUT -j ALL
-A INPUT -p tcp -m multiport --dports 80,443,8000:8010 -j OUTER
-A INPUT -p udp -m udp --dport 53 -j OUTER
-A OUTER -m conntrack --ctstate NEW -j INNER
-A INNER -j OUTER
-A INPUT -p tcp -m tcp ! --dport 22 -j NOT
-A FORWARD -p tcp -m tcp --dport 22 -j AWAY
-A SSH2 -m limit --limit 3/min -j LOG --log-prefix \"did not knock: \"
-A SSH2 -j DROP
COMMIT
";

    fn into(chain: &str) -> Result<String, String> {
        let ports = Rules::parse(SAVED, &PortNames::default())?.ports_into("ip filter", chain)?;
        Ok(ports.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "))
    }

    #[test]
    fn ports_lead_into_a_chain_directly_or_through_others() {
        assert_eq!(into("SSH2").as_deref(), Ok("2222/tcp"));
        assert_eq!(into("INNER").as_deref(), Ok("80/tcp 443/tcp 8000-8010/tcp 53/udp"));
    }

    #[test]
    fn what_does_not_say_which_ports_is_an_error() {
        for (chain, why) in [
            ("ALL", "packets to every port come to chain ALL"),
            ("INPUT", "packets to every port come to chain INPUT"),
            ("NOT", "a rule with ! leads into chain NOT"),
            ("AWAY", "no rule leads into chain AWAY"),
            ("NONE", "no rule leads into chain NONE"),
        ] {
            assert_eq!(into(chain), Err(why.to_owned()));
        }
    }
}
