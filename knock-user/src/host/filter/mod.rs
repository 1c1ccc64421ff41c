//! The packet filters of this host: what they would make of a packet that the gate lets pass. A listing of nftables
//! (`nft`), and of iptables where that has tables of its own, becomes chains of rules, and a packet is led through them.
//!
//! What is not understood is said, and never taken for leave to pass.

mod alike;
mod arrivals;
mod fate;
mod model;
mod names;
mod nft;
mod packet;
mod routing;
mod save;
#[cfg(test)]
mod tests;
mod tools;
mod walk;

use std::fs;

pub use fate::Fate;
pub use model::RuleLocation;
pub use packet::{Packet, Tracked};
pub use routing::Below;

use self::model::{Family, Hook, Rule, Table};
use self::routing::{Kernel, Routing};
use self::walk::Course;
use super::netlink::Dump;
use crate::syntax::Port;

/// `NFNL_SUBSYS_NFTABLES`, in the upper octet, with `NFT_MSG_NEWTABLE` and `NFT_MSG_GETTABLE`.
const NEW_TABLE: u16 = 10 << 8;
const GET_TABLE: u16 = NEW_TABLE | 1;

/// All packet filters, as they are now.
#[derive(Debug, Default)]
pub struct Filters {
    tables: Vec<Table>,
    /// What could not be read.
    unread: Vec<String>,
    /// What is below the interfaces of this host, if somebody has said so.
    below: Option<Below>,
}

impl Filters {
    /// Asks the tools that are here. Needs the rights of root.
    #[must_use]
    pub fn read() -> Self {
        let mut this = Self::default();
        match tools::say("nft", &["--json", "list", "ruleset"]) {
            Ok(Some(text)) => this.add_nftables(&text),
            Ok(None) if has_tables() => this.unread.push("nftables has tables, and nft is not installed".to_owned()),
            // A kernel without nftables.
            Err(_) if !has_tables() => {}
            Ok(None) => {}
            Err(error) => this.unread.push(error),
        }
        this.add_iptables(Family::Ip);
        this.add_iptables(Family::Ip6);
        this
    }

    /// True if there is nothing that could drop a packet.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.unread.is_empty() && self.hooks().next().is_none()
    }

    /// True if it matters [what is below](Self::know_below) interfaces.
    #[must_use]
    pub fn look_at_what_leaves(&self) -> bool {
        self.hooks().any(|hook| hook == Hook::Egress)
    }

    fn hooks(&self) -> impl Iterator<Item = Hook> {
        let chains = self.tables.iter().flat_map(|table| table.chains.values());
        chains.filter_map(|chain| Some(chain.base.as_ref()?.hook))
    }

    /// Takes over what is below the interfaces of this host.
    pub fn know_below(&mut self, below: Below) {
        self.below = Some(below);
    }

    /// All of them in the order in which they are asked.
    #[must_use]
    pub fn in_order(&self) -> InOrder<'_> {
        InOrder { filters: self, course: Course::of(&self.tables) }
    }

    /// Ports in groups of which all that is told of one is true of the others.
    #[must_use]
    pub fn alike(&self, ports: &[Port]) -> Vec<Vec<Port>> {
        alike::alike(&self.tables, ports)
    }

    /// The places of packets in groups of which all that is told of one is true of the others, if they differ in nothing but
    /// how they come, and nobody knows their source.
    #[must_use]
    pub fn alike_arrivals(&self, packets: &[Packet]) -> Vec<Vec<usize>> {
        arrivals::alike(&self.tables, packets)
    }

    /// With other routes.
    #[cfg(test)]
    fn fate_by(&self, packet: &Packet, routing: &dyn Routing, left: &mut u32) -> Fate {
        self.in_order().fate_by(packet, routing, left)
    }

    /// Those of a listing of nftables alone.
    #[cfg(test)]
    pub fn listed(text: &str) -> Self {
        Self { tables: nft::read(text).expect("a listing").tables, ..Self::default() }
    }

    fn add_nftables(&mut self, text: &str) {
        let mut listing = match nft::read(text) {
            Ok(listing) => listing,
            Err(error) => return self.unread.push(format!("nft: {error}")),
        };
        for family in [Family::Ip, Family::Ip6] {
            let is_foreign = |(table, ..): &&(usize, String, usize)| listing.tables[*table].family == family;
            if listing.foreign.iter().any(|foreign| is_foreign(&foreign)) {
                let saved = save_command(family, "nft", true).and_then(Result::ok).unwrap_or_default();
                listing.fill_in(&save::read(&saved, family));
            }
        }
        self.tables.extend(listing.tables);
    }

    /// Tables of iptables itself, which nftables does not list. A table that is not there is not asked for, since that would
    /// make it.
    fn add_iptables(&mut self, family: Family) {
        let (path, tool) = match family {
            Family::Ip6 => ("/proc/net/ip6_tables_names", "ip6tables"),
            _ => ("/proc/net/ip_tables_names", "iptables"),
        };
        if fs::read_to_string(path).is_ok_and(|names| !names.trim().is_empty()) {
            match save_command(family, "legacy", false) {
                Some(Ok(text)) => self.tables.extend(save::read(&text, family)),
                Some(Err(error)) => self.unread.push(error),
                None => self.unread.push(format!("{tool} has tables, and {tool}-save is not installed")),
            }
        }
    }
}

