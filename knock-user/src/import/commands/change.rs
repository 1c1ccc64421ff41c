//! What a command does to the firewall.

use std::fmt;
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

/// Where a rule says nothing of ports: what decides is who asks the rule.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Place {
    /// A chain of iptables.
    Chain(String),
    /// A set of nftables.
    Set(String),
    /// The whole firewall.
    Everything,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Chain(name) => write!(f, "chain {name}"),
            Self::Set(name) => write!(f, "set {name}"),
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
    pub place: Place,
    /// To which ports; empty if the place decides.
    pub ports: Vec<PortRange>,
    /// How much of the source's address is let in, if not all of it.
    pub prefix: Option<u8>,
}

/// What a command line does, all in all.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Change {
    /// Adds or deletes.
    pub verb: Verb,
    /// Which rules. Never empty.
    pub rules: Vec<Rule>,
    /// The rules go by themselves after this time.
    pub lasts: Option<Duration>,
    /// What gets lost when the kernel does the same.
    pub notes: Vec<String>,
}

/// What one program is asked to do.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Deed {
    /// It looks whether a rule is there.
    Check(Rule),
    /// It changes rules.
    Change(Change),
}
