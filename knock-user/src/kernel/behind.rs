//! Packet filters behind the gate. What the gate lets pass, they may drop: whoever knocks is let in by the one and kept out
//! by the other.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::rc::Rc;

use knock_common::abi::counter::Counter;
use knock_common::packet::Transport;
use knock_common::packet::flags::TcpFlags;
use log::warn;

use super::choose;
use super::interfaces::list::{self, Interface};
use super::interfaces::ways::{Arrival, arrivals_on};
use super::privilege::need_root;
use super::{Answer, Question};
use crate::config::{Config, Diagnostic, Port, PortRange, Service, Severity};
use crate::host::addresses::own_addresses;
use crate::host::filter::{Fate, Filters, InOrder, Packet, Tracked};

/// So many steps are made for all ports together, also while a start waits for them: [`Filters::fate_within`] says what one is.
const MOST_STEPS: u32 = 32_000_000;
/// So many are named in one line.
const NAMED: usize = 4;
/// What to do about a filter that drops.
const LET_PASS: &str = "let the packet filter accept what the gate lets pass: it need not deny that port once more";

/// What to know of packet filters that drop protected ports, or that cannot be understood. Nothing where there are none,
/// nor where they cannot be asked for want of rights.
#[must_use]
pub fn remarks_on_filters(config: &Config) -> Vec<Diagnostic> {
    let mut filters = if need_root().is_ok() { Filters::read() } else { Filters::default() };
    if filters.is_empty() {
        return Vec::new();
    }
    let all = interfaces_for(&mut filters);
    let fit = choose(&config.options.interfaces, &all).fit;
    let on: Vec<_> = fit.iter().flat_map(|interface| arrivals_on(interface, &all)).collect();
    let on = if on.is_empty() { vec![Arrival::default()] } else { on };
    let mut left = MOST_STEPS;
    remarks(config, &filters, &on, &mut left)
}

