//! What the answer of a closed port takes from its interface: MAC, time to live, hop limit.

use std::collections::BTreeMap;
use std::fs;

use aya::maps::{HashMap, MapData, MapError};
use knock_common::layout::{MAX_PLACES, Place, name};

use super::interfaces::Interface;
use super::load::Program;
use super::plain::Plain;

/// What both families start with where nothing is set.
const DEFAULT_HOPS: u8 = 64;

/// By the index of the interface.
type Places = BTreeMap<u32, Place>;

/// What the program was told of the interfaces that it answers on. Its table evicts nothing: where the gate
/// stands it must not fall silent because others came. Those that are gone are taken out instead.
#[derive(Debug)]
pub struct Answers {
    /// The program answers at all.
    wanted: bool,
    told: Places,
    /// Interfaces that it could not be told of, and why.
    silent: BTreeMap<u32, String>,
}

impl Answers {
    /// Nothing was told yet.
    pub const fn new(wanted: bool) -> Self {
        Self { wanted, told: Places::new(), silent: BTreeMap::new() }
    }

    /// Tells of an interface that is about to have the gate. What cannot be told leaves it [silent](Self::silent).
    pub fn put(&mut self, program: &mut Program, interface: &Interface, all: &[Interface]) {
        if self.wanted {
            let new = changed(&self.told, &places(&[interface], all));
            self.write(program, &[], new);
        }
    }

    /// Tells of what has changed on the interfaces that have the gate, and takes out all others.
    pub fn settle(&mut self, program: &mut Program, standing: &[&Interface], all: &[Interface]) {
        if self.wanted {
            let now = places(standing, all);
            self.silent.retain(|index, _| now.contains_key(index));
            self.write(program, &gone(&self.told, &now), changed(&self.told, &now));
        }
    }

    /// Why the gate answers nothing on an interface, if it does not.
    pub fn silent(&self, interface: &Interface) -> Option<String> {
        let why = self.silent.get(&interface.index)?;
        Some(format!("what is denied there is dropped, not answered: {why}"))
    }

    /// What is gone goes first: it may make room.
    fn write(&mut self, program: &mut Program, gone: &[u32], changed: Places) {
        let table: Result<HashMap<&mut MapData, u32, Plain<Place>>, _> = program.map(name::PLACES).try_into();
        let mut table = table.expect("the object's map is of these types");
        for index in gone {
            // Another error leaves it for the next time.
            if matches!(table.remove(index), Ok(()) | Err(MapError::KeyNotFound)) {
                self.told.remove(index);
            }
        }
        for (index, place) in changed {
            match table.insert(index, Plain(place), 0) {
                Ok(()) => {
                    self.told.insert(index, place);
                    self.silent.remove(&index);
                }
                Err(error) => drop(self.silent.insert(index, explain(&error))),
            }
        }
    }
}

/// Of the interfaces that have the gate. A bond hands a native program on to the drivers of its ports: frames come by
/// these then, sent to the bond.
fn places(standing: &[&Interface], all: &[Interface]) -> Places {
    let mut places = Places::new();
    for bond in standing.iter().filter(|one| one.kind.as_deref() == Some("bond")) {
        let ports = all.iter().filter(|one| one.master == Some(bond.index));
        places.extend(ports.map(|port| (port.index, of(bond))));
    }
    // A port with a gate of its own is told of as such.
    places.extend(standing.iter().map(|interface| (interface.index, of(interface))));
    places
}

/// Those that were told of and are no longer there.
fn gone(told: &Places, now: &Places) -> Vec<u32> {
    told.keys().filter(|index| !now.contains_key(index)).copied().collect()
}

/// Those that are new, or not what they were.
fn changed(told: &Places, now: &Places) -> Places {
    now.iter().filter(|(index, place)| told.get(index) != Some(*place)).map(|(index, place)| (*index, *place)).collect()
}

fn explain(error: &MapError) -> String {
    match error {
        MapError::SyscallError(error) if error.io_error.raw_os_error() == Some(libc::E2BIG) => {
            format!("the gate stands on more than {MAX_PLACES} interfaces")
        }
        MapError::SyscallError(error) => error.io_error.to_string(),
        other => other.to_string(),
    }
}

fn of(interface: &Interface) -> Place {
    Place {
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
    use super::super::interfaces::tests::interface;
    use super::*;

    const PLACE: Place = Place { mac: [2, 0, 0, 0, 0, 1], ttl: 64, hop_limit: 64 };

    #[test]
    fn only_what_has_changed_is_told() {
        let told = Places::from([(2, PLACE), (3, PLACE), (4, PLACE)]);
        let moved = Place { mac: [2, 0, 0, 0, 0, 9], ..PLACE };
        let now = Places::from([(2, PLACE), (3, moved), (5, PLACE)]);
        assert_eq!(changed(&told, &now), Places::from([(3, moved), (5, PLACE)]));
        assert_eq!(gone(&told, &now), [4]);
        assert!(changed(&told, &told).is_empty() && gone(&told, &told).is_empty());
    }

    #[test]
    fn the_ports_of_a_bond_answer_as_the_bond() {
        let bond = Interface { kind: Some("bond".into()), mac: [2, 0, 0, 0, 0, 1], ..interface("bond0", 4) };
        let port = |index| Interface { master: Some(4), mac: [2, 0, 0, 0, 0, index as u8], ..interface("eth", index) };
        let all = [port(2), port(3), bond.clone(), Interface { master: None, ..port(5) }];
        let macs = |standing: &[&Interface]| -> Vec<(u32, u8)> {
            places(standing, &all).into_iter().map(|(index, place)| (index, place.mac[5])).collect()
        };
        assert_eq!(macs(&[&bond]), [(2, 1), (3, 1), (4, 1)]);
        assert_eq!(macs(&[&all[0], &all[1]]), [(2, 2), (3, 3)]);
        assert_eq!(macs(&[&all[1], &bond]), [(2, 1), (3, 3), (4, 1)]);
        let bridge = Interface { kind: Some("bridge".into()), ..bond };
        assert_eq!(macs(&[&bridge]), [(4, 1)]);
    }

    #[test]
    fn the_table_never_holds_more_than_there_is() {
        let mut told = Places::from([(2, PLACE)]);
        for index in 3..3 * MAX_PLACES {
            let now = Places::from([(2, PLACE), (index, PLACE)]);
            told.retain(|index, _| now.contains_key(index));
            told.extend(changed(&told, &now));
            assert_eq!(told, now);
        }
    }
}
