//! `[hosts.NAME]`: how one host is knocked, and what comes then.

use std::net::IpAddr;
use std::time::Duration;

use knock_common::abi::rules::MAX_STEPS;
use knock_common::packet::Transport;

use super::super::{DELAY, Family, SourceAddress};
use crate::syntax::report::Report;
use crate::syntax::value::{Entry, Item};
use crate::syntax::{Port, PortNames, PortRange, duration};

/// One host's profile.
#[derive(Clone, PartialEq, Debug)]
pub struct Profile {
    /// What it is called by.
    pub name: String,
    /// `host`: name or address. Default: the profile's name.
    pub host: String,
    /// `sequence`: 1 to 32 ports.
    pub sequence: Vec<Port>,
    /// `delay`: pause between two steps. Default [`DELAY`].
    pub delay: Duration,
    /// `family`. Default [`Family::Any`].
    pub family: Family,
    /// `port`: the service's TCP port.
    pub port: Option<u16>,
    /// `then`: what is run after the knock; empty: nothing.
    pub then: Vec<String>,
    /// `retries`: further knocks if the port does not accept. Default [`RETRIES`].
    pub retries: u32,
    /// `open_for`: how long the door stays open, as the server has it.
    pub open_for: Option<Duration>,
    /// `source`: the address to knock from.
    pub source: Option<SourceAddress>,
    /// `interface`: the interface to knock through.
    pub interface: Option<String>,
}

/// Default of [`Profile::retries`].
pub const RETRIES: u32 = 1;

const MAX_DELAY: Duration = Duration::from_secs(60);
const MAX_OPEN: Duration = Duration::from_secs(365 * 24 * 60 * 60);
const MAX_RETRIES: u32 = 100;

/// Reads a section; `None` if an error was reported.
pub(super) fn read(entry: &Entry<'_>, names: &PortNames, report: &Report<'_>) -> Option<Profile> {
    let name = read_name(entry, report);
    let mut table = entry.item.table(report)?;
    let host = table.take("host");
    let sequence = table.need(report, "sequence", "[\"7000/tcp\", \"8000/udp\"]");
    let delay = table.take("delay");
    let family_item = table.take("family");
    let port = table.take("port");
    let then = table.take("then");
    let retries = table.take("retries");
    let open_for_item = table.take("open_for");
    let source_item = table.take("source");
    let interface = table.take("interface");
    table.finish(report);

    let choices = [Family::Any, Family::V4, Family::V6, Family::Both].map(|family| (family.name(), family));
    let family = family_item.map_or(Some(Family::Any), |item| item.choice(report, &choices));
    let source = optional(source_item.as_ref(), |item| read_address(item, report));
    let delay = delay.map_or(Some(DELAY), |item| read_delay(&item, report));
    let sequence = sequence.and_then(|item| read_sequence(&item, names, report));
    let open_for = optional(open_for_item.as_ref(), |item| {
        duration::read(item, report, MAX_OPEN, "write how long the door stays open, or leave it out")
    });
    if let (Some(item), Some(Some(source)), Some(family)) = (&source_item, &source, family) {
        contradict(item, source.ip, family, report);
    }
    if let (Some(item), Some(Some(open_for)), Some(delay), Some(steps)) = (&open_for_item, open_for, delay, &sequence)
        && super::super::schedule::period(open_for, delay, steps.len()).is_none()
    {
        item.error(report, "the door closes again before the next knock could be made", "write a longer time");
    }
    // All of them are read before the first is missed: one mistake does not hide the next.
    let host = host.map_or_else(|| name.clone(), |item| read_host(&item, report));
    let port = optional(port.as_ref(), |item| read_port(item, names, report));
    let then = then.map_or(Some(Vec::new()), |item| read_words(&item, report));
    let retries = retries.map_or(Some(RETRIES), |item| item.integer(report, 0, MAX_RETRIES));
    let interface = optional(interface.as_ref(), |item| read_interface(item, report));
    Some(Profile {
        name: name?,
        host: host?,
        sequence: sequence?,
        delay: delay?,
        family: family?,
        port: port?,
        then: then?,
        retries: retries?,
        open_for: open_for?,
        source: source?,
        interface: interface?,
    })
}

/// Reads what may be absent: `Some(None)` if it is, `None` if it is there and wrong.
fn optional<T>(item: Option<&Item<'_>>, read: impl FnOnce(&Item<'_>) -> Option<T>) -> Option<Option<T>> {
    item.map_or(Some(None), |item| read(item).map(Some))
}

/// A name must be one word on a command line, and no option.
fn read_name(entry: &Entry<'_>, report: &Report<'_>) -> Option<String> {
    let name = entry.name;
    let wrong = if name.is_empty() {
        "an empty name"
    } else if name.starts_with('-') {
        "a name that begins like an option"
    } else if name.contains(|c: char| c.is_whitespace() || c.is_control()) {
        "a name with a blank or a control character"
    } else {
        return Some(name.to_owned());
    };
    report.error(&entry.name_span, &entry.item.key, wrong, "use letters, digits, dots, - and _");
    None
}

