//! `nft` (see nft(8)): rules that accept the source, and sets that the source is put into.

use std::time::Duration;

use knock_common::packet::Transport;

use super::address::{self, EVERYBODY, IP};
use super::change::{By, Change, Container, Deed, Families, Note, Rule, Verb};
use crate::config::PortNames;

/// Of a verdict map that is about other sources as well.
const MORE_THAN_SOURCE: &str = "it is about other sources, not just %IP%";

type Words<'a> = std::iter::Peekable<std::vec::IntoIter<&'a str>>;

/// Reads the words behind the program's name; nft itself does not care how they are cut.
///
/// # Errors
///
/// What is not understood, or has no counterpart.
pub fn read(words: &[String], names: &PortNames) -> Result<Deed, String> {
    let mut text = words.join(" ");
    for mark in ['{', '}', ',', ';'] {
        text = text.replace(mark, &format!(" {mark} "));
    }
    let mut words = text.split_whitespace().collect::<Vec<_>>().into_iter().peekable();
    let verb = match words.next() {
        Some("add" | "insert" | "create") => Verb::Add,
        Some("delete" | "destroy") => Verb::Delete,
        Some(other) => return Err(format!("{other} has no counterpart")),
        None => return Err("it changes no rule".to_owned()),
    };
    let what = words.next();
    let family = words.next_if(|word| matches!(*word, "ip" | "ip6" | "inet" | "arp" | "bridge" | "netdev"));
    let family = family.unwrap_or("ip");
    let table = format!("{family} {}", words.next().ok_or("it names no table")?);
    let place = words.next().ok_or("it names no chain or set")?;
    match (what, verb) {
        (Some("rule"), Verb::Add) => rule(Container::Nft(table, place.to_owned()), &mut words, names),
        (Some("rule"), Verb::Delete) => Ok(Deed::Find(By::Number)),
        (Some("element"), _) => element(verb, family, place, &mut words).map(Deed::Change),
        _ => Err("it is about neither a rule nor an element".to_owned()),
    }
}

fn rule(place: Container, words: &mut Words<'_>, names: &PortNames) -> Result<Deed, String> {
    let chain = place.name().unwrap_or_default().to_ascii_lowercase();
    let mut rule = Rule::new(Families::Both, place);
    let (mut source, mut accepts, mut only_old, mut to_source) = (None, false, false, false);
    while let Some(word) = words.next() {
        if accepts && word != "comment" {
            return Err(format!("{word} behind accept is not understood"));
        }
        match (word, words.peek().copied()) {
            ("position" | "handle" | "index", Some(_)) if source.is_none() => drop(words.next()),
            ("ip" | "ip6", Some("saddr")) => {
                words.next();
                rule.families = if word == "ip" { Families::V4 } else { Families::V6 };
                if words.next_if_eq(&"vmap").is_some() {
                    let accepted = accepted(words)?;
                    let [only] = accepted.as_slice() else { return Err(MORE_THAN_SOURCE.to_owned()) };
                    source = Some(address::source(only)?);
                    accepts = true;
                } else {
                    source = Some(address::source(words.next().unwrap_or_default())?);
                }
            }
            ("ip" | "ip6", Some("daddr")) => {
                words.next();
                let to = words.next().unwrap_or_default();
                if to.starts_with(IP) { to_source = true } else { rule.destination = address::destination(to)? }
            }
            ("tcp" | "udp", Some("dport")) => {
                words.next();
                let transport = if word == "tcp" { Transport::Tcp } else { Transport::Udp };
                let ports = if words.next_if_eq(&"vmap").is_some() {
                    accepts = true;
                    accepted(words)?
                } else {
                    values(words)?.into_iter().map(str::to_owned).collect()
                };
                for port in ports {
                    rule.ports.push(address::one(&port, transport, names)?);
                }
            }
            ("tcp" | "udp", Some("sport")) if to_source => {
                words.next();
                values(words)?;
            }
            ("ip", Some("protocol")) | ("ip6", Some("nexthdr")) | ("meta", Some("l4proto")) => {
                words.next();
                for protocol in values(words)? {
                    address::transport(protocol)?;
                }
            }
            ("ct", Some("original")) => {
                words.next();
                if words.next() != Some("proto-dst") {
                    return Err("ct original has no counterpart".to_owned());
                }
                rule.as_sent = true;
                for port in values(words)? {
                    rule.ports.push(address::one(port, Transport::Tcp, names)?);
                }
            }
            ("ct", Some("state")) => {
                words.next();
                only_old = !values(words)?.contains(&"new");
            }
            ("iif" | "iifname", Some(interface)) => {
                words.next();
                rule.interface = Some(interface.trim_matches('"').to_owned());
            }
            ("counter", _) => {}
            ("accept", _) => accepts = true,
            // nft takes it in quotes of its own, which the shell may have left.
            ("comment", Some(_)) => while words.next().is_some() {},
            _ => return Err(format!("{word} has no counterpart")),
        }
    }
    if !accepts {
        return Err("it does not accept".to_owned());
    }
    if source.is_none() && to_source {
        let text =
            format!("its rule for {chain} is not needed here: let the packet filter pass the answers of the port");
        return Ok(Deed::Needless(Note::plain(text)));
    }
    if only_old {
        return Err("it is not about new connections".to_owned());
    }
    if matches!(chain.as_str(), "output" | "prerouting" | "postrouting") {
        return Err(format!("chain {chain} is not about this host's own ports"));
    }
    rule.prefix = source.ok_or(EVERYBODY)?;
    Ok(Deed::Change(Change::new(Verb::Add, rule, None)))
}

