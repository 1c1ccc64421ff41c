//! What the program is told of interfaces: to which link-local sources belong whose packets come there; and what the
//! answer of a closed port takes from one, its MAC, time to live and hop limit.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::iter::once;

use aya::maps::{HashMap, MapData, MapError};
use knock_common::abi::layout::{InterfaceReport, MAX_INTERFACES, name};

use super::arrival::{above, scope_of};
use super::list::Interface;
use crate::kernel::pod::Plain;
use crate::kernel::program::load::Program;
use crate::kernel::sys;

/// What both families start with where nothing is set.
const DEFAULT_HOPS: u8 = 64;

/// What is so of an interface that could not be told of, if the program answers.
const MUTE: &str = "what is denied there is dropped, not answered";
/// The same of a port of a bond, whether it answers or not.
const ALONE: &str =
    "clients with link-local addresses (fe80::) must knock there once more, as knocks on the bond do not count there";

/// By the index of the interface.
type Reports = BTreeMap<u32, InterfaceReport>;

/// What the program was told of the interfaces on which it judges. Its table evicts nothing: where the gate
/// stands it must not fall silent because others came. Those that are gone are taken out instead. Ports of a bond come
/// first, in the report of others if there must be: without them sessions would be cut.
#[derive(Debug)]
pub struct ReplySources {
    /// The program answers at all.
    wanted: bool,
    told: Reports,
    /// Interfaces that it could not be told of, by index.
    silent: BTreeMap<u32, Silent>,
}

/// An interface that the program could not be told of.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Silent {
    /// It is a port of a bond, with or without a gate of its own.
    is_port: bool,
    why: String,
    /// Somebody has heard of it.
    is_said: bool,
}

/// What was told before an interface was put in.
#[must_use]
pub struct Before {
    told: Reports,
    silent: BTreeMap<u32, Silent>,
}

/// The table of the program, as far as it is written here.
trait Table {
    fn insert(&mut self, index: u32, report: InterfaceReport) -> Result<(), MapError>;
    fn remove(&mut self, index: u32) -> Result<(), MapError>;
}

type ProgramTable<'a> = HashMap<&'a mut MapData, u32, Plain<InterfaceReport>>;

impl Table for ProgramTable<'_> {
    fn insert(&mut self, index: u32, report: InterfaceReport) -> Result<(), MapError> {
        HashMap::insert(self, index, Plain(report), 0)
    }

    fn remove(&mut self, index: u32) -> Result<(), MapError> {
        HashMap::remove(self, &index)
    }
}

fn table(program: &mut Program) -> ProgramTable<'_> {
    program.map(name::INTERFACES).try_into().expect("the object's map is of these types")
}

impl ReplySources {
    /// Nothing was told yet.
    pub const fn new(wanted: bool) -> Self {
        Self { wanted, told: Reports::new(), silent: BTreeMap::new() }
    }

    /// Tells of an interface that is about to have the gate, with its ports if it is a bond. What cannot be told leaves it
    /// [silent](Self::silent). Returns what [`Self::take_back`] needs if it cannot have the gate.
    pub fn put(&mut self, program: &mut Program, interface: &Interface, all: &[Interface]) -> Before {
        let now = reports(&[interface], all, self.wanted);
        let before = Before { told: self.told.clone(), silent: self.silent.clone() };
        self.write(&mut table(program), &outdated(&self.told, &now, interface.index), changed(&self.told, &now));
        before
    }

    /// The interface that was put in could not have the gate: all is as it was before, its ports and those that have
    /// given way to them among it, and nothing is to be said of them.
    pub fn take_back(&mut self, program: &mut Program, before: Before) {
        self.restore(&mut table(program), before);
    }

    fn restore(&mut self, table: &mut impl Table, Before { told, silent }: Before) {
        self.write(table, &gone(&self.told, &told), changed(&self.told, &told));
        let is_lost = |index: &u32| told.contains_key(index) && !self.told.contains_key(index);
        self.silent.retain(|index, _| is_lost(index));
        self.silent.extend(silent);
    }

    /// Tells of what has changed on the interfaces that have the gate, and takes out all others.
    pub fn reconcile(&mut self, program: &mut Program, standing: &[&Interface], all: &[Interface]) {
        let now = reports(standing, all, self.wanted);
        self.silent.retain(|index, _| now.contains_key(index));
        self.write(&mut table(program), &gone(&self.told, &now), changed(&self.told, &now));
    }

