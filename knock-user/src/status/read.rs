//! The pins -> a snapshot.

use std::collections::{BTreeSet, HashMap};
use std::rc::Rc;
use std::time::Duration;

use anyhow::Result;
use knock_common::abi::grant::{GrantKey, HOST_BITS};
use knock_common::abi::rules::{self, Action};

use super::service;
use super::snapshot::{Attempt, ConfigFile, Daemon, Door, Grant, Interface, Lockout, Service, Snapshot};
use crate::config::{Port, transport_name};
use crate::kernel::{
    Condition, FlowEntry, GrantEntry, InterfaceState, LockoutEntry, Source, State, Waiting, XdpMode, boot_now,
    format_site, format_source, not_there,
};
use crate::paths::Paths;
use crate::runtime;

/// Reads the pins, once or again and again: what it has opened it keeps for as long as the pins are the same.
pub struct Reader {
    paths: Paths,
    state: Option<State>,
}

impl Reader {
    /// Nothing is opened yet.
    #[must_use]
    pub fn new(paths: &Paths) -> Self {
        Self { paths: paths.clone(), state: None }
    }

    /// Reads everything.
    ///
    /// # Errors
    ///
    /// If the pins cannot be read, or are of another layout.
    pub fn read(&mut self) -> Result<Snapshot> {
        let daemon = runtime::daemon(&self.paths).map(|daemon| Daemon {
            pid: daemon.pid,
            config: daemon.config,
            unread_events: daemon.unread_events,
        });
        let state = self.state.take().filter(State::is_current);
        if !State::exists(&self.paths) {
            return Ok(Snapshot::nothing(daemon));
        }
        let read = state.map_or_else(|| State::open(&self.paths), Ok).and_then(|state| {
            let snapshot = read_pins(&self.paths, &state, daemon.clone())?;
            self.state = Some(state);
            Ok(snapshot)
        });
        match read {
            // Taken away while they were read.
            Err(_) if !State::exists(&self.paths) => Ok(Snapshot::nothing(daemon)),
            other => other,
        }
    }
}

fn read_pins(paths: &Paths, state: &State, daemon: Option<Daemon>) -> Result<Snapshot> {
    let (services, doors) = (state.services()?, state.doors()?);
    let protected = state.protected()?;
    let mut entries = state.grants()?;
    entries.sort_unstable_by_key(|entry| (entry.grant.since, entry.key));
    let names = Names::of(&services, &doors, &entries);
    let connections = connections(&state.flows()?, &services);
    let now = boot_now();
    let places = state.interfaces()?;
    let attempts = state.attempts()?.into_iter();
    let why_not = nowhere(&places);
    Ok(Snapshot {
        loaded: true,
        stands: why_not.is_none(),
        why_not,
        config: Waiting::read(paths).source.and_then(read_config),
        observing: state.observes()?,
        trial_seconds_left: trial_left(paths),
        deny: if state.rejects()? { "reject" } else { "drop" },
        interfaces: places.into_iter().map(read_place).collect(),
        services: (0..).zip(&services).map(|(index, service)| read_service(index, service, &protected)).collect(),
        doors: doors.iter().map(|door| read_door(door, &services)).collect(),
        grants: entries
            .iter()
            .map(|entry| read_grant(entry, &names, connections.get(&entry.key).copied().unwrap_or(0), now))
            .collect(),
        attempts: attempts
            .map(|attempt| Attempt {
                source: format_source(attempt.source, HOST_BITS),
                steps: steps(&doors, &attempt.door),
                door: attempt.door,
                stage: attempt.stage,
                seconds_left: round_up(attempt.left),
            })
            .collect(),
        lockouts: state.lockouts()?.iter().map(read_lockout).collect(),
        counters: state.counters()?,
        ..Snapshot::nothing(daemon)
    })
}

fn read_config(source: Source) -> Option<ConfigFile> {
    Some(ConfigFile { changed: source.has_changed()?, path: source.path })
}

/// Why the gate stands nowhere; `None` if it stands somewhere.
fn nowhere(places: &[InterfaceState]) -> Option<String> {
    if places.iter().any(|place| matches!(place.condition, Condition::Up | Condition::Down)) {
        return None;
    }
    let why = places.iter().map(|InterfaceState { name, condition, .. }| match condition {
        Condition::Absent(instead) => not_there(name, instead),
        Condition::Covered(why) | Condition::Open(why) => format!("{name}: {why}"),
        Condition::Up | Condition::Down => String::new(),
    });
    Some(why.collect::<Vec<_>>().join("; "))
}

fn read_place(place: InterfaceState) -> Interface {
    let (state, why) = match place.condition {
        Condition::Up => ("up", None),
        Condition::Down => ("down", None),
        Condition::Absent(instead) => ("absent", Some(instead)),
        Condition::Covered(why) => ("covered", Some(why)),
        Condition::Open(why) => ("open", Some(why)),
    };
    Interface { name: place.name, mode: place.mode.map(XdpMode::name), state, why }
}

fn trial_left(paths: &Paths) -> Option<u64> {
    let until = runtime::Trial::read(paths)?.until?;
    Some(round_up(Duration::from_nanos(until.saturating_sub(boot_now()))))
}

fn steps(doors: &[rules::Door], name: &str) -> u32 {
    doors.iter().find(|door| door.name.as_str() == name).map_or(0, |door| door.steps.into())
}