/// One value, or several in braces.
fn values<'a>(words: &mut Words<'a>) -> Result<Vec<&'a str>, String> {
    let mut values = Vec::new();
    if words.next_if_eq(&"{").is_none() {
        values.push(words.next().ok_or("a value is missing")?);
        while words.next_if_eq(&",").is_some() {
            values.push(words.next().ok_or("a value is missing")?);
        }
        return Ok(values);
    }
    loop {
        match words.next().ok_or("a brace that does not end")? {
            "}" => return Ok(values),
            "," => {}
            value => values.push(value),
        }
    }
}

/// The keys of a verdict map in braces, all of which it accepts.
fn accepted(words: &mut Words<'_>) -> Result<Vec<String>, String> {
    if let Some(name) = words.next_if(|word| word.starts_with('@')) {
        return Err(format!("what the map {name} does is not known"));
    }
    words.next_if_eq(&"{").ok_or("a verdict map without elements")?;
    let inside: Vec<&str> = words.by_ref().take_while(|word| *word != "}").collect();
    let entries = inside.split(|word| *word == ",").filter(|entry| !entry.is_empty());
    entries
        .map(|entry| {
            let entry = entry.join(" ");
            let (key, verdict) = entry.rsplit_once(':').ok_or("a verdict map without verdicts")?;
            match (key.trim(), verdict.trim()) {
                (key, "accept") => Ok(key.to_owned()),
                (_, other) => Err(format!("its verdict map does something else than accept: {other}")),
            }
        })
        .collect()
}

fn element(verb: Verb, family: &str, set: &str, words: &mut Words<'_>) -> Result<Change, String> {
    let bad = "its elements are not just %IP%";
    words.next_if_eq(&"{").ok_or(bad)?;
    let prefix = address::source(words.next().unwrap_or_default())?;
    let mut lasts = None;
    while let Some(word) = words.next_if(|word| *word != "}") {
        // One of a verdict map.
        if word == ":" && words.next() == Some("accept") {
            continue;
        }
        if word != "timeout" {
            return Err(bad.to_owned());
        }
        let time = words.next().ok_or("timeout takes a time")?;
        lasts = Some(humantime::parse_duration(time).map_err(|_| format!("{time} is no time"))?);
    }
    words.next().ok_or(bad)?;
    if words.next().is_some() {
        return Err(bad.to_owned());
    }
    // A set of an inet table holds addresses of one family; which one does not show here.
    let families = if family == "ip6" { Families::V6 } else { Families::V4 };
    let rule = Rule { prefix, ..Rule::new(families, Container::Set(set.to_owned())) };
    let lasts = lasts.filter(|time: &Duration| !time.is_zero() && verb == Verb::Add);
    Ok(Change::new(verb, rule, lasts))
}
