//! Whether the first packets of a network's connections are let in for certain: by every listing, on every way that they
//! may go, whatever becomes of what is not understood.

use std::cell::Cell;
use std::collections::{BTreeSet, HashMap};
use std::net::IpAddr;
use std::rc::Rc;

use ipnet::IpNet;

use super::chain::{Chain, Hook, Key, family};
use super::line::RuleLine;
use super::obstacles::{Obstacles, PASSING, UNTRACKING, anybody};
use super::ruleset::Rules;
use super::sets::{self, Set};
use super::stacked::may_stand_on;
use super::verdict::Verdict;
use super::ways::{DEEPEST, Gate, covers};
use crate::config::PortRange;
use crate::import::request::Listing;

/// So many steps are made for all networks together: rules, or chains, that are held against packets. Each network may
/// meet each rule, on each interface and for each port.
const MOST_STEPS: u32 = 2_000_000;

/// What the packet filters of a host list.
#[derive(Default)]
pub struct Filters<'a> {
    /// What could be read.
    pub read: Vec<(Listing, &'a Rules)>,
    /// What could not, and why.
    pub unread: Vec<(Listing, String)>,
}

/// All of it, prepared for a gate.
pub struct Certain<'a> {
    filters: &'a Filters<'a>,
    known: Vec<Known<'a>>,
    /// The gate's, in ranges of which no rule is for a part alone.
    ports: Vec<PortRange>,
    /// On which the packets may come in; behind each that may stand on another one, that one.
    interfaces: Vec<(String, Option<String>)>,
    /// By which interface Docker lets packets out to an address to which it publishes ports, if it is one alone.
    outs: HashMap<IpAddr, Option<&'a str>>,
}

/// The rules of a listing, and what is looked for in them again and again.
struct Known<'a> {
    listing: Listing,
    rules: &'a Rules,
    /// For each line of a chain its ports, joined, and its sources.
    lines: HashMap<&'a Key, Vec<(Vec<PortRange>, Obstacles)>>,
    /// Who may be in a set, and who is for certain.
    sets: HashMap<&'a Key, (Obstacles, Obstacles)>,
    /// Steps that may still be made for all networks.
    left: Rc<Cell<u32>>,
}

/// The first packets of connections, all alike.
#[derive(Clone, Copy)]
struct Packet<'a> {
    source: IpNet,
    /// The ports to which they were sent, and those that they have after DNAT.
    sent: PortRange,
    ports: PortRange,
    interface: &'a str,
    /// Where DNAT sends them.
    destination: Option<IpAddr>,
    /// By which interface Docker lets them out, if it was Docker that had them sent there and it names one.
    out: Option<&'a str>,
    /// Their connection may not be tracked.
    untracked: bool,
}

/// How many of the packets a line is for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Fits {
    None,
    Maybe,
    All,
}

impl Fits {
    /// For how many it is by both; the other is not asked where the first says that it is for none.
    fn and(self, other: impl FnOnce() -> Self) -> Self {
        if self == Self::None { self } else { self.min(other()) }
    }
}

/// What else becomes of packets in a base chain.
#[derive(Default)]
struct Found {
    /// Where they may be sent, and whether Docker's own chain does it.
    sent: Vec<(Option<IpAddr>, Option<u16>, bool)>,
    /// They may leave the chain as they came.
    unchanged: bool,
    untracked: bool,
    /// Whether they may come back from a chain.
    known: HashMap<Key, bool>,
}

impl<'a> Known<'a> {
    fn new(listing: Listing, rules: &'a Rules, left: &Rc<Cell<u32>>) -> Self {
        let of_line = |line: &RuleLine| {
            let mut sources = Obstacles::default();
            line.sources.iter().for_each(|network| sources.add(network.network(), network.broadcast()));
            (PortRange::joined(&line.ports), sources)
        };
        let lines = rules.chains.iter().map(|(key, chain)| (key, chain.lines.iter().map(of_line).collect())).collect();
        let sets = rules.sets.iter().map(|(key, set)| (key, members(set))).collect();
        Self { listing, rules, lines, sets, left: Rc::clone(left) }
    }