    /// Where the gate answers nothing, or takes the port of a bond for a link of its own, each said once: the name of the
    /// interface, and what is so there and why.
    pub fn news(&mut self, all: &[Interface]) -> Vec<(String, String)> {
        let mut news = Vec::new();
        for (index, silent) in self.silent.iter_mut().filter(|(_, silent)| !silent.is_said) {
            let Some(interface) = all.iter().find(|one| one.index == *index) else { continue };
            let what = match (self.wanted, silent.is_port) {
                (true, true) => format!("{MUTE}, and {ALONE}"),
                (true, false) => MUTE.to_owned(),
                (false, _) => ALONE.to_owned(),
            };
            news.push((interface.name.clone(), format!("{what}: {}", silent.why)));
            silent.is_said = true;
        }
        news
    }

    /// Says all of it once more, as a reload does.
    pub fn say_again(&mut self) {
        self.silent.values_mut().for_each(|silent| silent.is_said = false);
    }

    /// Notes one that could not be told of. What was said of it is not said again.
    fn fall_silent(&mut self, index: u32, is_port: bool, why: String) {
        let is_said =
            self.silent.get(&index).is_some_and(|one| one.is_said && one.is_port == is_port && one.why == why);
        self.silent.insert(index, Silent { is_port, why, is_said });
    }

    /// What is gone goes first: it may make room.
    fn write(&mut self, table: &mut impl Table, gone: &[u32], changed: Reports) {
        for index in gone {
            // Another error leaves it for the next time.
            if matches!(table.remove(*index), Ok(()) | Err(MapError::KeyNotFound)) {
                self.told.remove(index);
            }
        }
        if !gone.is_empty() {
            // The kernel gives what was removed to the next key, also while a program still reads it. Where it cannot be
            // waited for, what that program reads is of another interface for one frame.
            let _ = sys::wait_for_readers();
        }
        let (ports, others): (Vec<_>, Vec<_>) = changed.into_iter().partition(|(_, report)| report.scope != 0);
        for (index, report) in ports.into_iter().chain(others) {
            let mut outcome = table.insert(index, report);
            if let Err(error) = &outcome
                && is_full(error)
                && let Some(other) = self.gives_way_to(&report)
            {
                outcome = table.remove(other).and_then(|()| table.insert(index, report));
                self.told.remove(&other);
                self.fall_silent(other, false, no_room());
            }
            match outcome {
                Ok(()) => {
                    self.told.insert(index, report);
                    self.silent.remove(&index);
                }
                Err(error) => self.fall_silent(index, report.scope != 0, explain(&error)),
            }
        }
    }

    /// The last of those that only answer, in whose report a port of a bond comes where there is no room.
    fn gives_way_to(&self, report: &InterfaceReport) -> Option<u32> {
        let only_answers = self.told.iter().rev().find(|(_, told)| told.scope == 0);
        only_answers.map(|(index, _)| *index).filter(|_| report.scope != 0)
    }
}

/// Of the interfaces that have the gate. A bond hands a native program on to the drivers of its ports: frames come by
/// these then, sent to the bond. Without answers, of those alone whose link-local sources belong to another.
fn reports(standing: &[&Interface], all: &[Interface], answers: bool) -> Reports {
    let gates: BTreeMap<u32, &Interface> = standing.iter().map(|one| (one.index, *one)).collect();
    let bonds: BTreeSet<u32> = all.iter().filter(|one| one.joins_its_ports()).map(|one| one.index).collect();
    let mut reports = Reports::new();
    if answers {
        reports.extend(standing.iter().map(|one| (one.index, of(one, 0))));
    }
    // They are few, where interfaces may be thousands.
    for port in all.iter().filter(|one| one.master.is_some_and(|master| bonds.contains(&master))) {
        // A port with a gate of its own is told of as such.
        let mut ways = once(port.index).chain(above(port.index, all).into_iter().map(|bond| bond.index));
        if let Some(gate) = ways.find_map(|index| gates.get(&index)) {
            reports.insert(port.index, of(gate, scope_of(port.index, all)));
        }
    }
    reports
}

/// Those that were told of and are no longer there.
fn gone(told: &Reports, now: &Reports) -> Vec<u32> {
    told.keys().filter(|index| !now.contains_key(index)).copied().collect()
}

/// What was told of an interface that is nothing now: it was the port of a bond, or another had its index.
fn outdated(told: &Reports, now: &Reports, index: u32) -> Vec<u32> {
    gone(told, now).into_iter().filter(|gone| *gone == index).collect()
}

/// Those that are new, or not what they were.
fn changed(told: &Reports, now: &Reports) -> Reports {
    now.iter()
        .filter(|(index, report)| told.get(index) != Some(*report))
        .map(|(index, report)| (*index, *report))
        .collect()
}

fn is_full(error: &MapError) -> bool {
    matches!(error, MapError::SyscallError(error) if error.io_error.raw_os_error() == Some(libc::E2BIG))
}

