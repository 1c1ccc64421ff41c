//! Ways to come to this host that no rule tells apart: what becomes of a packet on one of them becomes of it on all.

use std::collections::{BTreeMap, BTreeSet};

use super::model::{Family, Hook, Key, Name, Step, Table};
use super::packet::Packet;

/// The places of packets in groups, each of those that every rule of these tables takes for the same, if they differ in
/// nothing but the way on which they come, and nobody knows their source. Order and number of groups follow the packets.
pub fn alike(tables: &[Table], packets: &[Packet]) -> Vec<Vec<usize>> {
    let names: BTreeSet<&Name> = tables.iter().flat_map(names).collect();
    let fronts: Vec<&str> = names.iter().filter_map(|name| name.as_front()).collect();
    let bases = || tables.iter().flat_map(|table| table.chains.values()).filter_map(|chain| chain.base.as_ref());
    // What is below an interface is known by its name.
    let is_apart = bases().any(|base| base.hook == Hook::Egress);
    let has_bridges = tables.iter().any(|table| table.family == Family::Bridge);
    let mut groups: Vec<Vec<usize>> = Vec::new();
    let mut known = BTreeMap::new();
    for (place, packet) in packets.iter().enumerate() {
        let look = |name: &String| Look {
            itself: (is_apart || names.contains(&Name::Whole(name.clone()))).then(|| name.clone()),
            fronts: fronts.iter().map(|front| name.starts_with(front)).collect(),
            is_loopback: name == "lo",
        };
        let is_twice = packet.interface.is_some() && packet.devices.last() == packet.interface.as_ref();
        let devices: Vec<_> = packet.devices.iter().map(look).collect();
        let way = (devices, packet.interface.as_ref().map(look), is_twice, packet.is_bridged && has_bridges);
        let group = *known.entry(way).or_insert(groups.len());
        match groups.get_mut(group) {
            Some(group) => group.push(place),
            None => groups.push(vec![place]),
        }
    }
    groups
}

/// What rules see of a name.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Look {
    /// The name, if a rule says just that.
    itself: Option<String>,
    /// With which of the beginnings that rules say it begins.
    fronts: Vec<bool>,
    is_loopback: bool,
}

/// The names of interfaces that a table says.
fn names(table: &Table) -> impl Iterator<Item = &Name> {
    let is_interface = |key: &Key| matches!(key, Key::Interface | Key::Out);
    let devices = table.chains.values().filter_map(|chain| chain.base.as_ref()).flat_map(|base| &base.devices);
    let steps = table.chains.values().flat_map(|chain| &chain.rules).flat_map(|rule| &rule.steps);
    let tested = steps.flat_map(move |step| match step {
        Step::Test(test) if is_interface(&test.key) => test.values.names.iter().collect(),
        Step::Map(key, entries) if is_interface(key) => {
            entries.iter().flat_map(|(values, _)| &values.names).collect::<Vec<_>>()
        }
        _ => Vec::new(),
    });
    devices.chain(tested)
}