    /// Makes a step.
    ///
    /// # Errors
    ///
    /// That no more may be made.
    fn step(&self) -> Result<(), String> {
        crate::syntax::work::note();
        let left = self.left.get().checked_sub(1).ok_or_else(|| {
            format!("whether it is let in for certain was not looked at: {MOST_STEPS} steps through the rules were not enough")
        })?;
        self.left.set(left);
        Ok(())
    }
}

/// By which interface Docker's own rules let packets out to an address, where they name one alone.
fn docker_outs<'a>(filters: &Filters<'a>) -> HashMap<IpAddr, Option<&'a str>> {
    let chains = filters.read.iter().flat_map(|(_, rules)| &rules.chains);
    // DOCKER-USER is its users', and what a table other than that of filters accepts is let in by none.
    let is_its_own = |key: &Key| key.0.ends_with(" filter") && key.1.starts_with("DOCKER") && key.1 != "DOCKER-USER";
    let lines = chains.filter(|(key, _)| is_its_own(key)).flat_map(|(_, chain)| &chain.lines);
    let mut outs = HashMap::new();
    for line in lines.filter(|line| line.verdict == Verdict::Accept) {
        let (Some(address), Some(out)) = (line.destination, line.out.as_deref()) else { continue };
        let known = outs.entry(address).or_insert(Some(out));
        if *known != Some(out) || out.contains('*') {
            *known = None;
        }
    }
    outs
}

