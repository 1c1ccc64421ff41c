//! What becomes of a packet in packet filters: it passes, it is dropped, or that cannot be told.
//!
//! A test that is not understood may hold or not, so that a chain may end in several ways: all of them are gathered, and
//! what is said is only what all of them have in common.

use std::net::IpAddr;

use super::model::{Action, Base, Chain, Family, Hook, Key, Place, Rule, Step, Table, Test, Values, is_meant};
use super::packet::Packet;
use super::routing::{Routing, Way};

/// Priorities of chains that come before connection tracking.
const TRACKED: i64 = -200;
/// How deep chains may call each other, as in the kernel.
const DEEPEST: u32 = 16;
/// So many rules are looked at for one packet, before that is given up.
const MOST_RULES: u32 = 100_000;

/// What becomes of it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Fate {
    /// It passes all filters.
    Passes,
    /// It ends here.
    Dropped {
        /// Where.
        place: Place,
        /// It is answered.
        is_answered: bool,
    },
    /// It passes or not, by what the packet leaves open: who sends it, mostly.
    Depends(String),
    /// Not everything was understood.
    Unknown(String),
}

/// Why it cannot be told.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Why {
    /// It depends on what the packet leaves open.
    Open(String),
    /// It was not understood.
    Unread(String),
}

impl Why {
    fn fate(self) -> Fate {
        match self {
            Self::Open(text) => Fate::Depends(text),
            Self::Unread(text) => Fate::Unknown(text),
        }
    }
}

/// Whether a test holds.
enum Truth {
    Yes,
    No,
    Maybe(Why),
}

/// A value of a packet.
enum Value<'a> {
    Number(u128),
    Name(&'a str),
    /// All of them are true of it.
    Names(&'a [&'a str]),
    Open(&'static str),
    Unread(String),
}

/// Another destination, and who gives it.
struct Sent {
    to: To,
    port: Option<u16>,
    place: Place,
}

/// To whom.
enum To {
    /// Still the same.
    Same,
    /// To some address of this host.
    Here,
    Address(IpAddr),
}

/// Where it is dropped.
struct End {
    place: Place,
    /// It is answered.
    is_answered: bool,
    /// It comes as far as that, unless it has ended before.
    is_certain: bool,
}

/// All ways in which a chain may end.
#[derive(Default)]
struct Ends {
    accepts: bool,
    drops: Option<End>,
    /// It gets another destination.
    sent: Vec<Sent>,
    /// It goes on behind the chain.
    goes_on: bool,
    /// It goes to another destination, or nobody knows where.
    leaves: bool,
    why: Option<Why>,
}

impl Ends {
    /// Notes why; what was not understood weighs more than what is open.
    fn because(&mut self, why: Option<Why>) {
        if self.why.is_none() || matches!((&self.why, &why), (Some(Why::Open(_)), Some(Why::Unread(_)))) {
            self.why = why;
        }
    }

    /// Notes where it is dropped. Of several places the one is named that is certain, and of such the first.
    fn drop_at(&mut self, end: End) {
        if self.drops.as_ref().is_none_or(|known| end.is_certain && !known.is_certain) {
            self.drops = Some(end);
        }
    }

    /// Takes over how a chain may end that was jumped to, but for [`Self::goes_on`].
    fn take(&mut self, other: Self) {
        self.accepts |= other.accepts;
        self.leaves |= other.leaves;
        other.drops.into_iter().for_each(|end| self.drop_at(end));
        self.sent.extend(other.sent);
        self.because(other.why);
    }

    /// It may pass here, or leave for who knows where.
    const fn passes(&self) -> bool {
        self.accepts || self.leaves
    }
}

