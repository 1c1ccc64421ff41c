//! What `iptables-save` prints.

use std::collections::BTreeMap;
use std::net::IpAddr;

use knock_common::packet::Transport;

use super::chain::{Chain, Hook, Key};
use super::line::Line;
use super::sets::network;
use super::verdict::Verdict;
use crate::config::PortNames;
use crate::import::commands::{interface, ports};

/// Matches of which every option is read.
const PLAIN: [&str; 8] = ["tcp", "udp", "multiport", "state", "conntrack", "comment", "set", "addrtype"];

/// Adds its chains.
///
/// # Errors
///
/// Of which rule the ports are not understood, as the end of a sentence.
pub fn read(text: &str, names: &PortNames, chains: &mut BTreeMap<Key, Chain>) -> Result<(), String> {
    // Before the first table: rules alone, as iptables -S prints them.
    let mut table = "ip filter".to_owned();
    for line in text.lines().map(str::trim) {
        if let Some(name) = line.strip_prefix('*') {
            table = format!("ip {name}");
        }
        // iptables-save -c puts counters in front.
        let line = if line.starts_with('[') { line.split_once(' ').map_or("", |(_, rule)| rule) } else { line };
        if let Some(name) = line.strip_prefix(':').and_then(|rest| rest.split_whitespace().next()) {
            add(chains, &table, name).drops |= line.split_whitespace().nth(1) == Some("DROP");
        } else if let Some(rest) = line.strip_prefix("-P ").or_else(|| line.strip_prefix("-N ")) {
            let mut words = rest.split_whitespace();
            if let Some(name) = words.next() {
                add(chains, &table, name).drops |= words.next() == Some("DROP");
            }
        } else if line.starts_with("-A ")
            && let Some((name, rule)) = rule(line, &table, names)?
        {
            add(chains, &table, name).lines.push(rule);
        }
    }
    Ok(())
}

fn add<'a>(chains: &'a mut BTreeMap<Key, Chain>, table: &str, name: &str) -> &'a mut Chain {
    let chain = chains.entry((table.to_owned(), name.to_owned())).or_default();
    chain.hook = match (table, name) {
        ("ip filter", "INPUT") => Some(Hook::Input),
        ("ip filter", "FORWARD") => Some(Hook::Forward),
        (_, "INPUT" | "PREROUTING") => Some(Hook::Early),
        (_, "FORWARD" | "OUTPUT" | "POSTROUTING") => Some(Hook::Other),
        _ => None,
    };
    chain
}

