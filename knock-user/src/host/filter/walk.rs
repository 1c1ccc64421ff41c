//! What becomes of a packet in packet filters, and of the answer to it: it passes, it is dropped, or that cannot be told.
//!
//! A test that is not understood may hold or not, so that a chain may end in several ways: all of them are gathered, and
//! what is said is only what all of them have in common.

use std::net::IpAddr;

use knock_common::packet::Transport;

use super::fate::Fate;
use super::model::{Action, Base, Chain, Family, Hook, Key, Name, Rule, RuleLocation, Step, Table, Values};
use super::packet::{Packet, Tracked};
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

/// The name of the loopback interface.
const LOOPBACK: &str = "lo";
/// What cannot be told of a packet that connection tracking may know, or not.
const TRACKING: &str = "what connection tracking says";
/// What cannot be told of one that may have got another source.
const HIDDEN: &str = "whether a rule has hidden the source";

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
    Tracked(Connection),
    /// Any but the one of this name.
    Not(&'static str, Why),
    Open(&'static str),
    Unread(String),
}

/// What connection tracking calls a packet.
struct Connection {
    /// All of them are true of it.
    names: &'static [&'static str],
    /// It has got another destination, or may have.
    is_sent: Option<bool>,
    /// It has got another source, or may have.
    is_hidden: Option<bool>,
}

impl Connection {
    /// Whether one of its names is among these, if that is known.
    fn is_among(&self, values: &Values) -> Option<bool> {
        let translated = [("dnat", self.is_sent), ("snat", self.is_hidden)];
        let named = || translated.iter().filter(|(name, _)| values.has_name(name)).map(|(_, is_so)| *is_so);
        if self.names.iter().any(|name| values.has_name(name)) || named().any(|is_so| is_so == Some(true)) {
            return Some(true);
        }
        (!named().any(|is_so| is_so.is_none())).then_some(false)
    }
}

/// Another destination, and who gives it.
struct Sent {
    to: To,
    port: Option<u16>,
    place: RuleLocation,
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
    place: RuleLocation,
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
    /// It gets another source.
    hides: bool,
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
        self.hides |= other.hides;
        other.drops.into_iter().for_each(|end| self.drop_at(end));
        self.sent.extend(other.sent);
        self.because(other.why);
    }

    /// It gets another source for certain.
    fn is_only_hidden(&self) -> bool {
        self.hides && !self.accepts && !self.leaves && !self.goes_on && self.drops.is_none() && self.sent.is_empty()
    }

    /// It may pass here, or leave for who knows where.
    const fn passes(&self) -> bool {
        self.accepts || self.leaves
    }
}

/// A base chain, with its table and its name there.
type Asked<'a> = (&'a Base, &'a Table, &'a str, &'a Chain);

/// All base chains, in the order in which they are asked.
pub struct Course<'a>(Vec<Asked<'a>>);

impl<'a> Course<'a> {
    /// Of these tables.
    pub fn of(tables: &'a [Table]) -> Self {
        let mut chains: Vec<Asked<'_>> = tables
            .iter()
            .flat_map(|table| table.chains.iter().map(move |(name, chain)| (table, name.as_str(), chain)))
            .filter_map(|(table, name, chain)| Some((chain.base.as_ref()?, table, name, chain)))
            .collect();
        chains.sort_by_key(|(base, ..)| (base.hook, base.rank()));
        Self(chains)
    }
}

/// What becomes of the packet in these chains, and of the answer to it. No more than `left` steps are made,
/// of which those that were are taken.
#[must_use]
pub fn fate(course: &Course<'_>, packet: &Packet, routing: &dyn Routing, left: &mut u32) -> Fate {
    let mut with = |is_known: bool| {
        if *left == 0 {
            return Fate::Unknown("too many rules".to_owned());
        }
        let may = (*left).min(MOST_STEPS);
        let mut walk = Walk { is_known, ..Walk::new(packet, routing, may) };
        walk.spend(course.0.len());
        let fate = walk.there_and_back(&course.0);
        *left -= may - walk.left;
        fate
    };
    let new = with(false);
    if packet.tracked == Tracked::New { new } else { new.or(with(true)) }
}

