//! Errors that only show when sections are held against each other.

use knock_common::abi::grant::HOST_BITS;
use knock_common::abi::rules::{MAX_DOORS, MAX_PREFIXES, MAX_SERVICES};

use super::door::PlacedDoor;
use super::hooks;
use super::overlap::same_knocks;
use super::port_owners::PortOwners;
use super::report::{Report, Span};
use super::service::PlacedService;
use super::value::Entry;
use crate::sequences::slots;

/// Reports them all.
pub(super) fn check(services: &[&PlacedService], doors: &[&PlacedDoor], report: &Report<'_>) {
    let owners = shared_ports(services, report);
    protected_knocks(services, doors, &owners, report);
    opens_and_closes(doors, report);
    prefixes(doors, report);
    own_services(services, report);
    hooked_services(services, doors, report);
    same_tags(
        services
            .iter()
            .filter(|one| !one.service.ports.is_empty())
            .map(|one| (one.service.name.tag(), &one.key, &one.span)),
        report,
    );
    same_tags(doors.iter().map(|one| (one.door.name.tag(), &one.key, &one.span)), report);
    crowded(doors, report);
}

/// More services or doors than the kernel's tables hold: says so, and returns true.
pub(super) fn too_many(services: &[Entry<'_>], doors: &[Entry<'_>], report: &Report<'_>) -> bool {
    let mut found = false;
    for (entries, limit, what) in [(services, MAX_SERVICES, "services"), (doors, MAX_DOORS, "doors")] {
        if let Some(first) = entries.get(limit) {
            let message = format!("{} {what}, more than {limit}", entries.len());
            report.error(&first.name_span, &first.item.key, message, format!("keep at most {limit} {what}"));
            found = true;
        }
    }
    found
}

/// A door without a service has one of its own name, which must be free.
fn own_services(services: &[&PlacedService], report: &Report<'_>) {
    for (index, own) in services.iter().enumerate().filter(|(_, one)| one.service.ports.is_empty()) {
        if let Some(limit) = index.checked_sub(MAX_SERVICES)
            && limit == 0
        {
            let message = format!("more than {MAX_SERVICES} services and doors without one");
            report.error(&own.span, &own.key, message, "let it name a service");
        }
        let tag = own.service.name.tag();
        let of_ports = services.iter().find(|one| !one.service.ports.is_empty() && one.service.name.tag() == tag);
        if let Some(other) = of_ports {
            let message = format!("names no service, and {} has its name", other.key);
            let help = format!("add service = \"{}\", or give the door another name", other.service.name.as_str());
            report.error(&own.span, &own.key, message, help);
        }
    }
}

/// A hook is given the service's name.
fn hooked_services(services: &[&PlacedService], doors: &[&PlacedDoor], report: &Report<'_>) {
    for placed in doors.iter().filter(|one| !one.bare && !one.door.hooks.is_empty()) {
        if let Some(service) = services.get(placed.door.service)
            && !hooks::is_a_word(service.service.name.as_str())
        {
            let message = "a name that the hooks of its doors cannot be given: it would be more than a word to a shell";
            report.error(&service.span, &service.key, message, "use letters, digits, - and _");
        }
    }
}

/// Returns who has which port.
fn shared_ports(services: &[&PlacedService], report: &Report<'_>) -> PortOwners {
    let mut owners = PortOwners::default();
    for (later, index) in services.iter().zip(0..).filter(|(one, _)| !one.service.ports.is_empty()) {
        for (at, (range, span)) in later.service.ports.iter().zip(&later.ports).enumerate() {
            if let Some((port, earlier)) = owners.first_in(*range) {
                let name = services[earlier].service.name;
                let message = format!("port {port} is in service {} as well", name.as_str());
                report.error(span, &format!("{}.ports[{at}]", later.key), message, "remove it from one of them");
            }
        }
        owners.claim(&later.service.ports, index);
    }
    owners
}

fn protected_knocks(services: &[&PlacedService], doors: &[&PlacedDoor], owners: &PortOwners, report: &Report<'_>) {
    for placed in doors {
        for (at, (step, span)) in placed.door.sequence.iter().zip(&placed.steps).enumerate() {
            if let Some(owner) = owners.owner(*step) {
                let name = services[owner].service.name;
                let message = format!("port {step} is protected by service {}", name.as_str());
                report.error(span, &placed.step_key(at), message, "knock on a port that no service protects");
            }
        }
    }
}

fn opens_and_closes(doors: &[&PlacedDoor], report: &Report<'_>) {
    for (index, later) in doors.iter().enumerate() {
        let contrary = doors[..index].iter().find(|earlier| {
            earlier.door.service == later.door.service
                && earlier.door.action != later.door.action
                && earlier.door.sequence.len() == later.door.sequence.len()
                && same_knocks(&earlier.door, &later.door)
        });
        if let Some(earlier) = contrary {
            let message =
                format!("the same sequence as door {}: it would both open and close", earlier.door.name.as_str());
            let help = "give one of them another sequence";
            report.error(&later.span, &later.key_of("sequence"), message, help);
        }
    }
}

fn prefixes(doors: &[&PlacedDoor], report: &Report<'_>) {
    let families = [
        (
            "grant_prefix_v4",
            96,
            (|placed| (placed.door.grant_prefix_v4, &placed.prefix_v4)) as fn(&PlacedDoor) -> (u8, &Span),
        ),
        ("grant_prefix_v6", 0, |placed| (placed.door.grant_prefix_v6, &placed.prefix_v6)),
    ];
    for (name, above, get) in families {
        for (index, placed) in doors.iter().enumerate() {
            let of_service = |one: &&&PlacedDoor| one.door.service == placed.door.service;
            let mut used = vec![HOST_BITS];
            used.extend(doors[..index].iter().filter(of_service).map(|one| above + u32::from(get(one).0)));
            used.sort_unstable();
            used.dedup();
            let (bits, span) = get(placed);
            if used.len() >= MAX_PREFIXES && !used.contains(&(above + u32::from(bits))) {
                let message = format!(
                    "one prefix length too many for this service: at most {MAX_PREFIXES}, whole addresses among them"
                );
                report.error(span, &placed.key_of(name), message, "use a length that another door of the service uses");
            }
        }
    }
}

/// Tags are 32 bits; two names that share one would share their grants.
fn same_tags<'a>(sections: impl Iterator<Item = (u32, &'a String, &'a Span)>, report: &Report<'_>) {
    let mut seen: Vec<(u32, &String)> = Vec::new();
    for (tag, key, span) in sections {
        if let Some((_, earlier)) = seen.iter().find(|(other, _)| *other == tag) {
            report.error(span, key, format!("the name has the same tag as {earlier}"), "choose another name");
        }
        seen.push((tag, key));
    }
}

fn crowded(doors: &[&PlacedDoor], report: &Report<'_>) {
    if doors.len() > MAX_DOORS {
        return;
    }
    let sequences: Vec<_> = doors.iter().map(|placed| placed.door.sequence.as_slice()).collect();
    if let Err(crowd) = slots::assign(&sequences) {
        let (placed, others) = (doors[crowd.door], crowd.others.iter().map(|&index| doors[index].door.name));
        let others: Vec<_> = others.collect();
        let message = slots::message(&others.iter().map(knock_common::abi::rules::Name::as_str).collect::<Vec<_>>());
        report.error(&placed.span, &placed.key_of("sequence"), message, slots::HELP);
    }
}
