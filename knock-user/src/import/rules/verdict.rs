//! What a rule says.

use std::net::IpAddr;

/// What a rule does with its packets.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub(super) enum Verdict {
    /// It lets them pass.
    Accept,
    /// It hands them back.
    Return,
    /// It hands them on to a chain, from which they come back; or a target of iptables does something with them.
    To(String),
    /// It hands them on to a chain, from which they do not come back.
    Goto(String),
    /// It changes where they go: to an address, and to a port, if that changes.
    Dnat(Option<IpAddr>, Option<u16>),
    /// It drops them, or takes them out of the filter in another way.
    Stop,
    /// It says nothing about where they go.
    #[default]
    Other,
}

impl Verdict {
    /// The chain that it hands packets on to.
    pub(super) fn chain(&self) -> Option<&str> {
        match self {
            Self::To(chain) | Self::Goto(chain) => Some(chain),
            _ => None,
        }
    }
}