/// What becomes of the packet in these tables.
#[must_use]
pub fn fate(tables: &[Table], packet: &Packet, routing: &dyn Routing) -> Fate {
    let mut chains: Vec<(&Base, &Table, &str, &Chain)> = tables
        .iter()
        .flat_map(|table| table.chains.iter().map(move |(name, chain)| (table, name.as_str(), chain)))
        .filter_map(|(table, name, chain)| Some((chain.base.as_ref()?, table, name, chain)))
        .collect();
    chains.sort_by_key(|(base, ..)| (base.hook, base.rank()));
    let mut walk = Walk::new(packet, routing);
    let mut open: Option<Why> = None;
    let mut note = |why: Why| {
        if open.is_none() || matches!((&open, &why), (Some(Why::Open(_)), Why::Unread(_))) {
            open = Some(why);
        }
    };
    if let Some(why) = walk.may_be_bridged() {
        return why.fate();
    }
    let mut is_routed = false;
    for (base, table, name, chain) in chains {
        if !is_routed && base.hook >= Hook::Input {
            is_routed = true;
            if let Err(why) = walk.route() {
                note(why);
                break;
            }
        }
        let is_asked = match (base.hook, table.family) {
            (_, Family::Bridge) => {
                if packet.is_bridged {
                    note(Why::Unread(format!("{} {} {name} looks at what a bridge forwards", table.tool, table.name)));
                }
                false
            }
            (Hook::Input, family) => walk.packet.is_own && is_of(family, packet),
            (Hook::Forward | Hook::Postrouting, family) => !walk.packet.is_own && is_of(family, packet),
            (Hook::Egress, _) => {
                if !walk.packet.is_own {
                    note(Why::Unread(format!("{} {} {name} looks at what leaves", table.tool, table.name)));
                }
                false
            }
            (Hook::Prerouting, _) if base.is_nat && walk.is_sent => false,
            (Hook::Ingress | Hook::Prerouting, family) => is_of(family, packet),
        };
        let (on_device, interface) = arrival(base, packet);
        if !is_asked || on_device == Some(false) {
            continue;
        }
        walk.is_early = base.hook == Hook::Ingress || base.hook == Hook::Prerouting && base.priority <= TRACKED;
        walk.packet.interface = interface;
        let mut ends = walk.chain(table, name, chain, 0);
        walk.packet.interface.clone_from(&packet.interface);
        if ends.goes_on {
            if base.drops {
                let policy = Place { tool: table.tool, table: table.name.clone(), chain: name.to_owned(), rule: None };
                ends.drop_at(End { place: policy, is_answered: false, is_certain: true });
            } else {
                ends.accepts = true;
            }
        }
        if on_device.is_none() {
            ends.accepts = true;
            ends.because(Some(Why::Unread(format!("{} {} {name}: on which device it looks", table.tool, table.name))));
        }
        if ends.sent.is_empty() {
            match (&ends.drops, ends.passes()) {
                (Some(End { place, is_answered, .. }), false) => {
                    return Fate::Dropped { place: place.clone(), is_answered: *is_answered };
                }
                (None, true) if !ends.leaves => {}
                (..) => note(ends.why.unwrap_or_else(|| Why::Unread(format!("{} {} {name}", table.tool, table.name)))),
            }
        } else if ends.sent.len() == 1 && ends.drops.is_none() && !ends.passes() && !walk.is_untracked {
            walk.send(&ends.sent[0]);
        } else {
            // What comes behind depends on where it goes.
            ends.leaves = true;
            let place = &ends.sent[0].place;
            note(ends.why.unwrap_or_else(|| Why::Unread(format!("{place} may send it to another destination"))));
        }
        if ends.leaves {
            // Nobody knows the packet by which its way is chosen.
            is_routed = true;
            break;
        }
    }
    if !is_routed && let Err(why) = walk.route() {
        note(why);
    }
    open.map_or(Fate::Passes, Why::fate)
}

