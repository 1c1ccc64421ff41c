//! `[doors.NAME]`.

use std::net::IpAddr;
use std::time::Duration;

use knock_common::abi::rules::{Action, MAX_STEPS};

use super::hooks::{self, PlacedHooks};
use super::model::{BARE_CMD_TIMEOUT, Door, OneTime, SEQ_TIMEOUT};
use super::port::{Port, PortError};
use super::port_names::PortNames;
use super::report::{Report, Span};
use super::value::{Entry, Item};
use super::{duration, name, onetime, suggest, tcpflags};
use crate::sequences::Sheet;

/// A door and the places of what it says.
pub(super) struct PlacedDoor {
    pub(super) door: Door,
    /// It names no service, and gets one of its own.
    pub(super) bare: bool,
    /// Its file of one-time sequences.
    pub(super) sheet: Option<Sheet>,
    pub(super) key: String,
    pub(super) span: Span,
    pub(super) steps: Vec<Span>,
    pub(super) tcpflags: Span,
    pub(super) prefix_v4: Span,
    pub(super) prefix_v6: Span,
}

impl PlacedDoor {
    /// The key of something this door says.
    pub(super) fn key_of(&self, name: &str) -> String {
        format!("{}.{name}", self.key)
    }

    /// The key of a step, from 0.
    pub(super) fn step_key(&self, step: usize) -> String {
        format!("{}.sequence[{step}]", self.key)
    }
}

/// Time for one sequence. The kernel counts it modulo 2.3 years.
const MAX_SEQ_TIMEOUT: Duration = Duration::from_secs(24 * 60 * 60);
/// How long a grant may last, well inside 64 bits of nanoseconds.
const MAX_CMD_TIMEOUT: Duration = Duration::from_secs(10 * 365 * 24 * 60 * 60);

/// Reads one section; `None` if an error in it was reported, or in its service. `own` is the index
/// of the service that it gets if it names none.
pub(super) fn read(
    entry: &Entry<'_>,
    services: &[&str],
    own: usize,
    names: &PortNames,
    report: &Report<'_>,
) -> Option<PlacedDoor> {
    let name = name::read(entry, report);
    let mut table = entry.item.table(report)?;
    let service_item = table.take("service");
    let bare = service_item.is_none();
    let service = service_item.map_or(Some(own), |item| read_service(&item, services, report));
    let action = match table.take("action") {
        Some(item) => item.choice(report, &[("open", Action::Open), ("close", Action::Close)]),
        None => Some(Action::Open),
    };
    let once = table.take("one_time_sequences");
    let sequence = match &once {
        None => table.need(report, "sequence", "[\"7000/tcp\", \"8000/udp\", \"9000/tcp\"]"),
        Some(_) => table.take("sequence"),
    };
    if let (Some(once), Some(_)) = (&once, &sequence) {
        once.error(report, "beside a sequence", "keep one of them: a door has one sequence, or a file of them");
    }
    let sheet = optional(once.as_ref(), |item| onetime::read(item, names, report));
    let sequence = match (&once, sequence) {
        (Some(_), None) => Some(Vec::new()),
        (_, sequence) => sequence.and_then(|item| read_sequence(&item, names, report)),
    };
    let flags_item = table.take("tcpflags");
    let flags = flags_item.as_ref().map_or(Some(tcpflags::REQUEST), |item| tcpflags::read(item, report));
    let seq_timeout = match table.take("seq_timeout") {
        Some(item) => {
            duration::read(&item, report, MAX_SEQ_TIMEOUT, "give the knocker some seconds, or leave it out for 10s")
        }
        None => Some(SEQ_TIMEOUT),
    };
    let cmd_timeout = table.take("cmd_timeout");
    let target = table.take("target");
    let prefix_v4 = table.take("grant_prefix_v4");
    let prefix_v6 = table.take("grant_prefix_v6");
    let hooks_at = PlacedHooks::take(&mut table);
    table.finish(report);

    let hooks = hooks_at.read(report);
    if hooks.as_ref().is_some_and(|hooks| !hooks.is_empty()) && !hooks::is_a_word(entry.name) {
        let message = "a name that hooks cannot be given: it would be more than a word to a shell";
        report.error(&entry.name_span, &entry.item.key, message, "use letters, digits, - and _");
    }
    if action == Some(Action::Close) {
        if bare {
            let help = "add service = \"...\", or remove the action";
            report.error(&entry.name_span, &entry.item.key, "a door that closes, without a service to close", help);
        }
        if let Some(item) = hooks_at.stop() {
            item.error(report, "a door that closes writes no grant, so none ends", "make it the start_command");
        }
        for item in [&cmd_timeout, &prefix_v4, &prefix_v6].into_iter().flatten() {
            item.error(report, "a door that closes writes no grant", "remove it, or set action = \"open\"");
        }
    }
    let until = "leave it out for a grant for good";
    let lasts = optional(cmd_timeout.as_ref(), |item| duration::read(item, report, MAX_CMD_TIMEOUT, until));
    let aim = optional(target.as_ref(), |item| read_target(item, report));
    let bits_v4 = prefix_v4.as_ref().map_or(Some(32), |item| item.integer(report, 1, 32));
    let bits_v6 = prefix_v6.as_ref().map_or(Some(128), |item| item.integer(report, 1, 128));

    let span_of = |item: &Option<Item<'_>>| item.as_ref().map_or(entry.name_span.clone(), |item| item.span.clone());
    let (sequence, steps) = sequence?.into_iter().unzip();
    Some(PlacedDoor {
        door: Door {
            name: name?,
            service: service?,
            action: action?,
            sequence,
            one_time: once.and_then(|item| Some(OneTime { path: item.as_str()?.into(), left: 0 })),
            tcpflags: flags?,
            seq_timeout: seq_timeout?,
            cmd_timeout: if bare { Some(lasts?.unwrap_or(BARE_CMD_TIMEOUT)) } else { lasts? },
            target: aim?,
            grant_prefix_v4: u8::try_from(bits_v4?).ok()?,
            grant_prefix_v6: u8::try_from(bits_v6?).ok()?,
            hooks: hooks?,
        },
        bare,
        sheet: sheet?,
        key: entry.item.key.clone(),
        span: entry.name_span.clone(),
        steps,
        tcpflags: span_of(&flags_item),
        prefix_v4: span_of(&prefix_v4),
        prefix_v6: span_of(&prefix_v6),
    })
}