/// The same of these filters, for what comes on these interfaces, in no more than so many steps, of which those that were
/// made are taken.
fn remarks(config: &Config, filters: &Filters, on: &[Arrival], left: &mut u32) -> Vec<Diagnostic> {
    let ports_of = |service: &Service| PortRange::joined(&service.ports).into_iter().flat_map(PortRange::ports);
    let all: Vec<Port> = config.protecting().flat_map(ports_of).collect();
    let packets: Vec<_> = on.iter().map(Arrival::packet).collect();
    let groups = filters.alike_arrivals(&packets);
    let ways: Vec<Vec<&Arrival>> = groups.iter().map(|group| group.iter().map(|place| &on[*place]).collect()).collect();
    let in_order = filters.in_order();
    // Of each port what is wrong with it; nothing of one that was not looked at.
    let mut found: HashMap<Port, Rc<[String]>> = HashMap::new();
    for alike in filters.alike(&all) {
        let Some(texts) = of_port(&in_order, &ways, alike[0], left) else { break };
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
        let texts = said.into_iter().map(|(text, ports)| format!("{}: {text}", list(&ports)));
        remarks.extend(texts.map(|text| remark(config, &key, text, LET_PASS)));
        if !untold.is_empty() {
            let message = format!(
                "{}: not checked: the packet filter behind the gate has too many rules to check every port. What comes to \
                 {} may be dropped there",
                list(&untold),
                if untold.len() == 1 { "this port".to_owned() } else { format!("these {} ports", untold.len()) }
            );
            remarks.push(remark(config, &key, message, "ask about one of them: `knockctl explain SOURCE PORT`"));
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

/// What the filters make of a packet that the gate lets pass; `None` where there are none.
#[must_use]
pub fn behind_gate(question: &Question, answer: &Answer) -> Option<Fate> {
    let mut filters = Filters::read();
    if filters.is_empty() {
        return None;
    }
    let all = interfaces_for(&mut filters);
    let is_own = own_addresses().ok().is_none_or(|own| own.iter().any(|network| network.contains(&answer.to)));
    Some(fate_of(&filters, question, answer, &all, is_own))
}

/// The same of these filters, on a host with these interfaces: what is so on all ways on which it may come.
fn fate_of(filters: &Filters, question: &Question, answer: &Answer, all: &[Interface], is_own: bool) -> Fate {
    let interface = all.iter().find(|interface| interface.name == answer.interface);
    let on = interface.map_or_else(Vec::new, |one| arrivals_on(one, all));
    let on = if on.is_empty() { vec![Arrival::default()] } else { on };
    let in_order = filters.in_order();
    let fates = on.iter().map(|on| {
        let fate = in_order.fate(&Packet {
            is_v6: question.source.is_ipv6(),
            source: Some(question.source),
            from: Some(question.from),
            dest: Some(answer.to),
            is_own,
            port: Some(question.port),
            transport: question.transport,
            flags: question.flags,
            tracked: match answer.counter {
                _ if question.transport == Transport::Tcp && !TcpFlags(question.flags).opens() => Tracked::Later,
                Some(Counter::PassConnected) => Tracked::OfSocket,
                Some(Counter::PassFlow) => Tracked::OfFlow,
                _ => Tracked::New,
            },
            ..on.packet()
        });
        (on, fate)
    });
    in_common(&fates.collect::<Vec<_>>())
}

/// What is so on all ways.
fn in_common(fates: &[(&Arrival, Fate)]) -> Fate {
    let first = &fates[0].1;
    if fates.iter().all(|(_, fate)| fate == first) {
        return first.clone();
    }
    // Of those that meet the same, the first is enough.
    let mut others: Vec<&(&Arrival, Fate)> = Vec::new();
    for one in fates {
        if others.iter().all(|(_, fate)| *fate != one.1) {
            others.push(one);
        }
    }
    let said: Vec<_> = others.iter().map(|(on, fate)| format!("as {}, {}", on.said(), fate.in_words())).collect();
    Fate::Unknown(format!("it may have a VLAN tag, or be for a device on this one: {}", said.join("; ")))
}

/// The interfaces of this host, and what filters must know of them.
fn interfaces_for(filters: &mut Filters) -> Vec<Interface> {
    match list::list() {
        Ok(all) => {
            if filters.look_at_what_leaves() {
                filters.know_below(list::names_below(&all));
            }
            all
        }
        Err(_) => Vec::new(),
    }
}

/// What is wrong with a port, in a few words each; `None` if too few steps were left to find out. Of each group of ways the
/// first is looked at.
fn of_port(filters: &InOrder<'_>, groups: &[Vec<&Arrival>], port: Port, left: &mut u32) -> Option<Vec<String>> {
    let ways = || groups.iter().flat_map(|group| [false, true].map(|is_v6| (group, is_v6)));
    // Of each text the families and ways that it is true of.
    let mut said: BTreeMap<String, Vec<(bool, &Arrival)>> = BTreeMap::new();
    for (group, is_v6) in ways() {
        let packet = Packet { is_v6, port: Some(port.number), transport: port.transport, ..group[0].packet() };
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
        said.entry(text).or_default().extend(group.iter().map(|on| (is_v6, *on)));
    }
    let all: usize = ways().map(|(group, _)| group.len()).sum();
    let texts = said
        .into_iter()
        .map(|(text, of)| {
            let family = match (of.iter().any(|way| way.0), of.iter().any(|way| !way.0)) {
                (true, false) => " (IPv6)",
                (false, true) => " (IPv4)",
                _ => "",
            };
            let names: BTreeSet<&str> = of.iter().filter_map(|(_, on)| on.name.as_deref()).collect();
            let is_everywhere = of.len() == all || (!family.is_empty() && of.len() * 2 == all);
            let place = if is_everywhere { String::new() } else { format!(", on {}", interfaces_named(&names)) };
            format!("{text}{family}{place}")
        })
        .collect();
    Some(texts)
}

/// `eth0, eth1`, or `9 interfaces: eth0, eth1, eth2, eth3 and 5 more`.
fn interfaces_named(names: &BTreeSet<&str>) -> String {
    let named = names.iter().take(NAMED).copied().collect::<Vec<_>>().join(", ");
    match names.len().saturating_sub(NAMED) {
        0 => named,
        more => format!("{} interfaces: {named} and {more} more", names.len()),
    }
}

fn list(ports: &[Port]) -> String {
    let named = ports.iter().take(NAMED).map(Port::to_string).collect::<Vec<_>>().join(", ");
    match ports.len().saturating_sub(NAMED) {
        0 => named,
        more => format!("{named} and {more} more"),
    }
}

fn remark(config: &Config, key: &str, message: String, help: &str) -> Diagnostic {
    Diagnostic::of_file(config.path.display().to_string(), key, Severity::Warning, message).with_help(help)
}

#[cfg(test)]
mod tests {
    use super::super::interfaces::list::tests::interface;
    use super::*;

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

    fn on() -> Vec<Arrival> {
        arrivals_on(&interface("eth0", 2), &[])
    }

    /// What is said, and in how many steps.
    fn said(ports: &str, filters: &Filters) -> (Vec<String>, u32) {
        said_on(&on(), ports, filters)
    }

    fn said_on(on: &[Arrival], ports: &str, filters: &Filters) -> (Vec<String>, u32) {
        let mut left = STEPS;
        let remarks = remarks(&config(ports), filters, on, &mut left);
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
        let untold = more(&said[1], "What comes to these ");
        assert_eq!(told + untold, usize::from(PORTS), "{said:?}");
        assert!(told > 8, "{said:?}");
    }

    /// What `explain` says of a datagram to port 2222 of 192.0.2.1 on eth0.
    fn of_datagram(filters: &Filters, counter: Counter, all: &[Interface]) -> Fate {
        of_packet(filters, Transport::Udp, TcpFlags::SYN, counter, all)
    }

    fn of_packet(filters: &Filters, transport: Transport, flags: u8, counter: Counter, all: &[Interface]) -> Fate {
        let question = Question {
            source: "198.51.100.7".parse().unwrap(),
            from: 40_000,
            to: None,
            port: 2222,
            transport,
            flags,
            interface: None,
            scope: 0,
        };
        let to = "192.0.2.1".parse().unwrap();
        let answer = Answer { interface: "eth0".to_owned(), to, counter: Some(counter) };
        fate_of(filters, &question, &answer, all, true)
    }

    fn is(left: &str, right: &str) -> String {
        format!(r#"{{"match": {{"op": "==", "left": {left}, "right": "{right}"}}}}"#)
    }

    fn is_state(state: &str) -> String {
        is(r#"{"ct": {"key": "state"}}"#, state)
    }

    fn came_by(name: &str) -> String {
        is(r#"{"meta": {"key": "iifname"}}"#, name)
    }

    const ACCEPT: &str = r#"{"accept": null}"#;
    const DROP: &str = r#"{"drop": null}"#;

    fn is_dropped(fate: &Fate) -> bool {
        matches!(fate, Fate::Dropped { .. })
    }

    #[test]
    fn a_segment_in_the_middle_of_a_connection_is_told_only_where_no_state_is_asked_for() {
        let all = with_vlan();
        let said = |filters: &Filters, flags, counter| of_packet(filters, Transport::Tcp, flags, counter, &all[..1]);
        let to_port = |verdict: &str| {
            let port = r#"{"payload": {"protocol": "tcp", "field": "dport"}}"#;
            filters(std::iter::once(format!("{}, {verdict}", is(port, "2222").replace("\"2222\"", "2222"))))
        };
        let by_state = |state| filters([format!("{}, {ACCEPT}", is_state(state))].into_iter());
        for flags in [TcpFlags::ACK, TcpFlags::ACK | TcpFlags::PSH, TcpFlags::RST, TcpFlags::FIN | TcpFlags::ACK] {
            for counter in [Counter::PassGranted, Counter::PassFlow, Counter::PassConnected, Counter::PassNoSocket] {
                assert_eq!(said(&to_port(ACCEPT), flags, counter), Fate::Passes, "{flags:#x} {counter:?}");
                assert!(is_dropped(&said(&to_port(DROP), flags, counter)), "{flags:#x} {counter:?}");
                for state in ["new", "established", "invalid"] {
                    let fate = said(&by_state(state), flags, counter);
                    assert!(matches!(fate, Fate::Unknown(_)), "{flags:#x} {counter:?} {state}: {fate:?}");
                }
            }
        }
        // The first one is told.
        assert_eq!(said(&by_state("new"), TcpFlags::SYN, Counter::PassGranted), Fate::Passes);
    }

    #[test]
    fn a_datagram_of_a_connection_is_new_or_established() {
        let eth0 = [interface("eth0", 2)];
        let known = || filters([format!("{}, {ACCEPT}", is_state("established"))].into_iter());
        let new = || filters([format!("{}, {ACCEPT}", is_state("new"))].into_iter());
        let either = || filters([ACCEPT.to_owned()].into_iter());
        let neither = || filters(std::iter::empty());
        // One that a grant lets in may be the first of its connection.
        assert!(is_dropped(&of_datagram(&known(), Counter::PassGranted, &eth0)));
        assert_eq!(of_datagram(&new(), Counter::PassGranted, &eth0), Fate::Passes);
        for counter in [Counter::PassConnected, Counter::PassFlow] {
            for filters in [known(), new()] {
                let fate = of_datagram(&filters, counter, &eth0);
                assert!(matches!(&fate, Fate::Unknown(why) if why.contains("connection")), "{counter:?}: {fate:?}");
            }
            assert_eq!(of_datagram(&either(), counter, &eth0), Fate::Passes);
            assert!(is_dropped(&of_datagram(&neither(), counter, &eth0)));
        }
    }

    /// A card with a VLAN.
    fn with_vlan() -> [Interface; 2] {
        let vlan = Interface { kind: Some("vlan".to_owned()), lower: Some(2), ..interface("lan", 3) };
        [interface("eth0", 2), vlan]
    }

    #[test]
    fn what_has_a_tag_comes_on_the_vlan() {
        let drops = |name: &str| filters([format!("{}, {DROP}", came_by(name)), ACCEPT.to_owned()].into_iter());
        let alone = [interface("eth0", 2)];
        let said = |filters: &Filters, all: &[Interface]| of_datagram(filters, Counter::PassGranted, all);
        assert!(is_dropped(&said(&drops("eth0"), &alone)));
        assert_eq!(said(&drops("lan"), &alone), Fate::Passes);
        for name in ["eth0", "lan"] {
            let fate = said(&drops(name), &with_vlan());
            assert!(matches!(&fate, Fate::Unknown(why) if why.contains("as lan")), "{name}: {fate:?}");
        }
        assert_eq!(said(&drops("eth1"), &with_vlan()), Fate::Passes);
        assert!(is_dropped(&said(&filters(std::iter::empty()), &with_vlan())));
        // Of ports both are told.
        let all = with_vlan();
        for name in ["eth0", "lan"] {
            let (said, _) = said_on(&arrivals_on(&all[0], &all), "\"2222/tcp\"", &drops(name));
            let place = "who passes the gate comes no further: nftables inet t c, handle 1, drops it";
            assert_eq!(said, [format!("2222/tcp: {place}, on {name}")]);
        }
    }

    #[test]
    fn interfaces_that_no_rule_tells_apart_are_looked_at_once() {
        let many: Vec<_> = (0..64).map(|number| interface(&format!("eth{number}"), 2 + number)).collect();
        let on: Vec<_> = many.iter().flat_map(|one| arrivals_on(one, &many)).collect();
        let rules = |except: &str| {
            let first = format!("{}, {ACCEPT}", came_by(except));
            filters(std::iter::once(first).chain((1..RULES).map(|_| of_port_number(7))))
        };
        let (one, steps_of_one) = said_on(&on[..1], "\"2000/tcp\"", &rules("wlan0"));
        let place = "who passes the gate comes no further: nftables inet t c, handle 10001, drops it";
        assert_eq!(one, [format!("2000/tcp: {place}")]);
        let (all, steps) = said_on(&on, "\"2000/tcp\"", &rules("wlan0"));
        assert_eq!((all, steps), (one, steps_of_one));
        let (most, steps) = said_on(&on, "\"2000/tcp\"", &rules("eth7"));
        assert_eq!(most, [format!("2000/tcp: {place}, on 63 interfaces: eth0, eth1, eth10, eth11 and 59 more")]);
        assert!(steps <= 2 * steps_of_one, "{steps} of {steps_of_one} for one interface");
    }
}
