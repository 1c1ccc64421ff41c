//! Packet filters as data: chains of rules, as far as they matter to a packet that asks for a new connection, and to the
//! answer.

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;

/// Families of tables, as nftables has them. The tables of iptables are of `Ip`, those of ip6tables of `Ip6`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Family {
    /// Both versions of IP.
    Inet,
    /// IPv4.
    Ip,
    /// IPv6.
    Ip6,
    /// Frames of one device, before anything else.
    Netdev,
    /// Frames of bridges.
    Bridge,
    /// ARP.
    Arp,
}

/// Where a base chain is asked, in the order in which a packet passes, be it forwarded, for this host, or of this host.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Hook {
    /// On its device.
    Ingress,
    /// Before it is routed.
    Prerouting,
    /// If it is for this host.
    Input,
    /// If it is for another.
    Forward,
    /// If it is of this host.
    Output,
    /// If it is for another, on its way out.
    Postrouting,
    /// The same, on the device by which it leaves.
    Egress,
}

/// What makes a chain a base chain.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Base {
    /// Where it is asked.
    pub hook: Hook,
    /// Chains with a lower one come first.
    pub priority: i64,
    /// What its end does: accept, or drop.
    pub drops: bool,
    /// On which devices; none for all, or for some that were not said.
    pub devices: Vec<Name>,
    /// It translates addresses: the first that does so for a packet is the last that is asked.
    pub is_nat: bool,
}

impl Base {
    /// Its place among the chains of its hook, in order. Chains that translate addresses are all asked at one place, and
    /// their priority is only their order there.
    pub const fn rank(&self) -> (i64, i64) {
        let place = match (self.is_nat, self.hook) {
            (false, _) => self.priority,
            (true, Hook::Prerouting | Hook::Output) => -100,
            (true, _) => 100,
        };
        (place, self.priority)
    }
}

/// A chain.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Chain {
    /// If it is one.
    pub base: Option<Base>,
    /// Its rules.
    pub rules: Vec<Rule>,
}

/// A table.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Table {
    /// Whose it is: `nftables`, `iptables` or `ip6tables`.
    pub tool: &'static str,
    /// Its family.
    pub family: Family,
    /// Its name, with the family where the tool writes one: `inet filter`.
    pub name: String,
    /// Its chains, by name.
    pub chains: BTreeMap<String, Chain>,
}

/// A rule: steps from left to right, until one does not hold or decides.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Rule {
    /// What the tool calls it: `handle 12`, or `rule 3`.
    pub name: String,
    /// Its steps.
    pub steps: Vec<Step>,
}

/// One step of a rule.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Step {
    /// Goes on if it holds.
    Test(Test),
    /// Goes on, or does not: not understood, or nothing that a packet says.
    Unread(String),
    /// Goes on if there is a way back to the source by the interface on which the packet came, or if there is none.
    WayBack(bool),
    /// Does what is said for the packet's value, and does not go on if nothing is.
    Map(Key, Vec<(Values, Action)>),
    /// Decides.
    Act(Action),
    /// Takes the packet out of connection tracking, or to a zone of it, where nobody knows its connection.
    Untrack,
    /// Gives the packet a mark, which may choose another route.
    Mark,
}

/// What a rule decides.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Action {
    /// The base chain is done with.
    Accept,
    /// Without an answer.
    Drop,
    /// With one.
    Reject,
    /// To a chain, and then on with the next rule.
    Jump(String),
    /// To a chain, and then back to where this one was jumped to from.
    Goto(String),
    /// Back.
    Return,
    /// On with the next rule.
    Continue,
    /// To this address and this port, where they are said.
    Send(Option<IpAddr>, Option<u16>),
    /// To a port of this host, or to the same one.
    Redirect(Option<u16>),
    /// To another destination; to which is not understood.
    Divert,
    /// Writes into this part of the packet; what is not understood.
    Change(String),
    /// The base chain is done with, and it has another source.
    Hide,
    /// Who knows.
    Unread(String),
}

/// A test of one value.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Test {
    /// Of what.
    pub key: Key,
    /// It holds if the value is none of them.
    pub negated: bool,
    /// The values.
    pub values: Values,
}

impl Test {
    /// True of these values.
    pub const fn new(key: Key, values: Values) -> Self {
        Self { key, negated: false, values }
    }
}

