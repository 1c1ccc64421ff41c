//! Packet filters behind the gate. What the gate lets pass, they may drop: whoever knocks is let in by the one and kept out
//! by the other.

use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;

use knock_common::flags::TcpFlags;
use knock_common::packet::Transport;
use log::warn;

use super::arrival;
use super::interfaces::{self, Interface};
use super::privilege::need_root;
use super::{Answer, Question, choose};
use crate::config::{Config, Diagnostic, Port, PortRange, Service, Severity};
use crate::host::addresses::own_addresses;
use crate::host::filter::{Fate, Filters, Packet};

/// So many steps are made for all ports together, also while a start waits for them: [`Filters::fate_within`] says what one is.
const MOST_STEPS: u32 = 32_000_000;
/// So many are named in one line.
const NAMED: usize = 4;

/// What to know of packet filters that drop protected ports, or that cannot be understood. Nothing where there are none,
/// nor where they cannot be asked for want of rights.
#[must_use]
pub fn remarks_on_filters(config: &Config) -> Vec<Diagnostic> {
    let filters = if need_root().is_ok() { Filters::read() } else { Filters::default() };
    if filters.is_empty() {
        return Vec::new();
    }
    let all = interfaces::list().unwrap_or_default();
    let fit = choose(&config.options.interfaces, &all).fit;
    let on: Vec<_> = fit.iter().map(|interface| arrival_on(interface, &all)).collect();
    let on = if on.is_empty() { vec![Arrival::default()] } else { on };
    let mut left = MOST_STEPS;
    remarks(config, &filters, &on, &mut left)
}

/// The same of these filters, for what comes on these interfaces, in no more than so many steps, of which those that were
/// made are taken.
fn remarks(config: &Config, filters: &Filters, on: &[Arrival], left: &mut u32) -> Vec<Diagnostic> {
    let ports_of = |service: &Service| PortRange::joined(&service.ports).into_iter().flat_map(PortRange::ports);
    let all: Vec<Port> = config.protecting().flat_map(ports_of).collect();
    // Of each port what is wrong with it; nothing of one that was not looked at.
    let mut found: HashMap<Port, Rc<[String]>> = HashMap::new();
    for alike in filters.alike(&all) {
        let Some(texts) = of_port(filters, on, alike[0], left) else { continue };
        let texts: Rc<[String]> = texts.into();
        found.extend(alike.into_iter().map(|port| (port, Rc::clone(&texts))));
    }
    let mut remarks = Vec::new();
    for service in config.protecting() {
        // What is said, and of which ports.
        let mut said: BTreeMap<&str, Vec<Port>> = BTreeMap::new();
        let mut untold = Vec::new();
        for port in ports_of(service) {
            match found.get(&port) {
                Some(texts) => texts.iter().for_each(|text| said.entry(text).or_default().push(port)),
                None => untold.push(port),
            }
        }
        let key = format!("services.{}.ports", service.name.as_str());
        remarks.extend(said.into_iter().map(|(text, ports)| remark(config, &key, format!("{}: {text}", list(&ports)))));
        if !untold.is_empty() {
            let message = format!(
                "{}: cannot tell for {} whether the packet filter behind the gate lets pass what comes there: it has so \
                 many rules that not all ports were looked at",
                list(&untold),
                if untold.len() == 1 { "1 port".to_owned() } else { format!("{} ports", untold.len()) }
            );
            remarks.push(remark(config, &key, message));
        }
    }
    remarks
}

/// Writes them to the log.
pub fn warn_of_filters(config: &Config) {
    for remark in remarks_on_filters(config) {
        warn!("{}: {}", remark.key, remark.message);
    }
}

/// What the filters make of a packet that the gate lets pass; `None` where there are none, and for a segment that asks for
/// no connection.
#[must_use]
pub fn behind_gate(question: &Question, answer: &Answer) -> Option<Fate> {
    let asks = question.transport == Transport::Udp || TcpFlags(question.flags).opens();
    let filters = if asks { Filters::read() } else { Filters::default() };
    if filters.is_empty() {
        return None;
    }
    let all = interfaces::list().unwrap_or_default();
    let interface = all.iter().find(|interface| interface.name == answer.interface);
    let Arrival { interface, is_bridged, .. } = interface.map_or_else(Arrival::default, |one| arrival_on(one, &all));
    let own = own_addresses().ok();
    Some(filters.fate(&Packet {
        device: Some(answer.interface.clone()),
        interface,
        is_bridged,
        is_v6: question.source.is_ipv6(),
        source: Some(question.source),
        from: Some(question.from),
        dest: Some(answer.to),
        is_own: own.is_none_or(|own| own.iter().any(|network| network.contains(&answer.to))),
        port: Some(question.port),
        transport: question.transport,
        flags: question.flags,
    }))
}