fn read_service(index: u32, service: &rules::Service, protected: &[(Port, u32)]) -> Service {
    let ports = protected.iter().filter(|(_, owner)| *owner == index);
    let ports = ports.map(|(port, _)| (port.number, transport_name(port.transport)));
    Service { name: service.name.as_str().to_owned(), ports: merge(ports) }
}

/// Ports in order of their numbers -> ranges in order of their first numbers.
fn merge(ports: impl Iterator<Item = (u16, &'static str)>) -> Vec<String> {
    let mut ranges: Vec<(u16, u16, &str)> = Vec::new();
    for (port, transport) in ports {
        let last = ranges.iter_mut().rev().find(|range| range.2 == transport);
        match last {
            Some(range) if port.checked_sub(1) == Some(range.1) => range.1 = port,
            _ => ranges.push((port, port, transport)),
        }
    }
    let text = |(first, last, transport): (u16, u16, &str)| {
        if first == last { format!("{first}/{transport}") } else { format!("{first}-{last}/{transport}") }
    };
    ranges.into_iter().map(text).collect()
}

fn read_door(door: &rules::Door, services: &[rules::Service]) -> Door {
    let service = services.get(usize::from(door.service));
    Door {
        name: door.name.as_str().to_owned(),
        service: service.map_or_else(String::new, |service| service.name.as_str().to_owned()),
        action: if door.action == Action::Close as u8 { "close" } else { "open" },
        steps: door.steps.into(),
        hooks: [(1, "start"), (2, "stop")]
            .into_iter()
            .filter(|(bit, _)| door.hooks & bit != 0)
            .map(|(_, name)| name)
            .collect(),
        sequences_left: (door.once != 0).then_some(door.left),
    }
}

/// The names of services and doors, shared by all grants that have them.
struct Names {
    services: HashMap<u32, Rc<str>>,
    doors: HashMap<u32, Rc<str>>,
}

impl Names {
    fn of(services: &[rules::Service], doors: &[rules::Door], entries: &[GrantEntry]) -> Self {
        let tags: BTreeSet<u32> = entries.iter().map(|entry| entry.key.service).collect();
        Self {
            services: tags.into_iter().map(|tag| (tag, service::name(services, tag).into())).collect(),
            doors: doors.iter().map(|door| (door.tag, door.name.as_str().into())).collect(),
        }
    }
}

/// How many connections each grant would let in, if there is one under this key.
fn connections(flows: &[FlowEntry], services: &[rules::Service]) -> HashMap<GrantKey, usize> {
    let mut counts = HashMap::new();
    for flow in flows {
        let Some(service) = services.iter().find(|service| service.tag == flow.service) else { continue };
        let source = &flow.key.source;
        let prefixes = service.prefixes(source);
        for prefix in prefixes.iter().take_while(|prefix| prefix.bits() != 0) {
            *counts.entry(GrantKey::new(service.tag, source, prefix)).or_default() += 1;
        }
    }
    counts
}

fn read_grant(entry: &GrantEntry, names: &Names, connections: usize, now: u64) -> Grant {
    Grant {
        source: entry.source(),
        service: Rc::clone(&names.services[&entry.key.service]),
        door: names.doors.get(&entry.grant.door).filter(|_| entry.grant.door != 0).map(Rc::clone),
        origin: entry.origin(),
        seconds_left: entry.left(now).map(round_up),
        connections,
        age: Duration::from_nanos(now.saturating_sub(entry.grant.since)).as_secs(),
    }
}

fn read_lockout(entry: &LockoutEntry) -> Lockout {
    let left = Duration::from_nanos(entry.until.saturating_sub(boot_now()));
    Lockout { source: format_site(entry.site), seconds_left: round_up(left) }
}

/// Whole seconds: what is live has at least one.
fn round_up(span: Duration) -> u64 {
    span.as_secs() + u64::from(span.subsec_nanos() > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_next_to_each_other_are_a_range() {
        let ports = [(53, "tcp"), (53, "udp"), (54, "tcp"), (55, "tcp"), (2222, "tcp"), (65535, "udp")];
        assert_eq!(merge(ports.into_iter()), ["53-55/tcp", "53/udp", "2222/tcp", "65535/udp"]);
        assert_eq!(merge([].into_iter()), Vec::<String>::new());
    }

    #[test]
    fn a_gate_on_no_interface_says_what_was_probably_meant() {
        let place = |name: &str, condition| InterfaceState { name: name.to_owned(), mode: None, condition };
        let slip = place("eht0", Condition::Absent("did you mean eth0? there are eth0, lo".into()));
        let busy = place("eth1", Condition::Open("busy".into()));
        let why = "eht0 is not there (did you mean eth0? there are eth0, lo); eth1: busy";
        assert_eq!(nowhere(&[slip.clone(), busy]).as_deref(), Some(why));
        assert_eq!(nowhere(&[slip, place("eth2", Condition::Down)]), None);
        assert_eq!(nowhere(&[]).as_deref(), Some(""));
    }

    #[test]
    fn time_left_is_rounded_up() {
        assert_eq!(round_up(Duration::from_millis(1)), 1);
        assert_eq!(round_up(Duration::from_secs(60)), 60);
        assert_eq!(round_up(Duration::ZERO), 0);
    }
}
