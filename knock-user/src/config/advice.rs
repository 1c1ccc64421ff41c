//! Warnings: what works but is weak, or probably not meant. No message repeats a knock.

use std::collections::BTreeSet;

use knock_common::abi::rules::Action;
use knock_common::packet::Transport;

use super::Severity;
use super::door::PlacedDoor;
use super::host::Host;
use super::overlap::same_knocks;
use super::port::{Port, PortRange};
use super::report::Report;
use super::service::PlacedService;
use super::tcpflags;
use crate::permissions::Permissions;

/// Reports them all. The config has no errors.
pub(super) fn give(services: &[&PlacedService], doors: &[&PlacedDoor], host: &Host, report: &Report<'_>) {
    if services.is_empty() {
        report.of_file(Severity::Warning, "no service: nothing is protected", "add a section such as [services.ssh]");
    }
    for (index, placed) in services.iter().enumerate() {
        without_a_door(index, placed, doors, report);
    }
    ephemeral(services, host, report);
    for (index, placed) in doors.iter().enumerate() {
        if placed.bare && placed.door.hooks.is_empty() {
            let help = "add a service, or a start_command";
            report.warning(&placed.span, &placed.key, "neither a service nor a hook: it only logs", help);
        }
        shape(placed, report);
        flags(placed, report);
        listeners(placed, host, report);
        for (other_index, other) in doors.iter().enumerate() {
            if index != other_index {
                resemblance(placed, other, other_index < index, report);
            }
        }
    }
}

fn without_a_door(index: usize, placed: &PlacedService, doors: &[&PlacedDoor], report: &Report<'_>) {
    let mut actions = doors.iter().filter(|one| one.door.service == index).map(|one| one.door.action).peekable();
    let message = if actions.peek().is_none() {
        "no door for this service"
    } else if actions.all(|action| action == Action::Close) {
        "no door opens this service, they only close it"
    } else {
        return;
    };
    let help = "add a door, or reach it from trusted networks and by `knockctl allow` only";
    report.warning(&placed.span, &placed.key, message, help);
}

/// Ports of UDP from which this host may ask others by chance. What listens has its port for itself.
fn ephemeral(services: &[&PlacedService], host: &Host, report: &Report<'_>) {
    let Some(ephemeral) = &host.ephemeral else { return };
    let of_udp = host.listeners.iter().filter(|port| port.transport == Transport::Udp);
    let taken: BTreeSet<_> = of_udp.map(|port| port.number).collect();
    let is_free = |ports: &PortRange| ephemeral.given_out(*ports).any(|number| !taken.contains(&number));
    let all = services.iter().flat_map(|placed| &placed.service.ports).filter(|ports| is_free(ports)).copied();
    let line = ephemeral.reservation(all);
    for placed in services {
        let Some(at) = placed.service.ports.iter().position(is_free) else { continue };
        let message = "ephemeral ports of this host: what it asks others from such a port, by a socket that is not connected, \
                       gets no answer";
        let help =
            format!("keep them from being given out: `{line}` in a file below /etc/sysctl.d, and `sysctl --system`");
        report.warning(&placed.ports[at], &format!("{}.ports[{at}]", placed.key), message, help);
    }
}

fn shape(placed: &PlacedDoor, report: &Report<'_>) {
    let steps = &placed.door.sequence;
    let key = placed.key_of("sequence");
    let span = placed.steps.first().map_or(&placed.span, |first| first);
    if steps.len() == 1 {
        report.warning(span, &key, "a single knock: any scan of this port makes it", "use three steps or more");
    }
    for (at, pair) in steps.windows(2).enumerate() {
        if pair[0] == pair[1] {
            let message = "the same step as the one before: a packet sent again makes it too";
            report.warning(&placed.steps[at + 1], &placed.step_key(at + 1), message, "let neighbouring steps differ");
        }
    }
    let ascending = steps.is_sorted_by_key(|step| step.number);
    let descending = steps.is_sorted_by(|one, next| one.number >= next.number);
    let differ = steps.iter().any(|step| step.number != steps[0].number);
    if differ && (ascending || descending) {
        let way = if ascending { "ascending" } else { "descending" };
        let message = format!("{way} ports: the order in which scanners go");
        report.warning(span, &key, message, "mix the order, such as high, low, middle");
    }
}

fn flags(placed: &PlacedDoor, report: &Report<'_>) {
    if placed.door.has_tcp_step() && !tcpflags::only_opens(placed.door.tcpflags) {
        let message = "segments of a connection fit too (ACK or RST): those of one that ends elsewhere disturb a knock";
        report.warning(
            &placed.tcpflags,
            &placed.key_of("tcpflags"),
            message,
            "use [\"syn\"], or add \"!ack\" and \"!rst\"",
        );
    }
}

fn listeners(placed: &PlacedDoor, host: &Host, report: &Report<'_>) {
    let mut told: Vec<Port> = Vec::new();
    for (at, step) in placed.door.sequence.iter().enumerate() {
        if host.listeners.contains(step) && !told.contains(step) {
            told.push(*step);
            let message = "something listens on this port here: knocks reach it, and its users knock";
            report.warning(&placed.steps[at], &placed.step_key(at), message, "choose a port on which nothing listens");
        }
    }
}

fn resemblance(placed: &PlacedDoor, other: &PlacedDoor, other_first: bool, report: &Report<'_>) {
    let (steps, others) = (placed.door.sequence.len(), other.door.sequence.len());
    if steps > others || (steps == others && !other_first) || !same_knocks(&placed.door, &other.door) {
        return;
    }
    let name = other.door.name.as_str();
    let message = if steps == others {
        format!("the same sequence as door {name}: one knock is for both")
    } else {
        format!("the beginning of door {name}: whoever knocks there knocks here as well")
    };
    let span = placed.steps.first().map_or(&placed.span, |first| first);
    report.warning(span, &placed.key_of("sequence"), message, "give them different sequences, unless you mean it");
}

/// What is weak about the file itself; nothing of a text that comes from none.
pub(super) fn of_the_file(text: &str, host: &Host, report: &Report<'_>) {
    let Some(permissions) = host.permissions else { return };
    if let Some((severity, message)) = host.fault(permissions) {
        report.of_file(severity, message, Permissions::remedy(report.file()));
    }
    if !text.trim_end_matches([' ', '\t']).ends_with('\n') {
        let help = "see that the file is whole, and end its last line";
        report.of_file(Severity::Warning, "ends in the middle of a line, as a file that was cut off does", help);
    }
}
