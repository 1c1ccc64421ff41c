//! `ufw` (see ufw(8)).

use knock_common::packet::Transport;

use super::address;
use super::change::{Change, Deed, Families, Place, Rule, Verb};
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
    let mut notes = Vec::new();
    words.next_if_eq(&"in");
    if words.next_if_eq(&"on").is_some() {
        let interface = words.next().ok_or("on takes an interface")?;
        notes.push(format!("its interface {interface} is left out: a service is the same on all"));
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
                match need()? {
                    "any" => {}
                    address => {
                        return Err(format!("it is about the destination {address}, and a service is about all"));
                    }
                }
                side = "to";
            }
            "port" if side == "to" => port = Some(need()?),
            "port" => return Err("it is about the port of the source".to_owned()),
            "proto" => protocol = address::transport(need()?)?,
            "comment" => drop(need()?),
            _ => return Err(format!("{word} has no counterpart")),
        }
    }
    let prefix = source.ok_or("it is for every source, not just %IP%")?;
    let transports = match protocol {
        Some(transport) => vec![transport],
        None => vec![Transport::Tcp, Transport::Udp],
    };
    let mut ports = Vec::new();
    for transport in transports {
        if let Some(port) = port {
            ports.extend(address::ports(port, transport, names)?);
        }
    }
    let rule = Rule { families: Families::Both, place: Place::Everything, ports, prefix };
    Ok(Deed::Change(Change { verb, rules: vec![rule], lasts: None, notes }))
}
