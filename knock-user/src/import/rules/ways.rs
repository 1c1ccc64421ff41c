//! The ways on which packets to protected ports come to a chain, and what of them is certain.

use std::cell::RefCell;
use std::collections::{HashMap, VecDeque};
use std::rc::Rc;

use super::obstacles::Obstacles;
use super::{ALL, Gate, Hook, Key, Line, Rules, Verdict};
use crate::config::PortRange;

/// Ways to one chain that are told from each other.
const MOST: usize = 64;

/// A way to a chain.
#[derive(Clone, Debug)]
pub(super) struct Way {
    /// Where it begins.
    pub hook: Hook,
    /// The ports whose packets come; `None` for all.
    pub ports: Option<Vec<PortRange>>,
    /// The interfaces whose packets come; empty for all.
    pub interfaces: Vec<String>,
    /// Why it is not certain that they come, if so.
    pub doubt: Option<String>,
    /// Who may be stopped on it.
    pub before: Vec<Rc<Obstacles>>,
}

impl Way {
    /// The packets on it that a line is for as well; `None` if there are none.
    pub fn through(&self, line: &Line) -> Option<Self> {
        let ports = match (&self.ports, line.asked()) {
            (ports, None) => ports.clone(),
            (None, ports) => ports,
            (Some(some), Some(others)) => Some(shared(some, &others)),
        };
        let interfaces = if line.interfaces.is_empty() || self.interfaces.is_empty() {
            [line.interfaces.as_slice(), self.interfaces.as_slice()].concat()
        } else {
            let one = line.interfaces.iter().filter(|name| self.interfaces.iter().any(|other| covers(other, name)));
            let other = self.interfaces.iter().filter(|name| line.interfaces.iter().any(|one| covers(one, name)));
            let mut both: Vec<String> = one.chain(other).cloned().collect();
            both.sort();
            both.dedup();
            if both.is_empty() {
                return None;
            }
            both
        };
        let goes_on = !line.never && !line.to_loopback && ports.as_ref().is_none_or(|ports| !ports.is_empty());
        goes_on.then(|| Self { ports, interfaces, ..self.clone() })
    }

    fn is_like(&self, other: &Self) -> bool {
        (self.hook, &self.ports, &self.interfaces, &self.doubt)
            == (other.hook, &other.ports, &other.interfaces, &other.doubt)
            && self.before == other.before
    }
}

/// The rules, read for a gate.
pub(super) struct Reading<'a> {
    pub rules: &'a Rules,
    pub gate: Gate<'a>,
    /// What other programs list, and may be asked as well.
    beside: Vec<Self>,
    /// The protected ports as DNAT makes them.
    after: Vec<PortRange>,
    /// Who may be stopped by a chain.
    pub known: RefCell<HashMap<Key, Rc<Obstacles>>>,
}