/// Whether a base chain is asked of what comes where this packet does, and on which interface it then comes; `None` for
/// what cannot be told.
fn arrival(base: &Base, packet: &Packet) -> (Option<bool>, Option<String>) {
    if base.hook != Hook::Ingress {
        return (Some(true), packet.interface.clone());
    }
    let sees = |name: &Option<String>| {
        let name = name.as_ref().filter(|_| !base.devices.is_empty())?;
        Some(base.devices.iter().any(|device| is_meant(device, name)))
    };
    // What comes through a port comes once more through its bridge or bond.
    match (sees(&packet.device), sees(&packet.interface)) {
        (Some(false), Some(false)) => (Some(false), None),
        (Some(true), Some(false) | None) => (Some(true), packet.device.clone()),
        (Some(false) | None, Some(true)) => (Some(true), packet.interface.clone()),
        (is_seen, _) => {
            let only = packet.device.clone().filter(|_| packet.device == packet.interface);
            (is_seen.filter(|is_seen| *is_seen), only)
        }
    }
}

fn is_of(family: Family, packet: &Packet) -> bool {
    match family {
        Family::Inet | Family::Netdev => true,
        Family::Ip => !packet.is_v6,
        Family::Ip6 => packet.is_v6,
        Family::Bridge => false,
    }
}

/// One packet on its way.
struct Walk<'a> {
    /// As it is by now.
    packet: Packet,
    /// As it came.
    came: &'a Packet,
    routing: &'a dyn Routing,
    /// It has got another destination.
    is_sent: bool,
    /// The name of the interface by which it goes on, once that is known.
    out: Option<String>,
    /// Connection tracking has not seen it yet.
    is_early: bool,
    /// It may never see it.
    is_untracked: bool,
    /// It may have got a mark.
    is_marked: bool,
    /// Rules that may still be looked at.
    left: u32,
}

impl<'a> Walk<'a> {
    fn new(packet: &'a Packet, routing: &'a dyn Routing) -> Self {
        Walk {
            packet: packet.clone(),
            came: packet,
            routing,
            is_sent: false,
            out: None,
            is_early: false,
            is_untracked: false,
            is_marked: false,
            left: MOST_RULES,
        }
    }

    /// Of a packet that a bridge may hand on to its other ports: then none of these filters sees it.
    fn may_be_bridged(&self) -> Option<Why> {
        if !self.packet.is_bridged || self.packet.is_own {
            return None;
        }
        let goes_elsewhere = matches!((self.routing.way(&self.packet), &self.packet.interface),
            (Some(Way::Out(by)), Some(on)) if by != *on);
        (!goes_elsewhere).then(|| Why::Unread("whether a bridge hands it on, or this host".to_owned()))
    }

    /// Gives it another destination.
    fn send(&mut self, sent: &Sent) {
        self.is_sent = true;
        self.packet.port = sent.port.unwrap_or(self.packet.port);
        match sent.to {
            To::Same => {}
            To::Here => (self.packet.is_own, self.packet.dest) = (true, None),
            To::Address(address) => (self.packet.is_own, self.packet.dest) = (false, Some(address)),
        }
    }

    /// Finds out where it goes, once all that comes before has been asked.
    fn route(&mut self) -> Result<(), Why> {
        if self.packet.is_own {
            return Ok(());
        }
        if self.is_marked && !self.routing.is_plain(self.packet.is_v6) {
            return Err(Why::Unread("which way its mark chooses".to_owned()));
        }
        match self.routing.way(&self.packet) {
            Some(Way::Here) => self.packet.is_own = true,
            Some(Way::Out(name)) => self.out = Some(name),
            None => return Err(Why::Unread("whether this host hands it on, and by which interface".to_owned())),
        }
        Ok(())
    }

    fn chain(&mut self, table: &Table, name: &str, chain: &Chain, depth: u32) -> Ends {
        let mut ends = Ends::default();
        for rule in &chain.rules {
            if self.left == 0 || depth > DEEPEST {
                ends.leaves = true;
                ends.because(Some(Why::Unread(format!("{} {} {name}: too many rules", table.tool, table.name))));
                return ends;
            }
            self.left -= 1;
            if self.rule(table, name, rule, depth, &mut ends) {
                return ends;
            }
        }
        ends.goes_on = true;
        ends
    }

