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
mod walk;

pub use fate::Fate;
pub use model::RuleLocation;
pub use packet::{Packet, Tracked};
pub use routing::Below;

use self::model::{Family, Hook, Rule, Table};
use self::routing::{Kernel, Routing};
use self::walk::Course;
use super::{tables, tools};
use crate::syntax::Port;

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
        // Where the kernel knows no nftables, or does not say, there are none.
        let has_tables = || tables::has_nftables().is_ok_and(|has| has);
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
        let tool = tool_of(family);
        if tables::has_iptables(family != Family::Ip6).is_ok_and(|has| has) {
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
        let mut left = u32::MAX;
        self.fate_within(packet, &mut left)
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

/// The tool of iptables for a family.
const fn tool_of(family: Family) -> &'static str {
    match family {
        Family::Ip6 => "ip6tables",
        _ => "iptables",
    }
}

/// What the save command of iptables says; of two kinds that it comes in the one that is meant.
fn save_command(family: Family, kind: &str, is_nft: bool) -> Option<Result<String, String>> {
    let tool = tool_of(family);
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