fn explain(error: &MapError) -> String {
    match error {
        error if is_full(error) => no_room(),
        MapError::SyscallError(error) => error.io_error.to_string(),
        other => other.to_string(),
    }
}

fn no_room() -> String {
    format!("the gate stands on more than {MAX_INTERFACES} interfaces, the ports of bonds among them")
}

fn of(interface: &Interface, scope: u32) -> InterfaceReport {
    InterfaceReport {
        scope,
        mac: interface.mac,
        ttl: hops("/proc/sys/net/ipv4/ip_default_ttl"),
        hop_limit: hops(&format!("/proc/sys/net/ipv6/conf/{}/hop_limit", interface.name)),
    }
}

/// A host without the family has no such file, and sends no such answer.
fn hops(path: &str) -> u8 {
    fs::read_to_string(path).ok().and_then(|text| text.trim().parse().ok()).unwrap_or(DEFAULT_HOPS)
}

#[cfg(test)]
mod tests {
    use aya::sys::SyscallError;

    use super::super::list::tests::interface;
    use super::*;

    const REPORT: InterfaceReport = InterfaceReport { mac: [2, 0, 0, 0, 0, 1], ttl: 64, hop_limit: 64, scope: 0 };

    #[test]
    fn only_what_has_changed_is_told() {
        let told = Reports::from([(2, REPORT), (3, REPORT), (4, REPORT)]);
        let moved = InterfaceReport { mac: [2, 0, 0, 0, 0, 9], ..REPORT };
        let now = Reports::from([(2, REPORT), (3, moved), (5, REPORT)]);
        assert_eq!(changed(&told, &now), Reports::from([(3, moved), (5, REPORT)]));
        assert_eq!(gone(&told, &now), [4]);
        assert!(changed(&told, &told).is_empty() && gone(&told, &told).is_empty());
    }

    /// Two ports of a bond, the bond, and a card by itself.
    fn all() -> [Interface; 4] {
        let bond = Interface { kind: Some("bond".into()), mac: [2, 0, 0, 0, 0, 1], ..interface("bond0", 4) };
        let card = |index| Interface { mac: [2, 0, 0, 0, 0, index as u8], ..interface("eth", index) };
        let port = |index| Interface { master: Some(4), ..card(index) };
        [port(2), port(3), bond, card(5)]
    }

    #[test]
    fn a_port_that_has_left_its_bond_keeps_nothing_of_it() {
        let told =
            Reports::from([(2, InterfaceReport { scope: 4, ..REPORT }), (3, InterfaceReport { scope: 4, ..REPORT })]);
        let free = interface("eth0", 2);
        // As the kernel announces it: nothing is known of the others.
        assert_eq!(outdated(&told, &reports(&[&free], &[], false), 2), [2]);
        assert_eq!(outdated(&told, &reports(&[&free], &[], true), 2), [0_u32; 0]);
    }

    #[test]
    fn the_ports_of_a_bond_answer_as_the_bond() {
        let [two, three, bond, _] = &all();
        let macs = |standing: &[&Interface]| -> Vec<(u32, u8)> {
            reports(standing, &all(), true).into_iter().map(|(index, report)| (index, report.mac[5])).collect()
        };
        assert_eq!(macs(&[bond]), [(2, 1), (3, 1), (4, 1)]);
        assert_eq!(macs(&[two, three]), [(2, 2), (3, 3)]);
        assert_eq!(macs(&[three, bond]), [(2, 1), (3, 3), (4, 1)]);
    }

    #[test]
    fn a_bridge_hands_no_program_on() {
        let [two, _, bond, _] = all();
        let bridge = Interface { kind: Some("bridge".into()), ..bond };
        let told = reports(&[&bridge], &[two.clone(), bridge.clone()], true);
        assert_eq!(told.into_iter().map(|(index, report)| (index, report.scope)).collect::<Vec<_>>(), [(4, 0)]);
        assert!(reports(&[&two], &[two.clone(), bridge], false).is_empty(), "each port is a link of its own");
    }

    /// Whether or not denials are answered.
    #[test]
    fn the_program_knows_to_which_bond_a_port_belongs() {
        let [two, three, bond, card] = &all();
        let scopes = |standing: &[&Interface], answers: bool| -> Vec<(u32, u32)> {
            reports(standing, &all(), answers).into_iter().map(|(index, report)| (index, report.scope)).collect()
        };
        for standing in [&[bond][..], &[two, three], &[two, three, bond]] {
            assert_eq!(scopes(&[standing, &[card]].concat(), false), [(2, 4), (3, 4)], "{standing:?}");
        }
        assert_eq!(scopes(&[two], false), [(2, 4)]);
        assert_eq!(scopes(&[bond, card], true), [(2, 4), (3, 4), (4, 0), (5, 0)]);
        // Released from it.
        let free = Interface { master: None, ..two.clone() };
        assert!(reports(&[&free], &[free.clone(), bond.clone()], false).is_empty());
    }