/// Ports in ranges of which no rule is for a part alone.
fn parts(ports: &[PortRange], known: &[Known<'_>]) -> Vec<PortRange> {
    let named = known.iter().flat_map(|known| known.lines.values().flatten()).flat_map(|(ports, _)| ports);
    let begins: BTreeSet<u16> = named.flat_map(|range| [range.first, range.last.saturating_add(1)]).collect();
    let mut parts = Vec::new();
    for range in ports {
        let mut first = range.first;
        for &next in begins.range(first.saturating_add(1)..).take_while(|next| **next <= range.last) {
            parts.push(PortRange { first, last: next - 1, ..*range });
            first = next;
        }
        parts.push(PortRange { first, ..*range });
    }
    parts
}

/// Who may be in a set, and who is for certain.
fn members(set: &Set) -> (Obstacles, Obstacles) {
    let (mut may, mut sure) = (if set.changes { anybody() } else { Obstacles::default() }, Obstacles::default());
    for element in set.elements.iter().filter(|element| matches!(element.verdict, None | Some(Verdict::Accept))) {
        match element.key.as_deref().and_then(sets::networks) {
            None => may = anybody(),
            Some(networks) => {
                for network in networks {
                    may.add(network.network(), network.broadcast());
                    if !set.changes && !element.ends {
                        sure.add(network.network(), network.broadcast());
                    }
                }
            }
        }
    }
    (may, sure)
}

impl<'a> Certain<'a> {
    /// Prepares what the filters list.
    pub fn new(filters: &'a Filters<'a>, gate: Gate<'a>) -> Self {
        let left = Rc::new(Cell::new(MOST_STEPS));
        let known: Vec<_> = filters.read.iter().map(|(listing, rules)| Known::new(*listing, rules, &left)).collect();
        let lines = filters.read.iter().flat_map(|(_, rules)| rules.chains.values()).flat_map(|chain| &chain.lines);
        let named: BTreeSet<&String> = lines.flat_map(|line| line.interfaces.iter().chain(&line.elsewhere)).collect();
        let mut interfaces: Vec<_> = gate.interfaces.iter().map(|own| (own.clone(), None)).collect();
        for name in named {
            let own = gate.interfaces.iter().find(|own| may_stand_on(name, own));
            let is_own = gate.interfaces.iter().any(|own| covers(own, name) || covers(name, own));
            interfaces.extend(own.filter(|_| !is_own).map(|own| (name.clone(), Some(own.clone()))));
        }
        let ports = parts(gate.ports, &known);
        Self { filters, known, ports, interfaces, outs: docker_outs(filters) }
    }

    /// Why it is not certain that a network is let in to all of the gate's ports, if so.
    pub fn doubt(&self, source: IpNet) -> Option<String> {
        let is_for = |listing: &Listing| listing.is_of(source.addr().is_ipv4());
        if let Some((_, why)) = self.filters.unread.iter().find(|(listing, _)| is_for(listing)) {
            return Some(format!("{why}, so what else may drop it is not known"));
        }
        for (interface, below) in &self.interfaces {
            for &ports in &self.ports {
                let packet =
                    Packet { source, sent: ports, ports, interface, destination: None, out: None, untracked: false };
                if let Err(why) = self.comes_in(packet) {
                    let below = below.iter().map(|own| format!(" on {interface}, which may stand on {own}"));
                    return Some(why + &below.collect::<String>());
                }
            }
        }
        None
    }

    /// Through what sees them first, and from there to this host or to others.
    fn comes_in(&self, packet: Packet<'_>) -> Result<(), String> {
        let early = |hook| matches!(hook, Hook::Early | Hook::Behind | Hook::Device);
        // What DNAT has changed is seen so by what comes behind it.
        let here = |hook| matches!(hook, Hook::Input | Hook::Beside | Hook::Behind);
        let mut found = self.base_chains(packet, early)?;
        let mut packet = packet;
        if found.iter().any(|found| found.untracked) {
            packet.untracked = true;
            found = self.base_chains(packet, early)?;
        }
        // DNAT needs the connection to be tracked.
        if packet.untracked || found.iter().all(|found| found.unchanged) {
            self.base_chains(packet, |hook| matches!(hook, Hook::Input | Hook::Beside))?;
        }
        let mut sent: Vec<_> = found.into_iter().flat_map(|found| found.sent).collect();
        sent.sort_unstable();
        sent.dedup();
        for (destination, port, published) in sent {
            let (first, last) = port.map_or((packet.ports.first, packet.ports.last), |port| (port, port));
            let ports = PortRange { first, last, ..packet.ports };
            let out = destination.filter(|_| published).and_then(|to| self.outs.get(&to).copied().flatten());
            let packet = Packet { ports, destination, out, ..packet };
            // To another host; or to this one, which has the address.
            let Some(address) = destination.filter(|address| !address.is_loopback()) else {
                self.base_chains(packet, here)?;
                continue;
            };
            self.base_chains(packet, |hook| matches!(hook, Hook::Forward | Hook::Late | Hook::Behind))?;
            if !published {
                let ours = |why| format!("{why}, if {address} is an address of this host");
                self.base_chains(packet, here).map_err(ours)?;
            }
        }
        Ok(())
    }

    /// What the base chains of a hook make of them.
    ///
    /// # Errors
    ///
    /// Why they may be dropped.
    fn base_chains(&self, packet: Packet<'_>, is_asked: impl Fn(Hook) -> bool) -> Result<Vec<Found>, String> {
        let mut all = Vec::new();
        for known in &self.known {
            for (key, chain) in &known.rules.chains {
                known.step()?;
                let foreign = if packet.source.addr().is_ipv4() { "ip6" } else { "ip" };
                let is_for = ![foreign, "arp"].contains(&family(key));
                if !is_for || !chain.hook.is_some_and(&is_asked) || known.rules.dormant.contains(&key.0) {
                    continue;
                }
                let mut found = Found::default();
                if known.chain(key, chain, packet, 0, &mut found)? {
                    if chain.drops {
                        let (chain, table) = (&key.1, &key.0);
                        return Err(format!(
                            "chain {chain} of table {table}, which {} lists, may drop it: no rule of it lets it in for \
                             certain",
                            known.listing.program()
                        ));
                    }
                    found.unchanged = true;
                }
                all.push(found);
            }
        }
        Ok(all)
    }
}

impl Known<'_> {
    /// True if the packets may come back from a chain.
    fn chain(
        &self,
        key: &Key,
        chain: &Chain,
        packet: Packet<'_>,
        depth: usize,
        found: &mut Found,
    ) -> Result<bool, String> {
        if let Some(comes_back) = found.known.get(key) {
            return Ok(*comes_back);
        }
        if depth > DEEPEST {
            return Err(format!("chain {} of table {} leads into too many others", key.1, key.0));
        }
        // The kernel allows no circle; in a text there may be one.
        found.known.insert(key.clone(), true);
        let mut may_return = false;
        for (line, (ports, sources)) in chain.lines.iter().zip(&self.lines[key]) {
            self.step()?;
            let fits = self.fits(key, line, ports, sources, packet);
            if fits == Fits::None {
                continue;
            }
            let fits_all = fits == Fits::All;
            found.untracked |= line.untracks;
            let to = |name: &String| {
                let to = (key.0.clone(), name.clone());
                self.rules.chains.get(&to).map(|chain| (to, chain))
            };
            let ends = match &line.verdict {
                Verdict::Other => false,
                Verdict::Accept => {
                    found.unchanged = true;
                    fits_all
                }
                // An address of the other family says for whom the rule is.
                Verdict::Dnat(Some(to), _) if to.is_ipv4() != packet.source.addr().is_ipv4() => false,
                Verdict::Dnat(..) if line.astray => {
                    return Err(format!("{}, sends it where the rest cannot be followed", self.said(line)));
                }
                Verdict::Dnat(address, port) => {
                    found.sent.push((*address, *port, key.1 == "DOCKER"));
                    fits_all
                }
                Verdict::Return => {
                    may_return = true;
                    fits_all
                }
                Verdict::To(name) => match to(name) {
                    Some((to, chain)) => !self.chain(&to, chain, packet, depth + 1, found)? && fits_all,
                    None if UNTRACKING.contains(&name.as_str()) => {
                        found.untracked = true;
                        false
                    }
                    None if PASSING.contains(&name.as_str()) => false,
                    None => return Err(self.drops(line, packet)),
                },
                Verdict::Goto(name) => {
                    let (to, chain) = to(name).ok_or_else(|| self.drops(line, packet))?;
                    may_return |= self.chain(&to, chain, packet, depth + 1, found)?;
                    fits_all
                }
                Verdict::Stop => return Err(self.drops(line, packet)),
            };
            if ends {
                found.known.insert(key.clone(), may_return);
                return Ok(may_return);
            }
        }
        Ok(true)
    }

    fn said(&self, line: &RuleLine) -> String {
        format!("\"{}\", which {} lists", line.text, self.listing.program())
    }

    fn drops(&self, line: &RuleLine, packet: Packet<'_>) -> String {
        let why = if packet.untracked && line.by_state { ", since its connections may not be tracked" } else { "" };
        format!("{}, may drop it{why}", self.said(line))
    }

    /// How many of the packets a line is for.
    fn fits(&self, key: &Key, line: &RuleLine, ports: &[PortRange], sources: &Obstacles, packet: Packet<'_>) -> Fits {
        let is_v4 = packet.source.addr().is_ipv4();
        if line.is_v4.is_some_and(|of_line| of_line != is_v4) {
            return Fits::None;
        }
        self.by_options(line, packet)
            .and(|| by_ports(line, ports, if line.as_sent { packet.sent } else { packet.ports }))
            .and(|| by_interface(line, packet.interface))
            .and(|| by_out(line, packet.out))
            .and(|| by_destination(line, packet.destination))
            .and(|| self.by_source(key, line, sources, packet.source))
    }

    fn by_options(&self, line: &RuleLine, packet: Packet<'_>) -> Fits {
        match () {
            () if (line.by_state || line.as_sent) && packet.untracked => Fits::Maybe,
            () if line.never => Fits::None,
            () if line.odd || line.negated => Fits::Maybe,
            () => Fits::All,
        }
    }

    fn by_source(&self, key: &Key, line: &RuleLine, sources: &Obstacles, source: IpNet) -> Fits {
        let among = |may: &Obstacles, sure: &Obstacles| match () {
            () if sure.holds(source) => Fits::All,
            () if may.meets(source) => Fits::Maybe,
            () => Fits::None,
        };
        let mut fits = Fits::All;
        if !line.sources.is_empty() {
            fits = among(sources, sources);
        }
        for name in &line.sets {
            let set = self.sets.get(&(key.0.clone(), name.clone()));
            fits = fits.min(set.map_or(Fits::Maybe, |(may, sure)| among(may, sure)));
        }
        if !line.others {
            return fits;
        }
        // One of the other family is asked by no rule of this one.
        let same = line.sources.iter().any(|network| network.addr().is_ipv4() == source.addr().is_ipv4());
        match fits {
            _ if !line.sets.is_empty() || line.sources.is_empty() => Fits::Maybe,
            _ if !same => Fits::None,
            Fits::None => Fits::All,
            Fits::Maybe => Fits::Maybe,
            Fits::All => Fits::None,
        }
    }
}

