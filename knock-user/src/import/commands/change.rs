//! What a command does to the firewall.

use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use crate::config::PortRange;

/// Adds rules, or takes them away.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verb {
    /// The source is let in.
    Add,
    /// It is not any more.
    Delete,
}

/// Address families.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Families {
    /// IPv4 only.
    V4,
    /// IPv6 only.
    V6,
    /// Both.
    Both,
}

/// Where a rule stands. Where it says nothing of ports, what decides is who asks it.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Container {
    /// A chain of iptables.
    Chain(String),
    /// A chain of nftables, behind its table, such as `inet filter`.
    Nft(String, String),
    /// A set of nftables, or of ipset.
    Set(String),
    /// A zone of firewalld.
    Zone(String),
    /// The whole firewall.
    Everything,
}

impl Container {
    /// Its name, if it has one.
    pub fn name(&self) -> Option<&str> {
        match self {
            Self::Chain(name) | Self::Nft(_, name) | Self::Set(name) | Self::Zone(name) => Some(name),
            Self::Everything => None,
        }
    }
}

impl fmt::Display for Container {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Chain(name) | Self::Nft(_, name) => write!(f, "chain {name}"),
            Self::Set(name) => write!(f, "set {name}"),
            Self::Zone(name) => write!(f, "zone {name}"),
            Self::Everything => f.write_str("the firewall"),
        }
    }
}

/// A rule that lets the source of a knock in. Two commands mean one rule if these are equal.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Rule {
    /// For which packets.
    pub families: Families,
    /// Where it stands.
    pub place: Container,
    /// To which ports; empty if the place decides.
    pub ports: Vec<PortRange>,
    /// The ports are those to which packets were sent, before any DNAT.
    pub as_sent: bool,
    /// How much of the source's address is let in, if not all of it.
    pub prefix: Option<u8>,
    /// The interface that it is for, if not for all.
    pub interface: Option<String>,
    /// The destination that it is for, if not for all.
    pub destination: Option<IpAddr>,
}

impl Rule {
    /// A rule for all ports of a place, and for the whole source.
    pub const fn new(families: Families, place: Container) -> Self {
        Self { families, place, ports: Vec::new(), as_sent: false, prefix: None, interface: None, destination: None }
    }
}

/// Something to say of a command.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Note {
    /// What it is.
    pub text: String,
    /// A person should look at it.
    pub look: bool,
}

impl Note {
    /// Good to know.
    pub fn plain(text: impl Into<String>) -> Self {
        Self { text: text.into(), look: false }
    }

    /// To be looked at.
    pub fn look(text: impl Into<String>) -> Self {
        Self { text: text.into(), look: true }
    }
}

/// A rule that is added or deleted.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Change {
    /// Adds or deletes.
    pub verb: Verb,
    /// Which rule.
    pub rule: Rule,
    /// The rule goes by itself after this time.
    pub lasts: Option<Duration>,
    /// What gets lost when the kernel does the same.
    pub notes: Vec<Note>,
}

impl Change {
    /// One of which there is nothing to say.
    pub const fn new(verb: Verb, rule: Rule, lasts: Option<Duration>) -> Self {
        Self { verb, rule, lasts, notes: Vec::new() }
    }
}

/// A deletion that says how a rule is found, and not which.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Finder {
    /// How.
    pub by: By,
    /// The command.
    pub text: String,
}

/// How a deletion finds its rule.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum By {
    /// It looks for the source in what there is.
    Search,
    /// By a number, whichever rule has it then.
    Number,
}

/// What one command is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Deed {
    /// It looks whether a rule is there.
    Check(Rule),
    /// It looks for some rule.
    Look,
    /// It changes rules.
    Change(Change),
    /// It deletes a rule that is found then.
    Find(By),
    /// It changes something that is not needed here; why.
    Needless(Note),
}
