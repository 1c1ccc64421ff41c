//! What is imported is told beside the file.

use crate::syntax::{PortNames, PortRange};

/// What the config is called where it is read for a check.
pub(super) const NAME: &str = "knock.toml";

/// Reads the file with a name as knockd writes it, or says why that cannot be.
pub type ReadFile<'a> = dyn Fn(&[u8]) -> Result<Vec<u8>, String> + 'a;

/// Who lists the rules of the packet filter.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Listing {
    /// `iptables-save`
    Iptables,
    /// `ip6tables-save`
    Ip6tables,
    /// `iptables-legacy-save`: the tables of iptables itself, where `iptables-save` lists those that it has in nftables
    LegacyIptables,
    /// `ip6tables-legacy-save`
    LegacyIp6tables,
    /// `nft list ruleset`
    Nft,
}

impl Listing {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::Iptables, Self::Ip6tables, Self::LegacyIptables, Self::LegacyIp6tables, Self::Nft];

    /// The program that prints it.
    #[must_use]
    pub const fn program(self) -> &'static str {
        match self {
            Self::Iptables => "iptables-save",
            Self::Ip6tables => "ip6tables-save",
            Self::LegacyIptables => "iptables-legacy-save",
            Self::LegacyIp6tables => "ip6tables-legacy-save",
            Self::Nft => "nft",
        }
    }

    /// True if rules for IPv4 are in it, or for IPv6.
    #[must_use]
    pub const fn is_of(self, v4: bool) -> bool {
        match self {
            Self::Iptables | Self::LegacyIptables => v4,
            Self::Ip6tables | Self::LegacyIp6tables => !v4,
            Self::Nft => true,
        }
    }
}

/// What there is beside the file.
pub struct Request<'a> {
    /// What the file is called.
    pub file: String,
    /// What the host calls its ports.
    pub names: PortNames,
    /// `--interface`
    pub interface: Option<String>,
    /// `--ports`: for commands that name none.
    pub ports: Vec<PortRange>,
    /// What the packet filter has; `None` if this program does not list any, and nothing is there that it alone would
    /// list. Asked only if it matters.
    pub rules: &'a dyn Fn(Listing) -> Result<Option<String>, String>,
    /// What /etc/default/knockd says, if it is there.
    pub defaults: Option<String>,
    /// What is in a one-time file, or why it cannot be opened as knockd does.
    pub one_time: &'a ReadFile<'a>,
}