/// How packets come.
#[derive(Clone, Default)]
struct Arrival {
    /// The interface with the gate; `None` if it is not there yet.
    device: Option<String>,
    /// The one on which the stack takes them to have come, where that is for certain.
    interface: Option<String>,
    /// A bridge sees them.
    is_bridged: bool,
}

fn arrival_on(interface: &Interface, all: &[Interface]) -> Arrival {
    let device = Some(interface.name.clone());
    let bonds = arrival::above(interface.index, all);
    let joined = bonds.last().copied().unwrap_or(interface);
    let (on, is_bridged) = match joined.master.map(|index| all.iter().find(|one| one.index == index)) {
        None => (Some(joined), false),
        Some(Some(bridge)) if bridge.kind.as_deref() == Some("bridge") => (Some(bridge), true),
        Some(_) => (None, false),
    };
    Arrival { device, interface: on.map(|one| one.name.clone()), is_bridged }
}

/// What is wrong with a port, in a few words each; `None` if too few steps were left to find out.
fn of_port(filters: &Filters, on: &[Arrival], port: Port, left: &mut u32) -> Option<Vec<String>> {
    let ways = || on.iter().flat_map(|on| [false, true].map(|is_v6| (on, is_v6)));
    // Of each text the families and interfaces that it is true of.
    let mut said: BTreeMap<String, Vec<(bool, Option<&str>)>> = BTreeMap::new();
    for (on, is_v6) in ways() {
        let packet = Packet {
            device: on.device.clone(),
            interface: on.interface.clone(),
            is_bridged: on.is_bridged,
            is_v6,
            source: None,
            from: None,
            dest: None,
            is_own: true,
            port: Some(port.number),
            transport: port.transport,
            flags: TcpFlags::SYN,
        };
        let fate = filters.fate_within(&packet, left);
        if *left == 0 {
            return None;
        }
        let text = match fate {
            Fate::Passes | Fate::Depends(_) => continue,
            Fate::Dropped { place, is_answered, is_reply } => {
                let verb = if is_answered { "rejects" } else { "drops" };
                if is_reply {
                    format!("who passes the gate gets no answer: {place}, {verb} it")
                } else {
                    format!("who passes the gate comes no further: {place}, {verb} it")
                }
            }
            Fate::Unknown(why) => format!("cannot tell whether the packet filter behind the gate lets it pass: {why}"),
        };
        said.entry(text).or_default().push((is_v6, on.device.as_deref()));
    }
    let all = ways().count();
    let texts = said
        .into_iter()
        .map(|(text, of)| {
            let family = match (of.iter().any(|way| way.0), of.iter().any(|way| !way.0)) {
                (true, false) => " (IPv6)",
                (false, true) => " (IPv4)",
                _ => "",
            };
            let mut names: Vec<&str> = of.iter().filter_map(|way| way.1).collect();
            names.dedup();
            let is_everywhere = of.len() == all || (!family.is_empty() && of.len() * 2 == all);
            let place = if is_everywhere { String::new() } else { format!(", on {}", names.join(", ")) };
            format!("{text}{family}{place}")
        })
        .collect();
    Some(texts)
}

fn list(ports: &[Port]) -> String {
    let named = ports.iter().take(NAMED).map(Port::to_string).collect::<Vec<_>>().join(", ");
    match ports.len().saturating_sub(NAMED) {
        0 => named,
        more => format!("{named} and {more} more"),
    }
}

fn remark(config: &Config, key: &str, message: String) -> Diagnostic {
    Diagnostic::of_file(config.path.display().to_string(), key, Severity::Warning, message)
        .with_help("let the packet filter accept what the gate lets pass: it need not deny that port once more")
}

#[cfg(test)]
mod tests {
    use super::super::interfaces::tests::interface;
    use super::*;

    #[test]
    fn what_comes_on_a_port_comes_to_the_stack_on_what_joins_or_bridges_it() {
        let kind = |kind: Option<&str>, name: &str, index: u32, master: Option<u32>| Interface {
            kind: kind.map(str::to_owned),
            master,
            ..interface(name, index)
        };
        let port = |master: u32| kind(None, "eth0", 2, Some(master));
        let bond = |of: Option<&str>, master| kind(of, "bond0", 10, master);
        let bridge = kind(Some("bridge"), "br0", 20, None);
        let vrf = kind(Some("vrf"), "red", 30, None);
        let of = |all: &[Interface]| {
            let Arrival { device, interface, is_bridged } = arrival_on(&all[0], all);
            assert_eq!(device.as_deref(), Some("eth0"));
            (interface, is_bridged)
        };
        let on = |name: &str, is_bridged: bool| (Some(name.to_owned()), is_bridged);
        assert_eq!(of(&[kind(None, "eth0", 2, None)]), on("eth0", false));
        for joining in [Some("bond"), Some("team"), None] {
            assert_eq!(of(&[port(10), bond(joining, None)]), on("bond0", false), "{joining:?}");
        }
        assert_eq!(of(&[port(20), bridge.clone()]), on("br0", true));
        // A bond that is a port of a bridge.
        assert_eq!(of(&[port(10), bond(Some("bond"), Some(20)), bridge]), on("br0", true));
        for (master, vrf) in [(30, vec![vrf]), (99, Vec::new())] {
            assert_eq!(of(&[vec![port(master)], vrf].concat()), (None, false), "{master}");
        }
    }