fn by_ports(line: &RuleLine, ports: &[PortRange], port: PortRange) -> Fits {
    let is_in =
        |range: &PortRange| range.transport == port.transport && range.first <= port.first && port.last <= range.last;
    match () {
        () if !line.transports.is_empty() && !line.transports.contains(&port.transport) => Fits::None,
        () if line.negated => Fits::Maybe,
        () if ports.is_empty() || ports.iter().any(is_in) => Fits::All,
        () if ports.iter().any(|range| range.shared(port).is_some()) => Fits::Maybe,
        // Of which protocol they are is not said.
        () if line.as_sent && !ports.iter().any(|range| line.transports.contains(&range.transport)) => Fits::Maybe,
        () => Fits::None,
    }
}

fn by_interface(line: &RuleLine, interface: &str) -> Fits {
    let among = |names: &[String]| match () {
        () if names.iter().any(|name| covers(name, interface)) => Fits::All,
        () if names.iter().any(|name| covers(interface, name)) => Fits::Maybe,
        () => Fits::None,
    };
    let there = if line.interfaces.is_empty() { Fits::All } else { among(&line.interfaces) };
    there.min(match among(&line.elsewhere) {
        Fits::All => Fits::None,
        Fits::Maybe => Fits::Maybe,
        Fits::None => Fits::All,
    })
}

fn by_out(line: &RuleLine, out: Option<&str>) -> Fits {
    match (line.out.as_deref(), out) {
        (None, _) => Fits::All,
        (Some(_), None) => Fits::Maybe,
        (Some(pattern), Some(out)) if covers(pattern, out) => Fits::All,
        (Some(_), Some(_)) => Fits::None,
    }
}

fn by_destination(line: &RuleLine, destination: Option<IpAddr>) -> Fits {
    match (line.destination, destination) {
        _ if line.to_loopback => match destination {
            Some(address) if address.is_loopback() => Fits::Maybe,
            _ => Fits::None,
        },
        // Whether this host has the address is not known.
        (None, Some(_)) if line.to_local => Fits::Maybe,
        (None, _) => Fits::All,
        (Some(_), None) => Fits::Maybe,
        (Some(asked), Some(address)) => {
            if asked == address {
                Fits::All
            } else {
                Fits::None
            }
        }
    }
}

#[cfg(test)]
mod tests;
