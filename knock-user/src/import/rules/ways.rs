//! The ways on which packets to protected ports come to a chain, and what of them is certain.

use std::cell::RefCell;
use std::collections::{HashMap, VecDeque};
use std::rc::Rc;

use ipnet::IpNet;

use super::chain::{Hook, Key, family};
use super::line::{ALL, RuleLine};
use super::obstacles::{Obstacles, PASSING, anybody};
use super::ruleset::Rules;
use super::verdict::Verdict;
use crate::config::PortRange;

/// Chains that lead into each other are followed no deeper: the kernel allows no more.
pub(super) const DEEPEST: usize = 16;

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
    pub fn through(&self, line: &RuleLine) -> Option<Self> {
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

/// What is protected, and where.
#[derive(Clone, Copy, Debug)]
pub struct Gate<'a> {
    /// The ports that are protected.
    pub ports: &'a [PortRange],
    /// The interfaces on which the gate stands, or patterns of them.
    pub interfaces: &'a [String],
}

impl Gate<'_> {
    /// True if it may stand on one of these interfaces; of none if they are all.
    pub(super) fn is_on(&self, interfaces: &[String]) -> bool {
        let meets = |name: &String| self.interfaces.iter().any(|own| covers(own, name) || covers(name, own));
        interfaces.is_empty() || interfaces.iter().any(meets)
    }
}

/// The rules, read for a gate.
pub(super) struct Reading<'a> {
    pub rules: &'a Rules,
    pub gate: Gate<'a>,
    /// The protected ports as DNAT makes them.
    after: Vec<PortRange>,
    /// Who may be stopped by a chain.
    pub known: RefCell<HashMap<Key, Rc<Obstacles>>>,
}

