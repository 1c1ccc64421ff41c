//! Ports that no rule tells apart: what becomes of one of them becomes of all.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use super::model::{Action, Key, Step, Table, Values};
use crate::syntax::Port;

/// The ports in groups, each of those that every rule of these tables takes for the same. Order and number of groups follow
/// the ports.
pub fn alike(tables: &[Table], ports: &[Port]) -> Vec<Vec<Port>> {
    let marks = marks(tables);
    let mut groups: Vec<Vec<Port>> = Vec::new();
    let mut known: BTreeMap<(u8, u128), usize> = BTreeMap::new();
    for port in ports {
        // Of all sets that hold the port: the sum of their marks.
        let mark = marks.range(..=u32::from(port.number)).next_back().map_or(0, |(_, mark)| *mark);
        let group = *known.entry((port.transport as u8, mark)).or_insert(groups.len());
        match groups.get_mut(group) {
            Some(group) => group.push(*port),
            None => groups.push(vec![*port]),
        }
    }
    groups
}

/// For each number from which on others of the sets of ports hold it: the sum of their marks.
fn marks(tables: &[Table]) -> BTreeMap<u32, u128> {
    let sets: BTreeSet<Vec<(u32, u32)>> = tables.iter().flat_map(sets).map(|set| ranges(&set)).collect();
    let mut changes: BTreeMap<u32, u128> = BTreeMap::new();
    for (number, set) in sets.iter().enumerate() {
        let mark = mark_of(number);
        for (first, last) in set {
            let begin = changes.entry(*first).or_default();
            *begin = begin.wrapping_add(mark);
            let end = changes.entry(last + 1).or_default();
            *end = end.wrapping_sub(mark);
        }
    }
    let mut sum = 0_u128;
    for mark in changes.values_mut() {
        sum = sum.wrapping_add(*mark);
        *mark = sum;
    }
    changes
}

/// The sets of ports that rules test, of the ports that a connection is to, and the ports that they send it to: whether that
/// is another it may be asked for.
fn sets(table: &Table) -> impl Iterator<Item = Cow<'_, Values>> {
    // The answer comes from the port that the first packet goes to.
    let is_port = |key: &Key| matches!(key, Key::Port | Key::SentPort | Key::SourcePort);
    let steps = table.chains.values().flat_map(|chain| &chain.rules).flat_map(|rule| &rule.steps);
    steps.flat_map(move |step| match step {
        Step::Test(test) if is_port(&test.key) => vec![Cow::Borrowed(&test.values)],
        Step::Map(key, entries) if is_port(key) => entries.iter().map(|(values, _)| Cow::Borrowed(values)).collect(),
        Step::Act(Action::Send(_, Some(port)) | Action::Redirect(Some(port))) => {
            vec![Cow::Owned(Values::number(*port))]
        }
        _ => Vec::new(),
    })
}

/// Its ranges of ports, in order, none of them next to or over another.
fn ranges(values: &Values) -> Vec<(u32, u32)> {
    const LAST: u128 = u16::MAX as u128;
    let mut all: Vec<(u32, u32)> = values
        .numbers
        .iter()
        .filter(|(first, last)| first <= last && *first <= LAST)
        .map(|(first, last)| (*first as u32, (*last).min(LAST) as u32))
        .collect();
    all.sort_unstable();
    let mut joined: Vec<(u32, u32)> = Vec::new();
    for (first, last) in all {
        match joined.last_mut() {
            Some(before) if first <= before.1 + 1 => before.1 = before.1.max(last),
            _ => joined.push((first, last)),
        }
    }
    joined
}

/// 128 bits, so that no two collections of sets have the same sum.
fn mark_of(number: usize) -> u128 {
    let half = |which: u8| {
        let mut hasher = DefaultHasher::new();
        (which, number).hash(&mut hasher);
        u128::from(hasher.finish())
    };
    half(0) << 64 | half(1)
}

#[cfg(test)]
mod tests {
    use knock_common::packet::Transport;

