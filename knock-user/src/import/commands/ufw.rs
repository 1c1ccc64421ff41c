//! `ufw` (see ufw(8)).

use knock_common::packet::Transport;

use super::address::{self, EVERYBODY};
use super::change::{By, Change, Container, Deed, Families, Note, Rule, Verb};
use crate::config::PortNames;

/// Reads the words behind the program's name.
///
/// # Errors
///
/// What is not understood, or has no counterpart.
pub fn read(words: &[String], names: &PortNames) -> Result<Deed, String> {
    let mut words = words.iter().map(String::as_str).peekable();
    words.next_if_eq(&"--force");
    let verb = if words.next_if_eq(&"delete").is_some() { Verb::Delete } else { Verb::Add };
    if words.next_if_eq(&"reload").is_some() {
        return Ok(Deed::Needless(Note::plain("nothing is to be loaded anew")));
    }
    if verb == Verb::Delete && words.peek().is_some_and(|word| word.parse::<u32>().is_ok()) {
        return Ok(Deed::Find(By::Number));
    }
    if words.next_if_eq(&"insert").is_some() {
        words.next().filter(|number| number.parse::<u32>().is_ok()).ok_or("insert takes a number")?;
    } else {
        words.next_if_eq(&"prepend");
    }
    match words.next() {
        Some("allow") => {}
        Some(other) => return Err(format!("{other} does not let in")),
        None => return Err("it changes no rule".to_owned()),
    }
    words.next_if_eq(&"in");
    let mut rule = Rule::new(Families::Both, Container::Everything);
    if words.next_if_eq(&"on").is_some() {
        rule.interface = Some(address::interface(words.next().ok_or("on takes an interface")?));
    }
    // A port or an application alone, for everybody.
    let simple = words.clone().filter(|word| *word != "comment").count() <= 1;
    if simple && words.peek().is_some_and(|word| *word != "from") {
        return Err(EVERYBODY.to_owned());
    }
    let (mut source, mut protocol, mut port, mut side) = (None, None, None, "");
    while let Some(word) = words.next() {
        let mut need = || words.next().ok_or_else(|| format!("{word} takes a value"));
        match word {
            "from" => {
                source = Some(address::source(need()?)?);
                side = "from";
            }
            "to" => {
                rule.destination = address::destination(need()?)?;
                side = "to";
            }
            "port" if side == "to" => port = Some(need()?),
            "port" => return Err("it is about the port of the source".to_owned()),
            "proto" => protocol = address::transport(need()?)?,
            "comment" => drop(need()?),
            _ => return Err(format!("{word} has no counterpart")),
        }
    }
    rule.prefix = source.ok_or(EVERYBODY)?;
    let transports = match protocol {
        Some(transport) => vec![transport],
        None => vec![Transport::Tcp, Transport::Udp],
    };
    for transport in transports {
        if let Some(port) = port {
            rule.ports.extend(address::ports(port, transport, names)?);
        }
    }
    Ok(Deed::Change(Change::new(verb, rule, None)))
}