/// What is tested of a packet. Of a packet that has no such value it does not hold: whoever makes a test puts one of the
/// family or protocol before it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Key {
    /// 4 or 6.
    Version,
    /// The number of TCP or UDP.
    Protocol,
    /// The port that it goes to.
    Port,
    /// The port that it comes from.
    SourcePort,
    /// The address that it goes to.
    Dest,
    /// The address that it comes from.
    Source,
    /// The name of the interface on which it came.
    Interface,
    /// The name of the interface by which it goes on.
    Out,
    /// The port that it was sent to, whatever that was made into.
    SentPort,
    /// The address that it was sent to.
    SentDest,
    /// The address that the first packet of its connection came from.
    FirstSource,
    /// The port that this came from.
    FirstSourcePort,
    /// In which direction of its connection it goes: as the first packet does, or back.
    Direction,
    /// What connection tracking makes of it: `new` and such.
    State,
    /// What connection tracking has done with its connection: nothing, as long as it is new.
    Status,
    /// Of what kind its destination is: `local` and such.
    DestType,
    /// Its TCP flags that are among these.
    Flags(u8),
    /// Something else.
    Unread(String),
}

/// A set of values: numbers, addresses as numbers, and names.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Values {
    /// From and to, both with.
    pub numbers: Vec<(u128, u128)>,
    /// Names.
    pub names: Vec<Name>,
    /// There are more, which were not understood.
    pub unread: Option<String>,
}

impl Values {
    /// One number.
    pub fn number(number: impl Into<u128>) -> Self {
        let number = number.into();
        Self { numbers: vec![(number, number)], ..Self::default() }
    }

    /// One name.
    pub fn name(name: Name) -> Self {
        Self { names: vec![name], ..Self::default() }
    }

    /// What was not understood.
    pub fn unread(what: impl Into<String>) -> Self {
        Self { unread: Some(what.into()), ..Self::default() }
    }

    /// Takes the others in.
    pub fn extend(&mut self, others: Self) {
        self.numbers.extend(others.numbers);
        self.names.extend(others.names);
        self.unread = self.unread.take().or(others.unread);
    }

    /// True if the number is among them.
    pub fn has(&self, number: u128) -> bool {
        self.numbers.iter().any(|(first, last)| (*first..=*last).contains(&number))
    }

    /// True if this name is all that there is among them.
    pub fn is_only(&self, name: &str) -> bool {
        let is_it = |known: &Name| matches!(known, Name::Whole(known) if known == name);
        self.unread.is_none() && self.numbers.is_empty() && self.names.iter().all(is_it)
    }

    /// True if the name is among them.
    pub fn has_name(&self, name: &str) -> bool {
        self.names.iter().any(|known| known.means(name))
    }
}

/// A name in a rule, or what names begin with.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Name {
    /// This one.
    Whole(String),
    /// All that begin so.
    Front(String),
}

impl Name {
    /// As nftables writes it: `eth*` for all that begin so, and `eth\*` for one that ends in a star itself.
    pub fn of_nft(text: &str) -> Self {
        match (text.strip_suffix("\\*"), text.strip_suffix('*')) {
            (Some(front), _) => Self::Whole(format!("{front}*")),
            (None, Some(front)) => Self::Front(front.to_owned()),
            (None, None) => Self::Whole(text.to_owned()),
        }
    }

    /// As iptables writes it: `eth+` for all that begin so.
    pub fn of_iptables(text: &str) -> Self {
        match text.strip_suffix('+') {
            Some(front) => Self::Front(front.to_owned()),
            None => Self::Whole(text.to_owned()),
        }
    }

    /// What names begin with that it means, if it means several.
    pub fn as_front(&self) -> Option<&str> {
        match self {
            Self::Whole(_) => None,
            Self::Front(front) => Some(front),
        }
    }

    /// More for a name that means fewer interfaces than another one which means some of the same.
    pub fn narrowness(&self) -> usize {
        match self {
            Self::Whole(_) => usize::MAX,
            Self::Front(front) => front.len(),
        }
    }

    /// True if it means this name.
    pub fn means(&self, name: &str) -> bool {
        match self {
            Self::Whole(whole) => whole == name,
            Self::Front(front) => name.starts_with(front),
        }
    }
}

/// Where a packet ends: `nftables inet filter input, handle 12`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RuleLocation {
    /// `nftables`, `iptables` or `ip6tables`.
    pub tool: &'static str,
    /// The table, with its family where the tool writes one.
    pub table: String,
    /// The chain.
    pub chain: String,
    /// The rule as the tool calls it; `None` for the policy of the chain.
    pub rule: Option<String>,
}

impl fmt::Display for RuleLocation {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { tool, table, chain, rule } = self;
        match rule {
            Some(rule) => write!(out, "{tool} {table} {chain}, {rule}"),
            None => write!(out, "{tool} {table} {chain}, by its policy"),
        }
    }
}