    /// Goes through a rule. True if no packet goes on to the next.
    fn rule(&mut self, table: &Table, chain: &str, rule: &Rule, depth: u32, ends: &mut Ends) -> bool {
        let place = || Place {
            tool: table.tool,
            table: table.name.clone(),
            chain: chain.to_owned(),
            rule: Some(rule.name.clone()),
        };
        let said = |why: Why| match why {
            Why::Open(text) => Why::Open(format!("{}: {text}", place())),
            Why::Unread(text) => Why::Unread(format!("{}: {text}", place())),
        };
        // Why it is not certain that the packet comes as far as this step.
        let mut doubt: Option<Why> = None;
        let doubted = |doubt: &mut Option<Why>, why: Why| {
            if doubt.is_none() || matches!((&*doubt, &why), (Some(Why::Open(_)), Why::Unread(_))) {
                *doubt = Some(said(why));
            }
        };
        for step in &rule.steps {
            let action = match step {
                Step::Test(test) => {
                    match self.holds(test) {
                        Truth::Yes => {}
                        Truth::No => return false,
                        Truth::Maybe(why) => doubted(&mut doubt, why),
                    }
                    continue;
                }
                Step::Unread(what) => {
                    doubted(&mut doubt, Why::Unread(what.clone()));
                    continue;
                }
                Step::WayBack(is_wanted) => {
                    match self.routing.has_way_back(&self.packet) {
                        Some(is_there) if is_there == *is_wanted => {}
                        Some(_) => return false,
                        None => doubted(&mut doubt, Why::Open("the way back to the source".to_owned())),
                    }
                    continue;
                }
                Step::Untrack => {
                    self.is_untracked = true;
                    continue;
                }
                Step::Mark => {
                    self.is_marked = true;
                    continue;
                }
                Step::Map(key, entries) => {
                    let mut found = None;
                    for (values, action) in entries {
                        let test = Test::new(key.clone(), values.clone());
                        match self.holds(&test) {
                            Truth::No => {}
                            Truth::Yes => {
                                found = Some(action);
                                break;
                            }
                            // One of several, or none.
                            Truth::Maybe(why) => {
                                let why = said(why);
                                let _ = self.act(table, action, place(), depth, Some(why), ends);
                            }
                        }
                    }
                    match found {
                        None => return false,
                        Some(action) => action,
                    }
                }
                Step::Act(action) => action,
            };
            return self.act(table, action, place(), depth, doubt, ends);
        }
        false
    }

    /// Does what a rule says, if the packet comes so far. True if no packet goes on to the next rule.
    fn act(
        &mut self,
        table: &Table,
        action: &Action,
        place: Place,
        depth: u32,
        doubt: Option<Why>,
        ends: &mut Ends,
    ) -> bool {
        if *action == Action::Continue {
            return false;
        }
        let is_certain = doubt.is_none();
        ends.because(doubt);
        match action {
            Action::Continue => {}
            Action::Accept => ends.accepts = true,
            Action::Hide => {
                ends.accepts = true;
                self.packet.source = None;
            }
            Action::Drop | Action::Reject => {
                ends.drop_at(End { place, is_answered: *action == Action::Reject, is_certain });
            }
            Action::Return => ends.goes_on = true,
            Action::Send(to, port) => {
                let to = to.map_or(To::Same, To::Address);
                ends.sent.push(Sent { to, port: *port, place });
            }
            Action::Redirect(port) => ends.sent.push(Sent { to: To::Here, port: *port, place }),
            Action::Divert => {
                ends.leaves = true;
                ends.because(Some(Why::Unread(format!("{place} sends it to another destination"))));
            }
            Action::Change(what) => {
                ends.leaves = true;
                ends.because(Some(Why::Unread(format!("{place} changes {what}"))));
            }
            Action::Unread(what) => {
                ends.accepts = true;
                ends.because(Some(Why::Unread(format!("{place}: {what}"))));
                ends.drop_at(End { place, is_answered: false, is_certain: false });
                return false;
            }
            Action::Jump(name) | Action::Goto(name) => {
                let Some(chain) = table.chains.get(name) else {
                    ends.leaves = true;
                    ends.because(Some(Why::Unread(format!("{place}: there is no chain {name}"))));
                    return is_certain;
                };
                let mut inner = self.chain(table, name, chain, depth + 1);
                let comes_back = inner.goes_on;
                inner.drops.iter_mut().for_each(|end| end.is_certain &= is_certain);
                ends.take(inner);
                if matches!(action, Action::Goto(_)) {
                    ends.goes_on |= comes_back;
                    return is_certain;
                }
                return is_certain && !comes_back;
            }
        }
        is_certain
    }

