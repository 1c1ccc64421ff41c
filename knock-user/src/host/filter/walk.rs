//! What becomes of a packet in packet filters, and of the answer to it: it passes, it is dropped, or that cannot be told.
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
/// So many steps are made for one packet, before that is given up: rules that are looked at, or what takes as long.
const MOST_STEPS: u32 = 1_000_000;
/// To note why something cannot be told takes as long as so many rules.
const DOUBT: usize = 10;
/// To ask the kernel for a route takes as long as so many rules.
const ROUTE: usize = 2000;
/// One rule is looked at in the time in which so many values are compared.
const VALUES: usize = 16;

/// What becomes of it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Fate {
    /// It passes all filters.
    Passes,
    /// It ends here.
    Dropped {
        /// Where.
        place: Place,
        /// Its sender is told.
        is_answered: bool,
        /// Not the packet itself ends there, but the answer to it.
        is_reply: bool,
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

    fn of_reply(self) -> Self {
        match self {
            Self::Open(text) => Self::Open(format!("the answer: {text}")),
            Self::Unread(text) => Self::Unread(format!("the answer: {text}")),
        }
    }
}

/// Notes why; what was not understood weighs more than what is open.
fn note(known: &mut Option<Why>, why: Why) {
    if known.is_none() || matches!((&*known, &why), (Some(Why::Open(_)), Why::Unread(_))) {
        *known = Some(why);
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
    /// Any but the one of this name.
    Not(&'static str, Why),
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
    /// Notes why it ends in several ways.
    fn because(&mut self, why: Option<Why>) {
        why.into_iter().for_each(|why| note(&mut self.why, why));
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

/// A base chain, with its table and its name there.
type Asked<'a> = (&'a Base, &'a Table, &'a str, &'a Chain);

/// What becomes of the packet in these tables, and of the answer to it. No more than `left` steps are made,
/// of which those that were are taken.
#[must_use]
pub fn fate(tables: &[Table], packet: &Packet, routing: &dyn Routing, left: &mut u32) -> Fate {
    let mut chains: Vec<Asked<'_>> = tables
        .iter()
        .flat_map(|table| table.chains.iter().map(move |(name, chain)| (table, name.as_str(), chain)))
        .filter_map(|(table, name, chain)| Some((chain.base.as_ref()?, table, name, chain)))
        .collect();
    chains.sort_by_key(|(base, ..)| (base.hook, base.rank()));
    let may = (*left).min(MOST_STEPS);
    let mut walk = Walk::new(packet, routing, may);
    walk.spend(chains.len());
    let fate = walk.there_and_back(&chains);
    *left -= may - walk.left;
    fate
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

/// Whose answer it is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum By {
    /// This host's.
    Host,
    /// That of one to which this host forwards.
    Another,
}

/// A packet on its way, and then the answer to it.
struct Walk<'a> {
    /// As it is by now.
    packet: Packet,
    /// As the first came.
    came: &'a Packet,
    routing: &'a dyn Routing,
    /// It has got another destination.
    is_sent: bool,
    /// It has got another source.
    is_hidden: bool,
    /// It is the answer; the first was for this host, or forwarded.
    reply: Option<By>,
    /// The name of the interface by which it goes on, once that is known.
    out: Option<String>,
    /// Where it is.
    hook: Hook,
    /// The answer goes to the address of the client, and no more to the one that hides it.
    is_back: bool,
    /// Connection tracking has not seen it yet.
    is_early: bool,
    /// It may never see it.
    is_untracked: bool,
    /// It may have got a mark.
    is_marked: bool,
    /// Nobody knows where it goes, or as what.
    is_lost: bool,
    /// Steps that may still be made.
    left: u32,
}

impl<'a> Walk<'a> {
    fn new(packet: &'a Packet, routing: &'a dyn Routing, left: u32) -> Self {
        Walk {
            packet: packet.clone(),
            came: packet,
            routing,
            is_sent: false,
            is_hidden: false,
            reply: None,
            out: None,
            hook: Hook::Ingress,
            is_back: false,
            is_early: false,
            is_untracked: false,
            is_marked: false,
            is_lost: false,
            left,
        }
    }

    fn there_and_back(&mut self, chains: &[Asked<'_>]) -> Fate {
        if let Some(why) = self.may_be_bridged() {
            return why.fate();
        }
        let mut open = match self.through(chains) {
            Ok(open) => open,
            Err(fate) => return fate,
        };
        if !self.is_lost
            && let Some(flags) = self.came.flags_of_answer()
        {
            self.turn(flags);
            match self.through(chains) {
                Ok(why) => why.into_iter().for_each(|why| note(&mut open, why.of_reply())),
                Err(fate) => return fate,
            }
        }
        open.map_or(Fate::Passes, Why::fate)
    }

    /// Leads it through the chains that are asked of it. Where it does not end for certain, says why it may.
    fn through(&mut self, chains: &[Asked<'_>]) -> Result<Option<Why>, Fate> {
        let mut open: Option<Why> = None;
        let mut is_routed = self.reply.is_some();
        for (base, table, name, chain) in chains {
            if !is_routed && base.hook >= Hook::Input {
                is_routed = true;
                if let Err(why) = self.route() {
                    self.is_lost = true;
                    note(&mut open, why);
                    break;
                }
            }
            let place = || format!("{} {} {name}", table.tool, table.name);
            if let Some(what) = self.cannot_follow(base.hook, table.family) {
                note(&mut open, Why::Unread(format!("{} {what}", place())));
                continue;
            }
            if !self.is_asked(base, table.family) {
                continue;
            }
            self.hook = base.hook;
            self.translate_back(base);
            let (on_device, interface) = arrival(base, &self.packet);
            if on_device == Some(false) {
                continue;
            }
            let is_before_tracking = base.priority <= TRACKED && matches!(base.hook, Hook::Prerouting | Hook::Output);
            self.is_early = base.hook == Hook::Ingress || is_before_tracking;
            let as_it_is = std::mem::replace(&mut self.packet.interface, interface);
            let mut ends = self.chain(table, name, chain, 0);
            self.packet.interface = as_it_is;
            if ends.goes_on {
                if base.drops {
                    let policy =
                        Place { tool: table.tool, table: table.name.clone(), chain: (*name).to_owned(), rule: None };
                    ends.drop_at(End { place: policy, is_answered: false, is_certain: true });
                } else {
                    ends.accepts = true;
                }
            }
            if on_device.is_none() {
                ends.accepts = true;
                ends.because(Some(Why::Unread(format!("{}: on which device it looks", place()))));
            }
            if ends.sent.is_empty() {
                match (ends.drops, ends.accepts || ends.leaves) {
                    (Some(End { place, is_answered, .. }), false) => {
                        return Err(Fate::Dropped { place, is_answered, is_reply: self.reply.is_some() });
                    }
                    (None, true) if !ends.leaves => {}
                    (..) => note(&mut open, ends.why.unwrap_or_else(|| Why::Unread(place()))),
                }
            } else if ends.sent.len() == 1 && ends.drops.is_none() && !ends.passes() && !self.is_untracked {
                self.send(&ends.sent[0]);
            } else {
                // What comes behind depends on where it goes.
                ends.leaves = true;
                let place = &ends.sent[0].place;
                let why =
                    ends.why.unwrap_or_else(|| Why::Unread(format!("{place} may send it to another destination")));
                note(&mut open, why);
            }
            if ends.leaves {
                // Nobody knows the packet by which its way is chosen.
                self.is_lost = true;
                is_routed = true;
                break;
            }
        }
        if !is_routed && let Err(why) = self.route() {
            self.is_lost = true;
            note(&mut open, why);
        }
        Ok(open)
    }

    fn spend(&mut self, steps: usize) {
        self.left = self.left.saturating_sub(u32::try_from(steps).unwrap_or(u32::MAX));
    }

    /// True if it comes to this host, or from it; else this host forwards it.
    const fn is_local(&self) -> bool {
        match self.reply {
            Some(By::Host) => true,
            Some(By::Another) => false,
            None => self.packet.is_own,
        }
    }

    /// True if a base chain is asked of it, wherever it comes in or goes out.
    fn is_asked(&self, base: &Base, family: Family) -> bool {
        let is_reply = self.reply.is_some();
        // Only of the first packet of a connection chains are asked that translate addresses, and only one.
        if base.is_nat && (is_reply || base.hook == Hook::Prerouting && self.is_sent) {
            return false;
        }
        let passes_there = match base.hook {
            Hook::Ingress | Hook::Prerouting => !is_reply || !self.is_local(),
            Hook::Input => !is_reply && self.is_local(),
            Hook::Forward => !self.is_local(),
            Hook::Output => is_reply && self.is_local(),
            Hook::Postrouting => is_reply || !self.is_local(),
            Hook::Egress => false,
        };
        passes_there && is_of(family, self.came)
    }

    /// What a chain does that nobody follows here.
    fn cannot_follow(&self, hook: Hook, family: Family) -> Option<&'static str> {
        if family == Family::Bridge {
            return self.came.is_bridged.then_some("looks at what a bridge forwards");
        }
        (hook == Hook::Egress && (self.reply.is_some() || !self.is_local())).then_some("looks at what leaves")
    }

    /// Turns the packet round: from now on it is the answer of whoever it has come to.
    fn turn(&mut self, flags: u8) {
        let by = if self.packet.is_own { By::Host } else { By::Another };
        let interface = match by {
            By::Host => Some(String::new()),
            By::Another => self.out.take(),
        };
        self.packet = Packet {
            device: None,
            interface,
            is_bridged: false,
            is_v6: self.packet.is_v6,
            source: self.packet.dest,
            from: self.packet.port,
            dest: self.packet.source,
            is_own: false,
            port: if self.is_hidden { None } else { self.packet.from },
            transport: self.packet.transport,
            flags,
        };
        self.spend(self.came.source.map_or(0, |_| ROUTE));
        self.out = match self.came.source {
            // Such a one is on the link on which it came.
            Some(IpAddr::V6(client)) if client.is_unicast_link_local() => self.came.interface.clone(),
            client => client.and_then(|client| self.routing.way_out(client)),
        };
        (self.is_marked, self.reply) = (false, Some(by));
    }

    /// Gives an answer back the addresses that its client knows, where that is done.
    fn translate_back(&mut self, base: &Base) {
        if self.reply.is_none() {
            return;
        }
        let is_behind = |place: i64| base.rank().0 > place;
        let has_dest = match base.hook {
            Hook::Ingress => false,
            Hook::Prerouting | Hook::Output => is_behind(-100),
            _ => true,
        };
        self.is_back = has_dest;
        if has_dest {
            (self.packet.dest, self.packet.port) = (self.came.source, self.came.from);
        }
        if base.hook == Hook::Egress || base.hook == Hook::Postrouting && is_behind(100) {
            (self.packet.source, self.packet.from) = (self.came.dest, self.came.port);
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
        self.packet.port = sent.port.or(self.packet.port);
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
        self.spend(ROUTE);
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
            self.spend(1);
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
                    self.spend(test.values.numbers.len() / VALUES);
                    match self.holds(test) {
                        Truth::Yes => {}
                        Truth::No => return false,
                        Truth::Maybe(why) => {
                            self.spend(DOUBT);
                            doubted(&mut doubt, why);
                        }
                    }
                    continue;
                }
                Step::Unread(what) => {
                    self.spend(DOUBT);
                    doubted(&mut doubt, Why::Unread(what.clone()));
                    continue;
                }
                Step::WayBack(is_wanted) => {
                    self.spend(ROUTE);
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
                    self.spend(entries.len() / VALUES);
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
                                self.spend(DOUBT);
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
                self.is_hidden = true;
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
            // What cannot be this one, and is none of the others for certain.
            Value::Not(name, _) if test.values.is_only(name) => (false, &test.values.unread),
            Value::Not(_, why) => return Truth::Maybe(why),
            Value::Open(what) => return self.holds_open(&test.values, what),
            Value::Unread(what) => return Truth::Maybe(Why::Unread(what)),
        };
        match (is_in, unread) {
            (false, Some(what)) => Truth::Maybe(Why::Unread(what.clone())),
            (is_in, _) if is_in != test.negated => Truth::Yes,
            _ => Truth::No,
        }
    }

    /// What connection tracking calls it. What has another destination is so called as well, by iptables.
    const fn states(&self) -> &'static [&'static str] {
        match (self.reply.is_some(), self.is_sent, self.is_hidden) {
            (false, false, _) => &["new"],
            (false, true, _) => &["new", "dnat"],
            (true, false, false) => &["established"],
            (true, true, false) => &["established", "dnat"],
            (true, false, true) => &["established", "snat"],
            (true, true, true) => &["established", "dnat", "snat"],
        }
    }

    /// What it has done with its connection, as nftables and iptables call it.
    const fn statuses(&self) -> &'static [&'static str] {
        match (self.reply.is_some(), self.is_sent, self.is_hidden) {
            (false, false, _) => &[],
            (false, true, _) => &["dnat"],
            (true, false, false) => &["seen-reply", "seen_reply", "confirmed"],
            (true, true, false) => &["seen-reply", "seen_reply", "confirmed", "dnat"],
            (true, false, true) => &["seen-reply", "seen_reply", "confirmed", "snat"],
            (true, true, true) => &["seen-reply", "seen_reply", "confirmed", "dnat", "snat"],
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
            Key::Port => packet.port.map_or(Value::Open("the port"), |port| Value::Number(port.into())),
            Key::SourcePort => packet.from.map_or(Value::Open("the source port"), |port| Value::Number(port.into())),
            Key::Source => address(&packet.source, "the source"),
            Key::Dest => address(&packet.dest, "the destination"),
            Key::Interface => packet.interface.as_deref().map_or(Value::Open("the interface"), Value::Name),
            Key::State
            | Key::Status
            | Key::SentDest
            | Key::SentPort
            | Key::FirstSource
            | Key::FirstSourcePort
            | Key::Direction
                if self.is_early || self.is_untracked =>
            {
                Value::Unread("what connection tracking says".to_owned())
            }
            Key::State => Value::Names(self.states()),
            Key::Status => Value::Names(self.statuses()),
            Key::SentDest => address(&self.came.dest, "the destination"),
            Key::SentPort => self.came.port.map_or(Value::Open("the port"), |port| Value::Number(port.into())),
            Key::FirstSource => address(&self.came.source, "the source"),
            Key::FirstSourcePort => {
                self.came.from.map_or(Value::Open("the source port"), |port| Value::Number(port.into()))
            }
            Key::Direction => Value::Name(if self.reply.is_some() { "reply" } else { "original" }),
            // It has no route yet.
            Key::Out if self.hook <= Hook::Input => Value::Name(""),
            Key::Out => match (&self.out, &self.came.source) {
                (Some(name), _) => Value::Name(name),
                // Who comes by another interface is not this host.
                (None, None) if self.reply.is_some() && self.came.interface.as_deref() != Some("lo") => {
                    Value::Not("lo", Why::Open("by which interface it leaves".to_owned()))
                }
                (None, _) => Value::Unread("by which interface it goes on".to_owned()),
            },
            // It goes to an address of this host, which hides the client's.
            Key::DestType if self.reply.is_some() && self.is_hidden && !self.is_back => {
                Value::Unread("of what kind the destination is".to_owned())
            }
            Key::DestType if self.reply.is_some() && self.out.as_deref() != Some("lo") => {
                Value::Not("local", Why::Unread("of what kind the destination is".to_owned()))
            }
            Key::DestType if packet.is_own => Value::Name("local"),
            Key::DestType => Value::Unread("of what kind the destination is".to_owned()),
            Key::Flags(mask) => Value::Number((packet.flags & mask).into()),
            Key::Unread(what) => Value::Unread(what.clone()),
        }
    }
}
