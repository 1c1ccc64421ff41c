//! All rules of a host: whose packets come to a chain, and which ports lead to it.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};
use std::net::IpAddr;

use super::chain::{Chain, Hook, Key};
use super::line::ALL;
use super::sets::Set;
use super::verdict::Verdict;
use crate::config::PortRange;

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
    /// By table and name.
    pub(super) chains: BTreeMap<Key, Chain>,
    /// Sets and verdict maps of nftables.
    pub(super) sets: BTreeMap<Key, Set>,
    /// Tables that are there and do nothing.
    pub(super) dormant: BTreeSet<String>,
    /// By the chain into which rules lead: from which, and which line of it.
    jumps: HashMap<Key, Vec<(Key, usize)>>,
    /// From which hooks packets come to a chain.
    whose: HashMap<Key, BTreeSet<Hook>>,
}

impl Rules {
    /// Finds out what leads into each chain, once all have been read.
    pub(super) fn connect(&mut self) {
        for (key, chain) in &self.chains {
            for (index, line) in chain.lines.iter().enumerate() {
                if let Some(to) = line.verdict.chain() {
                    self.jumps.entry((key.0.clone(), to.to_owned())).or_default().push((key.clone(), index));
                }
            }
        }
        self.reach();
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