    fn holds(&self, test: &Test) -> Truth {
        let (is_in, unread) = match self.value(&test.key) {
            Value::Number(number) => (test.values.has(number), &test.values.unread),
            Value::Name(name) => (test.values.has_name(name), &test.values.unread),
            Value::Names(names) => (names.iter().any(|name| test.values.has_name(name)), &test.values.unread),
            Value::Open(what) => return self.holds_open(&test.values, what),
            Value::Unread(what) => return Truth::Maybe(Why::Unread(what)),
        };
        match (is_in, unread) {
            (false, Some(what)) => Truth::Maybe(Why::Unread(what.clone())),
            (is_in, _) if is_in != test.negated => Truth::Yes,
            _ => Truth::No,
        }
    }

    /// Of a value that may be anything.
    fn holds_open(&self, values: &Values, what: &str) -> Truth {
        Truth::Maybe(match &values.unread {
            Some(unread) => Why::Unread(unread.clone()),
            None => Why::Open(what.to_owned()),
        })
    }

    fn value(&self, key: &Key) -> Value<'_> {
        let packet = &self.packet;
        let address = |address: &Option<IpAddr>, what| match address {
            Some(IpAddr::V4(v4)) => Value::Number(v4.to_bits().into()),
            Some(IpAddr::V6(v6)) => Value::Number(v6.to_bits()),
            None => Value::Open(what),
        };
        match key {
            Key::Version => Value::Number(if packet.is_v6 { 6 } else { 4 }),
            Key::Protocol => Value::Number((packet.transport as u8).into()),
            Key::Port => Value::Number(packet.port.into()),
            Key::SourcePort => packet.from.map_or(Value::Open("the source port"), |port| Value::Number(port.into())),
            Key::Source => address(&packet.source, "the source"),
            Key::Dest => address(&packet.dest, "the destination"),
            Key::Interface => packet.interface.as_deref().map_or(Value::Open("the interface"), Value::Name),
            Key::State | Key::Status | Key::SentDest | Key::SentPort | Key::Direction
                if self.is_early || self.is_untracked =>
            {
                Value::Unread("what connection tracking says".to_owned())
            }
            // What has another destination is so called as well, by iptables.
            Key::State if self.is_sent => Value::Names(&["new", "dnat"]),
            Key::State => Value::Name("new"),
            Key::Status if self.is_sent => Value::Name("dnat"),
            Key::Status => Value::Name(""),
            Key::SentDest => address(&self.came.dest, "the destination"),
            Key::SentPort => Value::Number(self.came.port.into()),
            Key::Direction => Value::Name("original"),
            Key::Out => match &self.out {
                Some(name) => Value::Name(name),
                None => Value::Unread("by which interface it goes on".to_owned()),
            },
            Key::DestType if packet.is_own => Value::Name("local"),
            Key::DestType => Value::Unread("of what kind the destination is".to_owned()),
            Key::Flags(mask) => Value::Number((packet.flags & mask).into()),
            Key::Unread(what) => Value::Unread(what.clone()),
        }
    }
}