impl<'a> Reading<'a> {
    /// Reads them, and those that stand beside them.
    pub fn new(rules: &'a Rules, beside: &[&'a Rules], gate: Gate<'a>) -> Self {
        let mut after = Vec::new();
        for line in rules.chains.values().flat_map(|chain| &chain.lines) {
            let Verdict::Dnat(_, port) = line.verdict else { continue };
            let sent = line.ports.iter().filter(|range| meet(&[**range], gate.ports));
            after.extend(sent.map(|range| {
                let (first, last) = port.map_or((range.first, range.last), |port| (port, port));
                PortRange { first, last, ..*range }
            }));
        }
        let beside = beside.iter().map(|rules| Self::new(rules, &[], gate)).collect();
        Self { rules, gate, beside, after: PortRange::joined(&after), known: RefCell::default() }
    }

    /// The ways to each chain, from the hooks for this host and for others.
    pub fn ways(&self, before: &HashMap<&Key, Vec<Rc<Obstacles>>>) -> HashMap<Key, Vec<Way>> {
        let mut next: VecDeque<(Key, Way)> = VecDeque::new();
        for (key, chain) in &self.rules.chains {
            // What a bridge forwards had no DNAT of this host.
            if let Some(hook @ (Hook::Input | Hook::Forward)) = chain.hook
                && family(key) != "bridge"
            {
                next.push_back((key.clone(), self.start(key, hook)));
            }
        }
        let mut found: HashMap<Key, Vec<Way>> = HashMap::new();
        while let Some((key, mut way)) = next.pop_front() {
            let known = found.entry(key.clone()).or_default();
            if known.len() > MOST || known.iter().any(|other| other.is_like(&way)) {
                continue;
            }
            if known.len() == MOST {
                way.doubt = Some(format!("more ways than {MOST} lead into chain {}", key.1));
            }
            known.push(way.clone());
            let lines = self.rules.chains.get(&key).into_iter().flat_map(|chain| &chain.lines);
            for (line, stopped) in lines.zip(before.get(&key).into_iter().flatten()) {
                let Some(to) = line.verdict.chain().and_then(|to| self.chain(&key, to)) else { continue };
                let Some(mut on) = way.through(line) else { continue };
                if line.odd || line.negated || line.others || line.destination.is_some() {
                    let doubt = || format!("a rule that leads into chain {} asks for more than is understood", to.1);
                    on.doubt.get_or_insert_with(doubt);
                } else if !line.sources.is_empty() || !line.sets.is_empty() {
                    let doubt = || format!("a rule that leads into chain {} is for some sources only", to.1);
                    on.doubt.get_or_insert_with(doubt);
                }
                on.stop(stopped);
                next.push_back((to, on));
            }
        }
        found
    }

    /// The way to a base chain: others may be asked as well, and each of them may drop.
    fn start(&self, key: &Key, hook: Hook) -> Way {
        let mut way = Way { hook, ports: None, interfaces: Vec::new(), doubt: None, before: Vec::new() };
        if self.rules.dormant.contains(&key.0) {
            way.doubt = Some(format!("table {} is dormant", key.0));
        }
        let own = self.rules.chains.iter().map(|(other, chain)| (self, other, chain));
        // What nftables lists of the rules of iptables is the same.
        let beside = self.beside.iter().flat_map(|reading| {
            let more = reading.rules.chains.iter().filter(|(other, _)| !self.rules.chains.contains_key(*other));
            more.map(move |(other, chain)| (reading, other, chain))
        });
        for (reading, other, chain) in own.chain(beside) {
            let asks = match chain.hook {
                Some(Hook::Early | Hook::Device) => true,
                Some(Hook::Input | Hook::Forward) => chain.hook == Some(hook),
                Some(Hook::Other) | None => false,
            };
            let (one, two) = (family(key), family(other));
            let is_asked = !matches!((one, two), ("ip", "ip6") | ("ip6", "ip"));
            if !asks || !is_asked || other == key || reading.rules.dormant.contains(&other.0) {
                continue;
            }
            if chain.drops {
                let doubt = || format!("chain {} of table {} may drop it as well", other.1, other.0);
                way.doubt.get_or_insert_with(doubt);
            }
            way.stop(&reading.stopped(other, 0));
        }
        way
    }

    /// A chain by its name in a line of another one of its table.
    pub fn chain(&self, from: &Key, name: &str) -> Option<Key> {
        let key = (from.0.clone(), name.to_owned());
        self.rules.chains.contains_key(&key).then_some(key)
    }

    /// True if a line lets its packets in.
    pub fn lets_in(&self, key: &Key, line: &Line) -> bool {
        match line.verdict {
            Verdict::Accept => true,
            Verdict::Return => key.1 == "DOCKER-USER",
            _ => false,
        }
    }

    /// True if the first packet of a connection through the gate to a protected port may fit a line.
    pub fn may_fit(&self, line: &Line) -> bool {
        let is_for = |ports: Vec<PortRange>| meet(&ports, self.gate.ports) || meet(&ports, &self.after);
        !line.never && !line.to_loopback && self.gate.is_on(&line.interfaces) && line.asked().is_none_or(is_for)
    }

    /// The ports as they were sent whose packets come on a way.
    pub fn sent(&self, way: &Way, line: &Line) -> Option<Vec<PortRange>> {
        match (way.hook, &way.ports) {
            (Hook::Forward, ports) => Some(self.rules.before_dnat(ports.as_deref().unwrap_or(&ALL), line.destination)),
            (_, ports) => ports.clone(),
        }
    }
}

impl Way {
    /// Some may be stopped on it.
    fn stop(&mut self, stopped: &Rc<Obstacles>) {
        if !stopped.is_empty() && !self.before.contains(stopped) {
            self.before.push(Rc::clone(stopped));
        }
    }
}

fn family(key: &Key) -> &str {
    key.0.split(' ').next().unwrap_or_default()
}

/// True if a port is in both.
fn meet(some: &[PortRange], others: &[PortRange]) -> bool {
    some.iter().any(|one| others.iter().any(|other| one.shared(*other).is_some()))
}

/// The ports that are in both.
fn shared(some: &[PortRange], others: &[PortRange]) -> Vec<PortRange> {
    let both = |one: PortRange, other: PortRange| {
        let (first, last) = (one.first.max(other.first), one.last.min(other.last));
        (one.transport == other.transport && first <= last).then_some(PortRange { first, last, ..one })
    };
    PortRange::joined(
        &some.iter().flat_map(|&one| others.iter().filter_map(move |&other| both(one, other))).collect::<Vec<_>>(),
    )
}

/// True if an interface, or each that fits a pattern, fits another pattern.
pub(super) fn covers(pattern: &str, name: &str) -> bool {
    pattern == name || pattern.strip_suffix('*').is_some_and(|stem| name.starts_with(stem))
}