/// Packet filters in the order in which they are asked.
pub struct InOrder<'a> {
    filters: &'a Filters,
    course: Course<'a>,
}

impl InOrder<'_> {
    /// What becomes of a packet that asks for a new connection or belongs to one, and of the answer to it.
    #[must_use]
    pub fn fate(&self, packet: &Packet) -> Fate {
        self.fate_within(packet, &mut u32::MAX.clone())
    }

    /// The same in no more than so many steps, of which those that were made are taken. A step is a rule that is looked at,
    /// or what takes as long.
    #[must_use]
    pub fn fate_within(&self, packet: &Packet, left: &mut u32) -> Fate {
        self.fate_by(packet, &Kernel { below: self.filters.below.as_ref() }, left)
    }

    fn fate_by(&self, packet: &Packet, routing: &dyn Routing, left: &mut u32) -> Fate {
        match (walk::fate(&self.course, packet, routing, left), self.filters.unread.first()) {
            (Fate::Passes | Fate::Depends(_), Some(unread)) => Fate::Unknown(unread.clone()),
            (fate, _) => fate,
        }
    }
}

impl nft::Listing {
    /// Reads rules of iptables as that tool says them; they keep their handles.
    fn fill_in(&mut self, saved: &[Table]) {
        for (table, chain, place) in &self.foreign {
            let table = &mut self.tables[*table];
            let of_tool = saved.iter().find(|saved| {
                saved.family == table.family && table.name.split_once(' ').is_some_and(|(_, name)| name == saved.name)
            });
            let theirs = of_tool.and_then(|saved| saved.chains.get(chain));
            let Some(ours) = table.chains.get_mut(chain) else { continue };
            if let Some(theirs) = theirs
                && theirs.rules.len() == ours.rules.len()
            {
                let name = ours.rules[*place].name.clone();
                ours.rules[*place] = Rule { name, steps: theirs.rules[*place].steps.clone() };
            }
        }
    }
}

/// What the save command of iptables says; of two kinds that it comes in the one that is meant.
fn save_command(family: Family, kind: &str, is_nft: bool) -> Option<Result<String, String>> {
    let tool = if family == Family::Ip6 { "ip6tables" } else { "iptables" };
    for name in [format!("{tool}-{kind}-save"), format!("{tool}-save")] {
        match tools::say(&name, &[]) {
            Ok(None) => {}
            Ok(Some(text)) if text.contains("(nf_tables)") != is_nft && !text.is_empty() => {}
            Ok(Some(text)) => return Some(Ok(text)),
            Err(error) => return Some(Err(error)),
        }
    }
    None
}

/// True if nftables has tables, as the kernel says; false where it knows no nftables.
fn has_tables() -> bool {
    let dump = Dump {
        protocol: libc::NETLINK_NETFILTER,
        question: GET_TABLE,
        answer: NEW_TABLE,
        body: &[libc::AF_UNSPEC as u8, 0, 0, 0],
    };
    dump.read(|_| Ok(Some(()))).is_ok_and(|tables| !tables.is_empty())
}