    #[test]
    fn a_port_of_a_bond_takes_the_place_of_one_that_only_answers() {
        let port = InterfaceReport { scope: 9, ..REPORT };
        let reply_sources = |told: &[(u32, InterfaceReport)]| ReplySources {
            wanted: true,
            told: told.iter().copied().collect(),
            silent: BTreeMap::new(),
        };
        let mixed = reply_sources(&[(2, port), (3, REPORT), (4, REPORT), (5, port)]);
        assert_eq!(mixed.gives_way_to(&port), Some(4));
        assert_eq!(mixed.gives_way_to(&REPORT), None);
        assert_eq!(reply_sources(&[(2, port)]).gives_way_to(&port), None);
    }

    /// Whether or not it has a gate of its own, or one is meant for it.
    #[test]
    fn each_interface_without_room_is_named_once() {
        let all = all();
        let mut reply_sources = ReplySources::new(false);
        reply_sources.fall_silent(3, true, no_room());
        let said = |reply_sources: &mut ReplySources| reply_sources.news(&all);
        let why = no_room();
        assert_eq!(said(&mut reply_sources), [("eth".to_owned(), format!("{ALONE}: {why}"))]);
        // Tried again in vain.
        reply_sources.fall_silent(3, true, no_room());
        assert_eq!(said(&mut reply_sources), []);
        reply_sources.fall_silent(3, true, "out of memory".to_owned());
        assert_eq!(said(&mut reply_sources), [("eth".to_owned(), format!("{ALONE}: out of memory"))]);
        reply_sources.say_again();
        assert_eq!(said(&mut reply_sources).len(), 1);
        // Where denials are answered: a port, and one that only answers and has given way to a port.
        let mut reply_sources = ReplySources::new(true);
        reply_sources.fall_silent(3, true, no_room());
        reply_sources.fall_silent(4, false, no_room());
        let both = [("eth", format!("{MUTE}, and {ALONE}: {why}")), ("bond0", format!("{MUTE}: {why}"))];
        assert_eq!(said(&mut reply_sources), both.map(|(name, text)| (name.to_owned(), text)));
    }

    /// A table with room for so many.
    struct Small(Reports, usize);

    impl Table for Small {
        fn insert(&mut self, index: u32, report: InterfaceReport) -> Result<(), MapError> {
            if self.0.len() >= self.1 && !self.0.contains_key(&index) {
                let io_error = std::io::Error::from_raw_os_error(libc::E2BIG);
                return Err(MapError::SyscallError(SyscallError { call: "bpf_map_update_elem", io_error }));
            }
            self.0.insert(index, report);
            Ok(())
        }

        fn remove(&mut self, index: u32) -> Result<(), MapError> {
            self.0.remove(&index).map(drop).ok_or(MapError::KeyNotFound)
        }
    }

    /// Its ports have taken the room of others meanwhile.
    #[test]
    fn of_a_bond_that_could_not_have_the_gate_nothing_stays_and_nothing_is_said() {
        let [two, three, bond, _] = all();
        let (six, seven) = (interface("six", 6), interface("seven", 7));
        let all = [two, three, bond.clone(), six.clone(), seven.clone()];
        let mut table = Small(Reports::new(), 2);
        let mut reply_sources = ReplySources::new(true);
        reply_sources.write(&mut table, &[], reports(&[&six, &seven], &all, true));
        let told = table.0.clone();
        assert_eq!(told.len(), 2);
        for _ in 0..2 {
            let before = Before { told: reply_sources.told.clone(), silent: reply_sources.silent.clone() };
            reply_sources.write(&mut table, &[], reports(&[&bond], &all, true));
            assert_eq!(table.0.keys().copied().collect::<Vec<_>>(), [2, 3], "its ports come first");
            reply_sources.restore(&mut table, before);
            assert_eq!((&table.0, &reply_sources.told), (&told, &told));
            assert_eq!(reply_sources.news(&all), []);
        }
    }

    #[test]
    fn the_table_never_holds_more_than_there_is() {
        let mut told = Reports::from([(2, REPORT)]);
        for index in 3..3 * MAX_INTERFACES {
            let now = Reports::from([(2, REPORT), (index, REPORT)]);
            told.retain(|index, _| now.contains_key(index));
            told.extend(changed(&told, &now));
            assert_eq!(told, now);
        }
    }
}