fn read_host(item: &Item<'_>, report: &Report<'_>) -> Option<String> {
    let host = item.string(report)?;
    if host.is_empty() || host.contains(|c: char| c.is_whitespace() || c.is_control()) {
        item.error(report, "neither a name nor an address", "write such as \"server.example\" or \"192.0.2.1\"");
        return None;
    }
    Some(host.to_owned())
}

/// Steps; a range is a step for each of its ports, as on the command line.
fn read_sequence(item: &Item<'_>, names: &PortNames, report: &Report<'_>) -> Option<Vec<Port>> {
    let items = item.list(report)?;
    if items.is_empty() {
        item.error(report, "an empty sequence", "name the ports to knock, such as [\"7000/tcp\", \"8000/udp\"]");
        return None;
    }
    let ranges: Vec<_> = items.iter().filter_map(|item| read_range(item, names, report)).collect();
    if ranges.len() < items.len() {
        return None;
    }
    let steps: Vec<Port> = ranges.iter().flat_map(|range| range.ports()).take(MAX_STEPS + 1).collect();
    if steps.len() > MAX_STEPS {
        item.error(report, format!("more than {MAX_STEPS} steps"), format!("keep at most {MAX_STEPS} steps"));
        return None;
    }
    Some(steps)
}

fn read_range(item: &Item<'_>, names: &PortNames, report: &Report<'_>) -> Option<PortRange> {
    let range = match item.as_integer() {
        Some(number) => Port::tcp(number).map(PortRange::from),
        None => PortRange::parse(item.string(report)?, names),
    };
    range.inspect_err(|error| item.error(report, error.to_string(), error.help())).ok()
}

fn read_port(item: &Item<'_>, names: &PortNames, report: &Report<'_>) -> Option<u16> {
    let port = match item.as_integer() {
        Some(number) => Port::tcp(number),
        None => Port::parse(item.string(report)?, names),
    };
    let port = port.inspect_err(|error| item.error(report, error.to_string(), error.help())).ok()?;
    if port.transport == Transport::Udp {
        item.error(report, "a UDP port does not accept connections", "name a TCP port, or leave it out");
        return None;
    }
    Some(port.number)
}

/// A pause. Without a unit it could be read in two ways: `-d` takes milliseconds, all else seconds.
fn read_delay(item: &Item<'_>, report: &Report<'_>) -> Option<Duration> {
    let help = "write the unit, such as \"10ms\"";
    let text = item.string(report)?;
    let delay = duration::parse(text).filter(|_| text.parse::<u64>().is_err());
    match delay {
        None => item.error(report, format!("\"{}\" is no span of time", text.escape_debug()), help),
        Some(delay) if delay > MAX_DELAY => {
            item.error(report, "longer than a minute", "write at most \"1m\"");
            return None;
        }
        Some(_) => {}
    }
    delay
}

fn read_address(item: &Item<'_>, report: &Report<'_>) -> Option<SourceAddress> {
    let text = item.string(report)?;
    let address = text.parse().ok();
    if address.is_none() {
        let message = format!("\"{}\" is no address", text.escape_debug());
        item.error(report, message, "write an address of this host, such as \"192.0.2.2\" or \"fe80::1%eth0\"");
    }
    address
}

fn contradict(item: &Item<'_>, source: IpAddr, family: Family, report: &Report<'_>) {
    let fits = match family {
        Family::Any => true,
        Family::V4 => source.is_ipv4(),
        Family::V6 => source.is_ipv6(),
        Family::Both => false,
    };
    if !fits {
        let message = format!("family = \"{}\" cannot be reached from this address", family.name());
        item.error(report, message, "let both be of one family, or leave one of them out");
    }
}

fn read_interface(item: &Item<'_>, report: &Report<'_>) -> Option<String> {
    let name = item.string(report)?;
    if name.is_empty() || name.len() > 15 || name.contains(|c: char| c == '/' || c.is_whitespace() || c.is_control()) {
        item.error(report, "no name of an interface", "write such as \"wlan0\"");
        return None;
    }
    Some(name.to_owned())
}

/// Words, so that no shell can read them in another way.
fn read_words(item: &Item<'_>, report: &Report<'_>) -> Option<Vec<String>> {
    let help = "write [\"ssh\", \"-p\", \"2222\", \"me@%IP%\"]: a program and its arguments, each a text of its own";
    if let Some(text) = item.as_str() {
        item.error(report, format!("\"{}\" is one text", text.escape_debug()), help);
        return None;
    }
    let items = item.list(report)?;
    let words: Vec<String> = items.iter().filter_map(|item| item.string(report).map(str::to_owned)).collect();
    if words.first().is_none_or(String::is_empty) && words.len() == items.len() {
        item.error(report, "no program", help);
        return None;
    }
    if let Some(item) = items.iter().find(|item| item.as_str().is_some_and(|word| word.contains('\0'))) {
        item.error(report, "a zero octet, which no program can be given", "leave it out");
        return None;
    }
    (words.len() == items.len()).then_some(words)
}
