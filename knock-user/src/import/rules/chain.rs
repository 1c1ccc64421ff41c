//! A chain of rules, and where the kernel hands packets to it.

use super::line::RuleLine;

/// A table, such as `ip filter`, and a chain of it.
pub(super) type Key = (String, String);

/// The family of the table of a chain, as nft calls it.
pub(super) fn family(key: &Key) -> &str {
    key.0.split(' ').next().unwrap_or_default()
}

/// Where the kernel hands packets to a base chain.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Hook {
    /// For this host.
    Input,
    /// For others.
    Forward,
    /// From a device or within a bridge: for this host, and for others as well.
    Device,
    /// Before it is known whether they are for this host: none is let in here for good.
    Early,
    /// The same, behind DNAT.
    Behind,
    /// For this host, but none is let in here for good.
    Beside,
    /// On the way out, of those for others as well.
    Late,
    /// Anywhere else.
    Other,
}

impl Hook {
    /// True if packets for this host's ports come here.
    pub const fn is_ours(self) -> bool {
        matches!(self, Self::Input | Self::Device)
    }
}

/// A chain and its rules.
#[derive(Default)]
pub(super) struct Chain {
    /// Where the kernel hands it packets, if it is a base chain.
    pub hook: Option<Hook>,
    /// What no rule decides about is dropped.
    pub drops: bool,
    /// Its rules, in their order.
    pub lines: Vec<RuleLine>,
}
