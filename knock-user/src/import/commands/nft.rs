//! `nft` (see nft(8)): rules that accept the source, and sets that the source is put into.

use std::time::Duration;

use knock_common::packet::Transport;

use super::address;
use super::change::{Change, Deed, Families, Place, Rule, Verb};
use crate::config::PortNames;

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
    let _table = words.next().ok_or("it names no table")?;
    let place = words.next().ok_or("it names no chain or set")?;
    match (what, verb) {
        (Some("rule"), Verb::Add) => rule(place, &mut words, names),
        (Some("rule"), Verb::Delete) => Err("it names a rule by its handle".to_owned()),
        (Some("element"), _) => element(verb, family.unwrap_or("ip"), place, &mut words),
        _ => Err("it is about neither a rule nor an element".to_owned()),
    }
    .map(Deed::Change)
}

fn rule(chain: &str, words: &mut Words<'_>, names: &PortNames) -> Result<Change, String> {
    if matches!(chain.to_ascii_lowercase().as_str(), "forward" | "output" | "prerouting" | "postrouting") {
        return Err(format!("chain {chain} is not about this host's own ports"));
    }
    let (mut source, mut families, mut accepts) = (None, Families::Both, false);
    let (mut ports, mut notes) = (Vec::new(), Vec::new());
    while let Some(word) = words.next() {
        if accepts && word != "comment" {
            return Err(format!("{word} behind accept is not understood"));
        }
        match (word, words.peek().copied()) {
            ("position" | "handle" | "index", Some(_)) if source.is_none() => drop(words.next()),
            ("ip" | "ip6", Some("saddr")) => {
                words.next();
                families = if word == "ip" { Families::V4 } else { Families::V6 };
                source = Some(address::source(words.next().unwrap_or_default())?);
            }
            ("tcp" | "udp", Some("dport")) => {
                words.next();
                let transport = if word == "tcp" { Transport::Tcp } else { Transport::Udp };
                for port in values(words)? {
                    ports.push(address::one(port, transport, names)?);
                }
            }
            ("ip", Some("protocol")) | ("ip6", Some("nexthdr")) | ("meta", Some("l4proto")) => {
                words.next();
                for protocol in values(words)? {
                    address::transport(protocol)?;
                }
            }
            ("ct", Some("state")) => {
                words.next();
                if !values(words)?.contains(&"new") {
                    return Err("it is not about new connections".to_owned());
                }
            }
            ("iif" | "iifname", Some(interface)) => {
                words.next();
                notes.push(format!("its interface {interface} is left out: a service is the same on all"));
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
    let prefix = source.ok_or("it is for every source, not just %IP%")?;
    let rule = Rule { families, place: Place::Chain(chain.to_owned()), ports, prefix };
    Ok(Change { verb: Verb::Add, rules: vec![rule], lasts: None, notes })
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

fn element(verb: Verb, family: &str, set: &str, words: &mut Words<'_>) -> Result<Change, String> {
    let bad = "its elements are not just %IP%";
    words.next_if_eq(&"{").ok_or(bad)?;
    let prefix = address::source(words.next().unwrap_or_default())?;
    let mut lasts = None;
    while let Some(word) = words.next_if(|word| *word != "}") {
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
    let rule = Rule { families, place: Place::Set(set.to_owned()), ports: Vec::new(), prefix };
    let lasts = lasts.filter(|time: &Duration| !time.is_zero() && verb == Verb::Add);
    Ok(Change { verb, rules: vec![rule], lasts, notes: Vec::new() })
}