    /// A gate for these ports.
    fn config(ports: &str) -> Config {
        let text = format!(
            "options.interfaces = [\"eth0\"]\nservices.many.ports = [{ports}]\n\
             doors.open = {{ service = \"many\", sequence = [\"100/tcp\", \"200/udp\", \"300/tcp\"], cmd_timeout = \"60s\" }}\n"
        );
        Config::parse(&text, "k.toml").unwrap_or_else(|error| panic!("{error}")).0
    }

    /// An input chain of these rules, of which the last drops what comes so far.
    fn filters(rules: impl Iterator<Item = String>) -> Filters {
        let rules = rules.chain([r#"{"drop": null}"#.to_owned()]).zip(1..).map(|(rule, handle)| {
            let of = r#""family": "inet", "table": "t", "chain": "c""#;
            format!(r#"{{"rule": {{{of}, "handle": {handle}, "expr": [{rule}]}}}}"#)
        });
        let base = r#"{"chain": {"family": "inet", "table": "t", "name": "c", "type": "filter", "hook": "input", "prio": 0,
            "policy": "accept"}}"#;
        let table = r#"{"table": {"family": "inet", "name": "t"}}"#;
        let objects = [table.to_owned(), base.to_owned()].into_iter().chain(rules).collect::<Vec<_>>();
        Filters::listed(&format!(r#"{{"nftables": [{}]}}"#, objects.join(", ")))
    }

    fn of_port_number(number: u16) -> String {
        let port = r#"{"payload": {"protocol": "tcp", "field": "dport"}}"#;
        format!(r#"{{"match": {{"op": "==", "left": {port}, "right": {number}}}}}, {{"counter": null}}"#)
    }

    /// What tests have time for.
    const STEPS: u32 = 1_000_000;
    const RULES: u16 = 10_000;
    const PORTS: u16 = 1024;

    fn on() -> [Arrival; 1] {
        [arrival_on(&interface("eth0", 2), &[])]
    }

    /// What is said, and in how many steps.
    fn said(ports: &str, filters: &Filters) -> (Vec<String>, u32) {
        let mut left = STEPS;
        let remarks = remarks(&config(ports), filters, &on(), &mut left);
        (remarks.into_iter().map(|remark| remark.message).collect(), STEPS - left)
    }

    fn all_ports() -> String {
        format!("\"{}-{}/tcp\"", 2000, 2000 + PORTS - 1)
    }

    #[test]
    fn ports_that_no_rule_tells_apart_are_looked_at_once() {
        // Three of them are told apart by one rule each.
        let filters = filters((0..RULES).map(|number| of_port_number(if number < 3 { 2010 + number } else { 7 })));
        let (one, steps_of_one) = said("\"2000/tcp\"", &filters);
        let place = "who passes the gate comes no further: nftables inet t c, handle 10001, drops it";
        assert_eq!(one, [format!("2000/tcp: {place}")]);
        let (all, steps) = said(&all_ports(), &filters);
        assert_eq!(all, [format!("2000/tcp, 2001/tcp, 2002/tcp, 2003/tcp and 1020 more: {place}")]);
        assert!(steps <= 4 * steps_of_one, "{steps} of {steps_of_one} for one port");
    }

    /// Each rule is about another port.
    #[test]
    fn of_more_ports_than_can_be_looked_at_their_number_is_said() {
        let filters = filters((0..RULES).map(of_port_number));
        let (said, steps) = said(&all_ports(), &filters);
        assert_eq!((said.len(), steps), (2, STEPS), "{said:?}");
        let more = |text: &str, before: &str| -> usize {
            let (_, rest) = text.split_once(before).unwrap_or_else(|| panic!("{before:?} is missing: {text}"));
            rest.split(' ').next().unwrap_or_default().parse().unwrap_or_else(|_| panic!("{text}"))
        };
        let told = more(&said[0], "2003/tcp and ") + NAMED;
        let untold = more(&said[1], "more: cannot tell for ");
        assert_eq!(told + untold, usize::from(PORTS), "{said:?}");
        assert!(told > 8, "{said:?}");
    }
}