    use super::super::model::{Chain, Family, Rule, Test};
    use super::*;

    fn table(steps: Vec<Step>) -> Table {
        let rules = steps.into_iter().map(|step| Rule { name: String::new(), steps: vec![step] }).collect();
        let chains = BTreeMap::from([("c".to_owned(), Chain { base: None, rules })]);
        Table { tool: "nftables", family: Family::Inet, name: "inet t".to_owned(), chains }
    }

    fn of(key: Key, ranges: &[(u128, u128)]) -> Step {
        Step::Test(Test::new(key, values(ranges)))
    }

    fn values(ranges: &[(u128, u128)]) -> Values {
        Values { numbers: ranges.to_vec(), ..Values::default() }
    }

    fn groups(steps: Vec<Step>, ports: impl IntoIterator<Item = u16>) -> Vec<Vec<u16>> {
        let ports: Vec<_> = ports.into_iter().map(|number| Port { number, transport: Transport::Tcp }).collect();
        let groups = alike(&[table(steps)], &ports);
        groups.into_iter().map(|group| group.into_iter().map(|port| port.number).collect()).collect()
    }

    #[test]
    fn ports_are_apart_where_a_rule_takes_one_and_not_the_other() {
        assert_eq!(groups(Vec::new(), 1..=4), [[1, 2, 3, 4]]);
        assert_eq!(groups(vec![of(Key::Port, &[(2, 2)])], 1..=4), [vec![1, 3, 4], vec![2]]);
        for key in [Key::SentPort, Key::SourcePort] {
            assert_eq!(groups(vec![of(key, &[(2, 3)])], 1..=4), [[1, 4], [2, 3]]);
        }
        // One that is around all, one that says the same twice, and one of something else.
        let around = vec![
            of(Key::Port, &[(0, u128::MAX)]),
            of(Key::Port, &[(2, 2), (3, 3)]),
            of(Key::Port, &[(3, 3), (2, 3)]),
            of(Key::Protocol, &[(4, 4)]),
        ];
        assert_eq!(groups(around, 1..=4), [[1, 4], [2, 3]]);
        // Those of a map each by itself.
        let entries = [(1, 1), (3, 4)].map(|range| (values(&[range]), Action::Accept)).to_vec();
        assert_eq!(groups(vec![Step::Map(Key::Port, entries)], 1..=5), [vec![1], vec![2, 5], vec![3, 4]]);
        assert_eq!(groups(vec![of(Key::Port, &[(65535, 65535)])], [1, 65534, 65535]), [vec![1, 65534], vec![65535]]);
    }

    #[test]
    fn the_transports_of_a_port_are_apart() {
        let ports = [Transport::Tcp, Transport::Udp].map(|transport| Port { number: 22, transport });
        assert_eq!(alike(&[], &ports), [[ports[0]], [ports[1]]]);
    }

    /// As each rule by itself would have it.
    #[test]
    fn groups_of_rules_at_random_are_those_of_all_rules_one_by_one() {
        let mut rng = fastrand::Rng::with_seed(7);
        for _ in 0..50 {
            let sets: Vec<Vec<(u128, u128)>> = (0..rng.usize(0..8))
                .map(|_| {
                    (0..rng.usize(0..4))
                        .map(|_| {
                            let first = rng.u128(0..60);
                            (first, first + rng.u128(0..20))
                        })
                        .collect()
                })
                .collect();
            let holds = |port: u16| -> Vec<bool> { sets.iter().map(|set| values(set).has(port.into())).collect() };
            let found = groups(sets.iter().map(|set| of(Key::Port, set)).collect(), 1..=80);
            for group in &found {
                assert!(group.iter().all(|port| holds(*port) == holds(group[0])), "{sets:?}: {group:?}");
            }
            let kinds: BTreeSet<_> = found.iter().map(|group| holds(group[0])).collect();
            assert_eq!(kinds.len(), found.len(), "{sets:?}: {found:?}");
        }
    }
}