/// Reads what may be absent: `Some(None)` if it is, `None` if it is there and wrong.
fn optional<T>(item: Option<&Item<'_>>, read: impl FnOnce(&Item<'_>) -> Option<T>) -> Option<Option<T>> {
    item.map_or(Some(None), |item| read(item).map(Some))
}

fn read_service(item: &Item<'_>, services: &[&str], report: &Report<'_>) -> Option<usize> {
    let name = item.string(report)?;
    let index = services.iter().position(|service| *service == name);
    if index.is_none() {
        let help = match suggest::nearest(name, services) {
            Some(near) => format!("did you mean \"{near}\"?"),
            None => format!("add a section [services.{}]", name.escape_debug()),
        };
        item.error(report, format!("no service is called \"{}\"", name.escape_debug()), help);
    }
    index
}

fn read_sequence(item: &Item<'_>, names: &PortNames, report: &Report<'_>) -> Option<Vec<(Port, Span)>> {
    let items = item.list(report)?;
    if items.is_empty() {
        item.error(report, "an empty sequence", "name the ports to knock, such as [\"7000/tcp\", \"8000/udp\"]");
        return None;
    }
    if items.len() > MAX_STEPS {
        let message = format!("a sequence of {} steps, more than {MAX_STEPS}", items.len());
        item.error(report, message, format!("keep at most {MAX_STEPS} steps"));
        return None;
    }
    let steps: Vec<_> =
        items.iter().filter_map(|item| Some((read_step(item, names, report)?, item.span.clone()))).collect();
    (steps.len() == items.len()).then_some(steps)
}

fn read_step(item: &Item<'_>, names: &PortNames, report: &Report<'_>) -> Option<Port> {
    let port = match item.as_integer() {
        Some(number) => Port::tcp(number),
        None => Port::parse(item.string(report)?, names),
    };
    port.inspect_err(|error| match error {
        PortError::Zero => item.error(report, "port 0 cannot be knocked", error.help()),
        _ => item.error(report, error.to_string(), error.help()),
    })
    .ok()
}

fn read_target(item: &Item<'_>, report: &Report<'_>) -> Option<IpAddr> {
    let text = item.string(report)?;
    let help = "write one address of this host, such as \"192.0.2.1\", or leave it out for all of them";
    let Ok(address) = text.parse::<IpAddr>() else {
        item.error(report, format!("\"{}\" is no address", text.escape_debug()), help);
        return None;
    };
    let address = address.to_canonical();
    if address.is_unspecified() || address.is_multicast() || address == IpAddr::from([255; 4]) {
        item.error(report, format!("{address} is no address of one host"), help);
        return None;
    }
    Some(address)
}