/// Whether a base chain is asked of what comes where this packet does, and on which interface it then comes; `None` for
/// what cannot be told.
fn arrival(base: &Base, packet: &Packet) -> (Option<bool>, Option<String>) {
    if base.hook != Hook::Ingress {
        return (Some(true), packet.interface.clone());
    }
    // What comes through a port comes once more through its bridge or bond.
    let mut names: Vec<&String> = packet.devices.iter().chain(&packet.interface).collect();
    names.dedup();
    if base.devices.is_empty() {
        return (None, names.first().filter(|_| names.len() == 1).map(|name| (*name).clone()));
    }
    let seen: Vec<_> = names.iter().filter(|name| base.devices.iter().any(|device| device.means(name))).collect();
    let are_all_known = !packet.devices.is_empty() && packet.interface.is_some();
    match seen[..] {
        [] => (are_all_known.then_some(false), None),
        [one] => (Some(true), Some((*one).clone())),
        [..] => (Some(true), None),
    }
}

fn is_of(family: Family, packet: &Packet) -> bool {
    match family {
        Family::Inet | Family::Netdev => true,
        Family::Ip => !packet.is_v6,
        Family::Ip6 => packet.is_v6,
        Family::Bridge | Family::Arp => false,
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
    /// A rule has sent it to a destination.
    is_sent: bool,
    /// That is another than before, if that is known.
    is_elsewhere: Option<bool>,
    /// It has got another source, if that is known.
    is_hidden: Option<bool>,
    /// Connection tracking knows its connection.
    is_known: bool,
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
            is_elsewhere: Some(false),
            is_hidden: Some(false),
            is_known: false,
            reply: None,
            out: None,
            hook: Hook::Ingress,
            is_back: false,
            is_early: false,
            is_untracked: packet.is_invalid() || packet.tracked == Tracked::Later,
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
            if let Some(why) = self.cannot_follow(base, table.family, chain) {
                note(
                    &mut open,
                    match why {
                        Why::Open(what) => Why::Open(format!("{}: {what}", place())),
                        Why::Unread(what) => Why::Unread(format!("{} {what}", place())),
                    },
                );
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
            // Chains that translate addresses saw the first packet of a known connection, and what it was called then.
            let was_of_first = base.is_nat && self.is_known;
            self.is_early = base.hook == Hook::Ingress || is_before_tracking || was_of_first;
            let as_it_is = std::mem::replace(&mut self.packet.interface, interface);
            let mut ends = self.chain(table, name, chain, 0);
            self.packet.interface = as_it_is;
            if ends.hides {
                self.hide(ends.is_only_hidden());
                ends.accepts = true;
            }
            if was_of_first {
                if ends.sent.is_empty() && !ends.leaves {
                    continue;
                }
                note(&mut open, Why::Unread(format!("{} may have sent its connection elsewhere", place())));
                self.is_lost = true;
                is_routed = true;
                break;
            }
            if ends.goes_on {
                if base.drops {
                    let policy = RuleLocation {
                        tool: table.tool,
                        table: table.name.clone(),
                        chain: (*name).to_owned(),
                        rule: None,
                    };
                    ends.drop_at(End { place: policy, is_answered: false, is_certain: true });
                } else {
                    ends.accepts = true;
                }
            }
            if base.is_nat && base.hook != Hook::Prerouting && self.is_hidden.is_none() {
                ends.accepts = true;
                ends.because(Some(Why::Unread(format!("{}: {HIDDEN}", place()))));
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
        // Only of the first packet of a connection chains are asked that translate addresses, and only until one has done so.
        let is_translated = if base.hook == Hook::Prerouting { self.is_sent } else { self.is_hidden == Some(true) };
        let is_of_socket = self.is_known && self.came.tracked == Tracked::OfSocket;
        if base.is_nat && (is_reply || is_translated || is_of_socket) {
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
    fn cannot_follow(&self, base: &Base, family: Family, chain: &Chain) -> Option<Why> {
        let unread = |what: &str| Some(Why::Unread(what.to_owned()));
        match (family, base.hook) {
            (Family::Bridge, _) if self.came.is_bridged => unread("looks at what a bridge forwards"),
            // Without it nobody finds the other on a wire.
            (Family::Arp, _) if !self.came.is_v6 && self.came.interface.as_deref() != Some(LOOPBACK) => {
                if base.drops || !chain.rules.is_empty() { unread("looks at ARP") } else { None }
            }
            (Family::Bridge | Family::Arp, _) => None,
            (_, Hook::Egress) if self.reply.is_some() || !self.is_local() => self.may_leave_by(&base.devices),
            _ => None,
        }
    }

    /// Whether it leaves by one of these devices.
    fn may_leave_by(&self, devices: &[Name]) -> Option<Why> {
        let is_meant = |name: &String| devices.iter().any(|device| device.means(name));
        let unread = || Some(Why::Unread("looks at what leaves".to_owned()));
        let is_below = |name: &str| self.routing.below(name).is_none_or(|below| below.iter().any(is_meant));
        if devices.is_empty() {
            return unread();
        }
        match (&self.out, &self.came.interface) {
            (Some(out), _) if is_below(out) => unread(),
            (Some(_), _) => None,
            // Most clients are where their packets come.
            (None, on) if self.came.devices.iter().any(is_meant) || on.as_deref().is_none_or(is_below) => unread(),
            (None, Some(_)) if devices.iter().all(|device| *device == Name::Whole(LOOPBACK.to_owned())) => None,
            (None, _) => Some(Why::Open("by which interface it leaves".to_owned())),
        }
    }

    /// Turns the packet round: from now on it is the answer of whoever it has come to.
    fn turn(&mut self, flags: u8) {
        let by = if self.packet.is_own { By::Host } else { By::Another };
        let interface = match by {
            By::Host => Some(String::new()),
            By::Another => self.out.take(),
        };
        self.packet = Packet {
            devices: Vec::new(),
            interface,
            is_bridged: false,
            is_v6: self.packet.is_v6,
            source: self.packet.dest,
            from: self.packet.port,
            dest: self.packet.source,
            is_own: false,
            port: if self.is_hidden == Some(false) { self.packet.from } else { None },
            transport: self.packet.transport,
            flags,
            tracked: self.packet.tracked,
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

    /// Gives it another source, for certain or maybe.
    fn hide(&mut self, is_certain: bool) {
        if self.is_hidden != Some(true) {
            self.is_hidden = is_certain.then_some(true);
        }
        self.packet.source = None;
    }

    /// Gives it another destination.
    fn send(&mut self, sent: &Sent) {
        self.is_sent = true;
        let is_other_port = sent.port.map_or(Some(false), |to| self.packet.port.map(|port| port != to));
        let is_other_dest = match sent.to {
            To::Same => Some(false),
            // It may have that address already.
            To::Here => (!self.packet.is_own).then_some(true),
            To::Address(to) => self.packet.dest.map(|dest| dest != to),
        };
        self.is_elsewhere = match (is_other_port, is_other_dest) {
            (Some(true), _) | (_, Some(true)) => Some(true),
            (Some(false), Some(false)) => Some(false),
            _ => None,
        };
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
            Some(Way::Out(name)) => {
                if self.is_sent && self.came.is_own {
                    self.is_elsewhere = Some(true);
                }
                self.out = Some(name);
            }
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
        let place = || RuleLocation {
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
                    match self.holds(&test.key, test.negated, &test.values) {
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
                    let values: usize = entries.iter().map(|(values, _)| 1 + values.numbers.len()).sum();
                    self.spend(values / VALUES);
                    let mut found = None;
                    for (values, action) in entries {
                        match self.holds(key, false, values) {
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
        place: RuleLocation,
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
            Action::Hide => ends.hides = true,
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

    fn holds(&self, key: &Key, is_negated: bool, values: &Values) -> Truth {
        let is_in = match self.value(key) {
            Value::Number(number) => values.has(number),
            Value::Name(name) => values.has_name(name),
            Value::Tracked(connection) => match connection.is_among(values) {
                Some(is_in) => is_in,
                None => return Truth::Maybe(Why::Unread(TRACKING.to_owned())),
            },
            // What cannot be this one, and is none of the others for certain.
            Value::Not(name, _) if values.is_only(name) => false,
            Value::Not(_, why) => return Truth::Maybe(why),
            Value::Open(what) => return self.holds_open(values, what),
            Value::Unread(what) => return Truth::Maybe(Why::Unread(what)),
        };
        match (is_in, &values.unread) {
            (false, Some(what)) => Truth::Maybe(Why::Unread(what.clone())),
            (is_in, _) if is_in != is_negated => Truth::Yes,
            _ => Truth::No,
        }
    }

    /// What connection tracking calls it by these names, beside what it has done with its addresses.
    const fn connection(&self, names: &'static [&'static str]) -> Connection {
        // Those of a known connection may have got other addresses at any time.
        let (is_sent, is_hidden) = if self.is_known { (None, None) } else { (self.is_elsewhere, self.is_hidden) };
        Connection { names, is_sent, is_hidden }
    }

    /// What it calls it. What has another destination or source is so called as well, by iptables.
    fn state(&self) -> Value<'_> {
        match (self.is_known || self.reply.is_some(), self.packet.transport) {
            (false, _) => Value::Tracked(self.connection(&["new"])),
            // What looks like no part of the connection is of no state.
            (true, Transport::Tcp) if self.is_known => Value::Unread(TRACKING.to_owned()),
            (true, _) => Value::Tracked(self.connection(&["established"])),
        }
    }

    /// What it has done with its connection, as nftables and iptables call it.
    fn status(&self) -> Value<'_> {
        match (self.is_known, self.reply.is_some()) {
            (true, _) => Value::Unread(TRACKING.to_owned()),
            (false, false) => Value::Tracked(self.connection(&[])),
            (false, true) => Value::Tracked(self.connection(&["seen-reply", "seen_reply", "confirmed"])),
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
            Key::Source if self.is_hidden.is_none() && packet.source.is_none() => Value::Unread(HIDDEN.to_owned()),
            Key::Source => address(&packet.source, "the source"),
            Key::Dest => address(&packet.dest, "the destination"),
            Key::Interface => packet.interface.as_deref().map_or(Value::Open("the interface"), Value::Name),
            Key::State | Key::Status if self.is_early || self.is_untracked => Value::Unread(TRACKING.to_owned()),
            Key::State => self.state(),
            Key::Status => self.status(),
            Key::SentDest | Key::SentPort | Key::FirstSource | Key::FirstSourcePort | Key::Direction
                if self.is_early || self.is_untracked || self.is_known =>
            {
                Value::Unread(TRACKING.to_owned())
            }
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
                (None, None) if self.reply.is_some() && self.came.interface.as_deref() != Some(LOOPBACK) => {
                    Value::Not(LOOPBACK, Why::Open("by which interface it leaves".to_owned()))
                }
                (None, _) => Value::Unread("by which interface it goes on".to_owned()),
            },
            // It goes to an address of this host, which hides the client's.
            Key::DestType if self.reply.is_some() && self.is_hidden != Some(false) && !self.is_back => {
                Value::Unread("of what kind the destination is".to_owned())
            }
            Key::DestType if self.reply.is_some() && self.out.as_deref() != Some(LOOPBACK) => {
                Value::Not("local", Why::Unread("of what kind the destination is".to_owned()))
            }
            Key::DestType if packet.is_own => Value::Name("local"),
            Key::DestType => Value::Unread("of what kind the destination is".to_owned()),
            Key::Flags(mask) => Value::Number((packet.flags & mask).into()),
            Key::Unread(what) => Value::Unread(what.clone()),
        }
    }
}
