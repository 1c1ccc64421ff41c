//! Sources whose packets may be dropped before a rule sees them.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::rc::Rc;

use ipnet::IpNet;

use super::ways::Reading;
use super::{Key, Line, Verdict};

/// Chains that lead into each other are followed no deeper: the kernel allows no more.
const DEEPEST: usize = 16;

/// Targets of iptables after which packets go on to the next rule.
pub(super) const PASSING: [&str; 15] = [
    "AUDIT", "CHECKSUM", "CLASSIFY", "CONNMARK", "CT", "DSCP", "HMARK", "LOG", "MARK", "NFLOG", "NOTRACK", "SECMARK",
    "SET", "TCPMSS", "TRACE",
];

/// Who may be stopped.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub(super) struct Obstacles {
    anybody: bool,
    /// Ranges of addresses that do not meet: the last one by the first one.
    ranges: BTreeMap<IpAddr, IpAddr>,
}

impl Obstacles {
    /// True if nobody is stopped.
    pub(super) fn is_empty(&self) -> bool {
        !self.anybody && self.ranges.is_empty()
    }

    /// True if an address of the network may be stopped.
    pub(super) fn meets(&self, network: IpNet) -> bool {
        let before = || self.ranges.range(..=network.broadcast()).next_back();
        self.anybody || before().is_some_and(|(_, last)| *last >= network.network())
    }

    /// All of the addresses may be stopped.
    fn add(&mut self, first: IpAddr, last: IpAddr) {
        let (mut first, mut last) = (first, last);
        while let Some((&from, &to)) = self.ranges.range(..=last).next_back().filter(|(_, to)| **to >= first) {
            self.ranges.remove(&from);
            (first, last) = (first.min(from), last.max(to));
        }
        self.ranges.insert(first, last);
    }

    /// Those of the other as well.
    fn merge(&mut self, other: &Self) {
        self.anybody |= other.anybody;
        for (&first, &last) in &other.ranges {
            self.add(first, last);
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
    fn leads_on(&self, key: &Key, line: &Line) -> bool {
        self.lets_in(key, line) || line.verdict.chain().is_some_and(|to| self.chain(key, to).is_some())
    }

    fn effect(&self, key: &Key, line: &Line) -> Effect {
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
    fn limit(&self, key: &Key, line: &Line, stopped: &Obstacles, to: &mut Obstacles) {
        if stopped.is_empty() {
            return;
        }
        match self.sources(key, line) {
            Some(sources) => sources.iter().for_each(|network| to.add(network.network(), network.broadcast())),
            None => to.merge(stopped),
        }
    }

    /// The sources that a line is for, if they are known.
    fn sources(&self, key: &Key, line: &Line) -> Option<Vec<IpNet>> {
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

/// Anybody may be stopped.
fn anybody() -> Obstacles {
    Obstacles { anybody: true, ..Obstacles::default() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_that_meet_are_one() {
        let net = |text: &str| text.parse::<IpNet>().unwrap();
        let mut obstacles = Obstacles::default();
        for network in ["192.0.2.0/26", "192.0.2.128/25", "2001:db8::/64", "192.0.2.0/24", "198.51.100.7/32"] {
            obstacles.add(net(network).network(), net(network).broadcast());
        }
        assert_eq!(obstacles.ranges.len(), 3);
        for (network, meets) in [
            ("192.0.2.200/32", true),
            ("192.0.0.0/16", true),
            ("192.0.1.0/24", false),
            ("192.0.3.0/24", false),
            ("198.51.100.0/24", true),
            ("198.51.100.8/32", false),
            ("2001:db8::/32", true),
            ("2001:db8:0:1::/64", false),
            ("::/8", false),
        ] {
            assert_eq!(obstacles.meets(net(network)), meets, "{network}");
        }
        assert!(anybody().meets(net("192.0.3.0/24")) && !Obstacles::default().meets(net("::/0")));
    }
}