/// The chain of a rule, and what it says.
fn rule<'a>(text: &'a str, table: &str, names: &PortNames) -> Result<Option<(&'a str, Line)>, String> {
    let mut words = words(text).into_iter();
    let mut line = Line::default();
    let mut chain = None;
    let mut sent = None;
    let mut negated = false;
    while let Some(word) = words.next() {
        if word == "!" {
            negated = true;
            continue;
        }
        let mut value = || words.next().unwrap_or_default();
        match word {
            "-A" => chain = Some(value()),
            "-p" | "--protocol" => {
                line.negated |= negated;
                let transport = match value() {
                    "tcp" | "6" => Some(Transport::Tcp),
                    "udp" | "17" => Some(Transport::Udp),
                    "all" | "0" => None,
                    // Packets of other protocols have no port that could be protected.
                    _ => {
                        line.never |= !negated;
                        None
                    }
                };
                line.transports = transport.into_iter().filter(|_| !negated).collect();
            }
            "-m" | "--match" => line.odd |= !PLAIN.contains(&value()),
            "--dport" | "--dports" | "--destination-port" | "--destination-ports" | "--ctorigdstport" => {
                let text = value();
                line.odd |= sent.is_some();
                sent.get_or_insert(text);
                line.negated |= negated;
            }
            "-s" | "--source" => {
                line.others |= negated;
                line.add_sources(value().split(',').map(network).collect());
            }
            "--match-set" => {
                line.others |= negated;
                let (set, asked) = (value(), value());
                line.sets.extend(asked.starts_with("src").then(|| set.to_owned()));
                // More is asked than who sends.
                line.odd |= asked != "src";
            }
            "-d" | "--destination" => {
                let found: Option<Vec<_>> = value().split(',').map(network).collect();
                line.is_to(found.filter(|_| !negated));
            }
            "-i" | "--in-interface" => {
                let name = interface(value());
                if negated { line.odd = true } else { line.interfaces = vec![name] }
            }
            "--ctstate" | "--state" => line.is_in(negated, value().split(',')),
            // A connection begins with SYN alone.
            "--syn" => line.never |= negated,
            "--tcp-flags" => {
                let (mask, set) = (value(), value());
                let asks = mask == "ALL" || mask.split(',').any(|flag| flag == "SYN");
                let fits = set == if asks { "SYN" } else { "NONE" };
                line.never |= fits == negated;
            }
            "--dst-type" => match value() {
                "LOCAL" if !negated => {}
                "BROADCAST" | "MULTICAST" | "ANYCAST" if !negated => line.never = true,
                _ => line.odd = true,
            },
            "--comment" => drop(value()),
            "-j" | "--jump" => line.verdict = target(value()),
            "-g" | "--goto" => line.verdict = Verdict::Goto(value().to_owned()),
            "--to-destination" => {
                if let Verdict::Dnat(..) = line.verdict {
                    let (address, port) = to(value());
                    line.verdict = Verdict::Dnat(address, port);
                }
            }
            "--to-ports" => {
                if let Verdict::Dnat(..) = line.verdict {
                    line.verdict = Verdict::Dnat(None, value().parse().ok());
                }
            }
            _ => line.odd = true,
        }
        negated = false;
    }
    match (sent, line.transports.as_slice()) {
        (None, _) => {}
        (Some(text), &[transport]) => match ports(text, transport, names) {
            Ok(ports) => line.ports = ports,
            // Only ports of filters and of DNAT count.
            Err(why) if matches!(table, "ip filter" | "ip nat") => return Err(why),
            Err(_) => line.negated = true,
        },
        (Some(_), _) => line.odd = true,
    }
    Ok(chain.map(|chain| (chain, line)))
}

/// What a target does with packets.
fn target(name: &str) -> Verdict {
    match name {
        "ACCEPT" => Verdict::Accept,
        "RETURN" => Verdict::Return,
        "DNAT" | "REDIRECT" => Verdict::Dnat(None, None),
        other => Verdict::To(other.to_owned()),
    }
}

/// Where DNAT sends: an address, a port, or both.
pub fn to(text: &str) -> (Option<IpAddr>, Option<u16>) {
    let number = |text: &str| text.split('-').next().and_then(|first| first.parse().ok());
    if let Some(rest) = text.strip_prefix('[') {
        let (address, port) = rest.split_once(']').unwrap_or((rest, ""));
        return (address.parse().ok(), port.strip_prefix(':').and_then(number));
    }
    match text.rsplit_once(':') {
        _ if text.parse::<IpAddr>().is_ok() => (text.parse().ok(), None),
        Some((address, port)) => (address.parse().ok(), number(port)),
        None => (None, None),
    }
}

/// Words, of which those in quotes may hold blanks.
fn words(line: &str) -> Vec<&str> {
    let mut words = Vec::new();
    let mut rest = line.trim_start();
    while !rest.is_empty() {
        let end = if let Some(quoted) = rest.strip_prefix('"') {
            let mut escaped = false;
            let close = quoted.find(|c| {
                let ends = c == '"' && !escaped;
                escaped = c == '\\' && !escaped;
                ends
            });
            close.map_or(rest.len(), |at| at + 2)
        } else {
            rest.find(char::is_whitespace).unwrap_or(rest.len())
        };
        words.push(&rest[..end]);
        rest = rest[end..].trim_start();
    }
    words
}
