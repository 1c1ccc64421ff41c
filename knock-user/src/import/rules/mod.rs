//! What the packet filter of a host has, from what `iptables-save` or `nft list ruleset` prints: which ports lead into
//! a chain, whether its packets are for this host, and which ports they had before DNAT.

mod iptables;
mod nft;
mod sets;
mod verdict;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};
use std::net::IpAddr;

use ipnet::IpNet;
use knock_common::packet::Transport;

use self::sets::Set;
use self::verdict::Verdict;
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
    /// Anywhere else.
    Other,
}

/// A rule, as far as it is understood.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
struct Line {
    /// The ports that it is for; empty for all.
    ports: Vec<PortRange>,
    /// It says for which ports it is not.
    negated: bool,
    /// The sources that it is for; empty for all.
    sources: Vec<IpNet>,
    /// The sets that the source is looked for in.
    sets: Vec<String>,
    /// The interface that it is for.
    interface: Option<String>,
    /// The destination is this host's loopback.
    to_loopback: bool,
    /// It is not about new connections, or asks for something that is not understood.
    odd: bool,
    /// What it does.
    verdict: Verdict,
}

impl Line {
    /// The interfaces that it is for, in a chain to which packets of `into` come: empty for all; `None` for none.
    fn interfaces_of(&self, into: &[String]) -> Option<Vec<String>> {
        match &self.interface {
            None => Some(into.to_vec()),
            Some(own) if into.is_empty() || into.contains(own) => Some(vec![own.clone()]),
            Some(_) => None,
        }
    }

    /// The ports of forwarded packets that it is for.
    fn forwards(&self) -> &[PortRange] {
        const ALL: [PortRange; 2] = [
            PortRange { first: 1, last: u16::MAX, transport: Transport::Tcp },
            PortRange { first: 1, last: u16::MAX, transport: Transport::Udp },
        ];
        if self.ports.is_empty() { &ALL } else { &self.ports }
    }
}

#[derive(Default)]
struct Chain {
    hook: Option<Hook>,
    lines: Vec<Line>,
}

/// A whitelist: sources that the filter lets in.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Whitelist {
    /// Who.
    pub source: IpNet,
    /// To which ports; empty for all.
    pub ports: Vec<PortRange>,
    /// The interfaces that it is for; empty for all.
    pub interfaces: Vec<String>,
    /// The chain in which it stands.
    pub chain: String,
    /// The set that it is in, if it is in one.
    pub set: Option<String>,
    /// It is in that set for a while only.
    pub ends: bool,
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
        nft::read(text, names, &mut rules.chains, &mut rules.sets);
        for (key, chain) in &rules.chains {
            for (index, line) in chain.lines.iter().enumerate() {
                if let Verdict::To(to) = &line.verdict {
                    rules.jumps.entry((key.0.clone(), to.clone())).or_default().push((key.clone(), index));
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
                if let Verdict::To(to) = &line.verdict {
                    next.push_back(((key.0.clone(), to.clone()), hook));
                }
            }
        }
    }

    /// Whose packets come to a chain of a table.
    pub fn whose(&self, table: &str, chain: &str) -> Whose {
        let hooks = self.whose.get(&(table.to_owned(), chain.to_owned()));
        match hooks {
            Some(hooks) if hooks.contains(&Hook::Input) => Whose::Ours,
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
        let every = || format!("packets to every port come to chain {chain}");
        self.led_into(table, chain)?.ok_or_else(every)
    }

    /// The same; `None`: those of every port.
    fn led_into(&self, table: &str, chain: &str) -> Result<Option<Vec<PortRange>>, String> {
        let start: Key = (table.to_owned(), chain.to_owned());
        let mut ports = Vec::new();
        let mut seen = HashSet::from([&start]);
        let mut next = VecDeque::from([&start]);
        while let Some(into) = next.pop_front() {
            if self.chains.get(into).is_some_and(|chain| chain.hook == Some(Hook::Input)) {
                return Ok(None);
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
        if ports.is_empty() { Err(format!("no rule with a port leads into chain {chain}")) } else { Ok(Some(ports)) }
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
                if !matches!(line.verdict, Verdict::Accept | Verdict::To(_)) {
                    continue;
                }
                asked = true;
                if line.negated {
                    return Err(format!("a rule with ! asks set {set}"));
                } else if self.whose(&key.0, &key.1) == Whose::Forwarded {
                    ports.extend(self.before_dnat(line.forwards(), None));
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

    /// The networks that the filter lets in by themselves.
    pub fn whitelists(&self) -> Vec<Whitelist> {
        let mut found = Vec::new();
        for (key, chain) in &self.chains {
            let whose = self.whose(&key.0, &key.1);
            let into = self.interfaces_into(key);
            for line in &chain.lines {
                let lets_in = match line.verdict {
                    Verdict::Accept => true,
                    Verdict::Return => key.1 == "DOCKER-USER",
                    _ => false,
                };
                if !lets_in || line.odd || line.negated {
                    continue;
                }
                let Some(interfaces) = line.interfaces_of(&into) else { continue };
                let ports = match whose {
                    Whose::Ours if line.ports.is_empty() => match self.led_into(&key.0, &key.1) {
                        Ok(ports) => ports.unwrap_or_default(),
                        Err(_) => continue,
                    },
                    Whose::Ours => line.ports.clone(),
                    Whose::Forwarded => match self.before_dnat(line.forwards(), None) {
                        ports if ports.is_empty() => continue,
                        ports => ports,
                    },
                    Whose::Nobodys => continue,
                };
                let white = |source: IpNet, set: Option<&String>, ends| Whitelist {
                    source: source.trunc(),
                    ports: PortRange::joined(&ports),
                    interfaces: interfaces.clone(),
                    chain: key.1.clone(),
                    set: set.cloned(),
                    ends,
                };
                found.extend(line.sources.iter().map(|source| white(*source, None, false)));
                for name in &line.sets {
                    let Some(set) = self.sets.get(&(key.0.clone(), name.clone())) else { continue };
                    let accepted = |element: &&sets::Element| matches!(element.verdict, None | Some(Verdict::Accept));
                    for element in set.elements.iter().filter(accepted) {
                        let ends = set.changes || element.ends;
                        let networks = element.key.as_deref().and_then(sets::networks).unwrap_or_default();
                        found.extend(networks.into_iter().map(|network| white(network, Some(name), ends)));
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

    /// The interfaces whose packets come to a chain; empty for all.
    fn interfaces_into(&self, chain: &Key) -> Vec<String> {
        let mut found = BTreeSet::new();
        let mut seen = HashSet::from([chain]);
        let mut next = VecDeque::from([chain]);
        while let Some(into) = next.pop_front() {
            if self.chains.get(into).is_some_and(|chain| chain.hook.is_some()) {
                return Vec::new();
            }
            for (from, index) in self.jumps.get(into).into_iter().flatten() {
                match self.chains.get(from).and_then(|chain| chain.lines.get(*index)) {
                    Some(Line { interface: Some(name), .. }) => drop(found.insert(name.clone())),
                    Some(_) if seen.insert(from) => next.push_back(from),
                    _ => {}
                }
            }
        }
        found.into_iter().collect()
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
