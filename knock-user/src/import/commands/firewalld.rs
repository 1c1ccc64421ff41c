//! `firewall-cmd` (see firewall-cmd(1) and firewalld.richlanguage(5)): rich rules, zones of sources, ipsets, and rules
//! of iptables that it hands on.

use std::time::Duration;

use knock_common::packet::Transport;

use super::address::{self, EVERYBODY};
use super::change::{Change, Container, Deed, Families, Note, Rule, Verb};
use super::iptables;
use crate::config::PortNames;

/// Reads the words behind the program's name.
///
/// # Errors
///
/// What is not understood, or has no counterpart.
pub fn read(words: &[String], names: &PortNames) -> Result<Deed, String> {
    if let Some(at) = words.iter().position(|word| word == "--direct") {
        return direct(words.get(at + 1..).unwrap_or_default(), names);
    }
    let (mut change, mut zone, mut set, mut lasts) = (None, None, None, None);
    let mut words = words.iter();
    while let Some(word) = words.next() {
        let (name, value) = word.split_once('=').map_or((word.as_str(), None), |(name, value)| (name, Some(value)));
        let mut need =
            || value.or_else(|| words.next().map(String::as_str)).ok_or_else(|| format!("{name} takes a value"));
        let mut changes = |new: (Verb, &'static str, Option<String>)| match change.replace(new) {
            None => Ok(()),
            Some(_) => Err("it changes several things at once".to_owned()),
        };
        match name {
            "--zone" => zone = Some(need()?.to_owned()),
            "--ipset" => set = Some(need()?.to_owned()),
            "--timeout" => lasts = Some(timeout(need()?)?),
            "--permanent" | "-q" | "--quiet" | "--add" => {}
            "--add-rich-rule" => changes((Verb::Add, "rule", Some(need()?.to_owned())))?,
            "--remove-rich-rule" => changes((Verb::Delete, "rule", Some(need()?.to_owned())))?,
            "--add-source" => changes((Verb::Add, "source", Some(need()?.to_owned())))?,
            "--remove-source" => changes((Verb::Delete, "source", Some(need()?.to_owned())))?,
            "--add-entry" => changes((Verb::Add, "entry", Some(need()?.to_owned())))?,
            "--remove-entry" => changes((Verb::Delete, "entry", Some(need()?.to_owned())))?,
            "--reload" | "--complete-reload" | "--runtime-to-permanent" => changes((Verb::Add, "nothing", None))?,
            "--add-port" | "--remove-port" | "--add-service" | "--remove-service" => return Err(EVERYBODY.to_owned()),
            _ => return Err(format!("{name} has no counterpart")),
        }
    }
    let (verb, what, value) = change.ok_or("it changes no rule")?;
    let value = value.unwrap_or_default();
    let rule = match what {
        "rule" => rich(&value, zone, names)?,
        "source" => {
            let prefix = address::source(&value)?;
            let zone = zone.ok_or("it names no zone")?;
            Rule { prefix, ..Rule::new(Families::Both, Container::Zone(zone)) }
        }
        "entry" => {
            let prefix = address::source(&value)?;
            Rule { prefix, ..Rule::new(Families::Both, Container::Set(set.ok_or("it names no set")?)) }
        }
        _ => return Ok(Deed::Needless(Note::plain("firewalld need not load anything anew"))),
    };
    let lasts = lasts.filter(|time: &Duration| !time.is_zero() && verb == Verb::Add);
    Ok(Deed::Change(Change::new(verb, rule, lasts)))
}

/// Seconds, or a number with `s`, `m` or `h` behind it.
fn timeout(text: &str) -> Result<Duration, String> {
    let (number, unit) = match text.strip_suffix(['s', 'm', 'h']) {
        Some(number) => (number, &text[number.len()..]),
        None => (text, "s"),
    };
    let number: u32 = number.parse().map_err(|_| format!("{text} is no time"))?;
    Ok(Duration::from_secs(
        u64::from(number)
            * if unit == "h" {
                3600
            } else if unit == "m" {
                60
            } else {
                1
            },
    ))
}

/// `ipv4 filter INPUT 0 -s %IP% ...`, behind `--add-rule` or `--remove-rule`; or `--passthrough ipv4 -I INPUT ...`.
fn direct(words: &[String], names: &PortNames) -> Result<Deed, String> {
    let word = |at: usize| words.get(at).map_or("", String::as_str);
    let families = match word(1) {
        "ipv4" => Families::V4,
        "ipv6" => Families::V6,
        other => return Err(format!("{other} is neither ipv4 nor ipv6")),
    };
    let letter = match word(0) {
        "--passthrough" => return iptables::read(families, words.get(2..).unwrap_or_default(), names),
        "--add-rule" => "-A",
        "--remove-rule" => "-D",
        other => return Err(format!("{other} has no counterpart")),
    };
    if word(2) != "filter" {
        return Err(format!("table {} does more than let in", word(2)));
    }
    let mut rule = vec![letter.to_owned(), word(3).to_owned()];
    rule.extend_from_slice(words.get(5..).unwrap_or_default());
    iptables::read(families, &rule, names)
}

/// A rich rule: elements with attributes, such as `port port="22" protocol="tcp"`.
fn rich(text: &str, zone: Option<String>, names: &PortNames) -> Result<Rule, String> {
    let mut families = Families::Both;
    let (mut prefix, mut destination, mut ports, mut accepts) = (None, None, Vec::new(), false);
    let mut element = "";
    let (mut port, mut protocol) = (None, None);
    for word in text.split_whitespace() {
        let Some((name, value)) = word.split_once('=') else {
            element = word;
            match word {
                "rule" | "source" | "destination" | "port" | "service" | "log" | "audit" | "limit" => {}
                "accept" => accepts = true,
                "NOT" | "not" => return Err("it negates something".to_owned()),
                _ => return Err(format!("{word} has no counterpart")),
            }
            continue;
        };
        let value = value.trim_matches(['"', '\'']);
        match (element, name) {
            ("rule", "family") => families = if value == "ipv6" { Families::V6 } else { Families::V4 },
            ("rule", "priority") | ("log" | "audit" | "limit", _) => {}
            ("source", "address") => prefix = Some(address::source(value)?),
            ("destination", "address") => destination = address::destination(value)?,
            ("port", "port") => port = Some(value.to_owned()),
            ("port", "protocol") => protocol = address::transport(value)?,
            ("service", "name") => {
                // What has both in /etc/services is one of TCP to firewalld.
                let known = |transport| address::one(value, transport, names).ok();
                let known = known(Transport::Tcp).or_else(|| known(Transport::Udp));
                ports.push(known.ok_or_else(|| format!("service {value} has no port in /etc/services"))?);
            }
            _ => return Err(format!("{name} of {element} has no counterpart")),
        }
    }
    if !accepts {
        return Err("it does not accept".to_owned());
    }
    if let Some(port) = port {
        ports.extend(address::ports(&port, protocol.ok_or("it names a port and no protocol")?, names)?);
    }
    let place = zone.map_or(Container::Everything, Container::Zone);
    Ok(Rule { ports, prefix: prefix.ok_or(EVERYBODY)?, destination, ..Rule::new(families, place) })
}
