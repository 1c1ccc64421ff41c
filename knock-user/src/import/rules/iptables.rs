//! What `iptables-save` prints.

use std::collections::BTreeMap;
use std::net::IpAddr;

use knock_common::packet::Transport;

use super::sets::network;
use super::verdict::Verdict;
use super::{Chain, Hook, Key, Line};
use crate::config::PortNames;
use crate::import::commands::{interface, ports};

/// Matches that say nothing else of a source.
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
            add(chains, &table, name);
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
        (_, "INPUT" | "FORWARD" | "OUTPUT" | "PREROUTING" | "POSTROUTING") => Some(Hook::Other),
        _ => None,
    };
    chain
}

/// The chain of a rule, and what it says.
fn rule<'a>(text: &'a str, table: &str, names: &PortNames) -> Result<Option<(&'a str, Line)>, String> {
    let words = words(text);
    let at = |names: &[&str]| words.iter().position(|word| names.contains(word));
    let value = |names: &[&str]| words.get(at(names)? + 1).copied();
    let negates = |names: &[&str]| at(names).is_some_and(|at| at > 0 && words[at - 1] == "!");
    let Some(chain) = value(&["-A"]) else { return Ok(None) };
    let transport = match value(&["-p", "--protocol"]) {
        Some("tcp") => Some(Transport::Tcp),
        Some("udp") => Some(Transport::Udp),
        _ => None,
    };
    let sent = ["--dport", "--dports", "--destination-port", "--ctorigdstport"];
    // Only ports of filters and of DNAT count.
    let counts = matches!(table, "ip filter" | "ip nat");
    let ports = match (value(&sent), transport) {
        (Some(text), Some(transport)) if counts => ports(text, transport, names)?,
        _ => Vec::new(),
    };
    let sources = value(&["-s", "--source"]);
    let states = value(&["--ctstate", "--state"]);
    let plain = words.windows(2).filter(|pair| pair[0] == "-m").all(|pair| PLAIN.contains(&pair[1]));
    let source: Vec<_> = sources.into_iter().flat_map(|text| text.split(',')).filter_map(network).collect();
    let set = words.windows(3).filter(|three| three[0] == "--match-set" && three[2].starts_with("src"));
    let verdict = match value(&["-j", "--jump", "-g", "--goto"]) {
        Some("ACCEPT") => Verdict::Accept,
        Some("RETURN") => Verdict::Return,
        Some("DNAT") => {
            let (address, port) = value(&["--to-destination"]).map_or((None, None), to);
            Verdict::Dnat(address, port)
        }
        Some("REDIRECT") => Verdict::Dnat(None, value(&["--to-ports"]).and_then(|text| text.parse().ok())),
        Some(other) => Verdict::To(other.to_owned()),
        None => Verdict::Other,
    };
    let line = Line {
        ports,
        negated: negates(&sent) || negates(&["-p", "--protocol"]),
        odd: negates(&["-s", "--source"])
            || negates(&["--match-set"])
            || negates(&["-i"])
            || !plain
            || states.is_some_and(|states| !states.split(',').any(|state| state == "NEW"))
            || (sources.is_some() && source.is_empty())
            || transport.is_none() && value(&["-p", "--protocol"]).is_some(),
        sources: source,
        sets: set.map(|three| three[1].to_owned()).collect(),
        interface: value(&["-i", "--in-interface"]).map(interface),
        to_loopback: value(&["-d", "--destination"])
            .and_then(network)
            .is_some_and(|network| network.addr().is_loopback()),
        verdict,
    };
    Ok(Some((chain, line)))
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