impl<'a> Reading<'a> {
    /// Reads them.
    pub fn new(rules: &'a Rules, gate: Gate<'a>) -> Self {
        let mut after = Vec::new();
        for line in rules.chains.values().flat_map(|chain| &chain.lines) {
            let Verdict::Dnat(_, port) = line.verdict else { continue };
            let sent = line.ports.iter().filter(|range| meet(&[**range], gate.ports));
            after.extend(sent.map(|range| {
                let (first, last) = port.map_or((range.first, range.last), |port| (port, port));
                PortRange { first, last, ..*range }
            }));
        }
        Self { rules, gate, after: PortRange::joined(&after), known: RefCell::default() }
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
                if line.is_odd() || line.others || line.destination.is_some() {
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
        for (other, chain) in &self.rules.chains {
            let asks = match chain.hook {
                Some(Hook::Early | Hook::Behind | Hook::Beside | Hook::Device) => true,
                Some(Hook::Input | Hook::Forward) => chain.hook == Some(hook),
                Some(Hook::Late | Hook::Other) | None => false,
            };
            let (one, two) = (family(key), family(other));
            let is_asked = !matches!((one, two), ("ip", "ip6") | ("ip6", "ip"));
            if !asks || !is_asked || other == key || self.rules.dormant.contains(&other.0) {
                continue;
            }
            if chain.drops {
                let doubt = || format!("chain {} of table {} may drop it as well", other.1, other.0);
                way.doubt.get_or_insert_with(doubt);
            }
            way.stop(&self.stopped(other, 0));
        }
        way
    }

    /// A chain by its name in a line of another one of its table.
    pub fn chain(&self, from: &Key, name: &str) -> Option<Key> {
        let key = (from.0.clone(), name.to_owned());
        self.rules.chains.contains_key(&key).then_some(key)
    }

    /// True if a line lets its packets in.
    pub fn lets_in(&self, key: &Key, line: &RuleLine) -> bool {
        match line.verdict {
            Verdict::Accept => true,
            Verdict::Return => key.1 == "DOCKER-USER",
            _ => false,
        }
    }

    /// True if the first packet of a connection through the gate to a protected port may fit a line.
    pub fn may_fit(&self, line: &RuleLine) -> bool {
        let is_for = |ports: Vec<PortRange>| meet(&ports, self.gate.ports) || meet(&ports, &self.after);
        !line.never && !line.to_loopback && self.gate.is_on(&line.interfaces) && line.asked().is_none_or(is_for)
    }

    /// The ports as they were sent whose packets come on a way.
    pub fn sent(&self, way: &Way, line: &RuleLine) -> Option<Vec<PortRange>> {
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

/// What becomes of a packet that a rule fits.
enum Effect {
    /// The next rule sees it, or it is let in.
    Passes,
    /// A chain sees it, and then the next rule.
    Asks(Key),
    /// A chain sees it, and no rule of this chain any more.
    Leaves(Key),
    /// No rule of this chain sees it any more; a caller's rules may.
    Returns,
    /// It is dropped, or something else becomes of it.
    Stops,
}

impl Reading<'_> {
    /// Who may be stopped before each line of a chain that leads on or lets in, and who by the chain as a whole; those
    /// that it hands back are not stopped by it.
    pub(super) fn obstacles(&self, key: &Key, depth: usize) -> (Vec<Rc<Obstacles>>, Obstacles) {
        let (mut inside, mut whole) = (Rc::new(Obstacles::default()), Obstacles::default());
        let mut before = Vec::new();
        for line in self.rules.chains.get(key).into_iter().flat_map(|chain| &chain.lines) {
            crate::syntax::work::note();
            before.push(if self.leads_on(key, line) { Rc::clone(&inside) } else { Rc::default() });
            if !self.may_fit(line) {
                continue;
            }
            match self.effect(key, line) {
                Effect::Passes => {}
                Effect::Asks(to) => {
                    let stopped = self.stopped(&to, depth + 1);
                    if !stopped.is_empty() {
                        self.limit(key, line, &stopped, Rc::make_mut(&mut inside));
                        self.limit(key, line, &stopped, &mut whole);
                    }
                }
                Effect::Leaves(to) => {
                    self.limit(key, line, &self.stopped(&to, depth + 1), &mut whole);
                    self.limit(key, line, &anybody(), Rc::make_mut(&mut inside));
                }
                Effect::Returns => self.limit(key, line, &anybody(), Rc::make_mut(&mut inside)),
                Effect::Stops => {
                    self.limit(key, line, &anybody(), Rc::make_mut(&mut inside));
                    self.limit(key, line, &anybody(), &mut whole);
                }
            }
        }
        (before, whole)
    }

    /// Who may be stopped by a chain, known once for each.
    pub(super) fn stopped(&self, key: &Key, depth: usize) -> Rc<Obstacles> {
        if depth > DEEPEST {
            return Rc::new(anybody());
        }
        let known = self.known.borrow().get(key).cloned();
        known.unwrap_or_else(|| {
            // The kernel allows no circle; in a text there may be one.
            self.known.borrow_mut().insert(key.clone(), Rc::new(anybody()));
            let found = Rc::new(self.obstacles(key, depth).1);
            self.known.borrow_mut().insert(key.clone(), Rc::clone(&found));
            found
        })
    }

    /// True if the line lets in, or hands on to a chain.
    fn leads_on(&self, key: &Key, line: &RuleLine) -> bool {
        self.lets_in(key, line) || line.verdict.chain().is_some_and(|to| self.chain(key, to).is_some())
    }

    fn effect(&self, key: &Key, line: &RuleLine) -> Effect {
        match &line.verdict {
            Verdict::To(to) => match self.chain(key, to) {
                Some(to) => Effect::Asks(to),
                None if PASSING.contains(&to.as_str()) => Effect::Passes,
                None => Effect::Stops,
            },
            Verdict::Goto(to) => self.chain(key, to).map_or(Effect::Stops, Effect::Leaves),
            Verdict::Return if !self.lets_in(key, line) => Effect::Returns,
            Verdict::Stop => Effect::Stops,
            Verdict::Accept | Verdict::Return | Verdict::Dnat(..) | Verdict::Other => Effect::Passes,
        }
    }

    /// Adds those of `stopped` that a line is for, or more if that is not known.
    fn limit(&self, key: &Key, line: &RuleLine, stopped: &Obstacles, to: &mut Obstacles) {
        if stopped.is_empty() {
            return;
        }
        match self.sources(key, line) {
            Some(sources) => sources.iter().for_each(|network| to.add(network.network(), network.broadcast())),
            None => to.merge(stopped),
        }
    }

    /// The sources that a line is for, if they are known.
    fn sources(&self, key: &Key, line: &RuleLine) -> Option<Vec<IpNet>> {
        if line.others || (line.sources.is_empty() && line.sets.is_empty()) {
            return None;
        }
        let mut found = line.sources.clone();
        for name in &line.sets {
            let set = self.rules.sets.get(&(key.0.clone(), name.clone())).filter(|set| !set.changes)?;
            for element in &set.elements {
                found.extend(super::sets::networks(element.key.as_deref()?)?);
            }
        }
        Some(found)
    }
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
