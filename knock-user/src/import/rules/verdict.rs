//! What a rule says.

use std::net::IpAddr;

/// What a rule does with its packets.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub(super) enum Verdict {
    /// It lets them pass.
    Accept,
    /// It hands them back.
    Return,
    /// It hands them on to a chain.
    To(String),
    /// It changes where they go: to an address, and to a port, if that changes.
    Dnat(Option<IpAddr>, Option<u16>),
    /// Anything else.
    #[default]
    Other,
}
