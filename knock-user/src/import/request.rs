//! What is imported is told beside the file.

use crate::settings::{PortNames, PortRange};

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
    /// `nft list ruleset`
    Nft,
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
    /// What the packet filter has. Asked only if it matters.
    pub rules: &'a dyn Fn(Listing) -> Result<String, String>,
    /// What /etc/default/knockd says, if it is there.
    pub defaults: Option<String>,
    /// What is in a one-time file, or why it cannot be opened as knockd does.
    pub one_time: &'a ReadFile<'a>,
}
