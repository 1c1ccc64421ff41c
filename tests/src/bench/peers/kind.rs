//! Who there is to guard, and how it is called in figures.

use crate::bench::rounds::{BEFORE, CONTROL, Rounds};

/// Who guards.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// Ours in native mode.
    Own,
    /// Another commit's, set up in the same way.
    Before,
    /// Ours once more: what it differs by is noise.
    Control,
    /// Ours in generic mode.
    Generic,
    /// Debian's knockd with the article's config, behind the article's chain of iptables.
    Knockd,
    /// Debian's fwknopd, which opens the same chain.
    Fwknop,
    /// The recipe of nftables' wiki.
    Nftables,
    /// Nobody: the port is open.
    Nobody,
}

impl Kind {
    /// Its name in figures.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Own => "own",
            Self::Before => BEFORE,
            Self::Control => CONTROL,
            Self::Generic => "generic",
            Self::Knockd => "knockd",
            Self::Fwknop => "fwknop",
            Self::Nftables => "nftables",
            Self::Nobody => "none",
        }
    }

    /// True for each that is ours in native mode, of whatever commit.
    #[must_use]
    pub const fn is_ours(self) -> bool {
        matches!(self, Self::Own | Self::Before | Self::Control)
    }

    /// Adds a measurement of it.
    pub fn record(self, rounds: &mut Rounds, value: f64) {
        match self {
            Self::Own => rounds.own(value),
            peer => rounds.peer(peer.name(), value),
        }
    }
}
