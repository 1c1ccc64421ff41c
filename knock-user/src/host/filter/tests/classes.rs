//! What is looked at once for many ports or interfaces is true of each of them: rules at random.

use fastrand::Rng;

use super::chains::{Made, filters};
use super::*;
use crate::syntax::Port;

/// So many collections of rules are tried.
const TRIED: u64 = 300;
/// Rules are about ports up to this one.
const PORTS: u16 = 24;

fn one<'a>(rng: &mut Rng, of: &[&'a str]) -> &'a str {
    rng.choice(of).copied().unwrap_or_default()
}

fn number(rng: &mut Rng) -> u16 {
    rng.u16(1..=PORTS)
}

/// A port, a range, or a set of both.
fn ports(rng: &mut Rng) -> String {
    match rng.u8(0..3) {
        0 => number(rng).to_string(),
        1 => {
            let first = number(rng);
            format!(r#"{{"range": [{first}, {}]}}"#, first + rng.u16(0..8))
        }
        _ => format!(r#"{{"set": [{}, {{"range": [{}, {PORTS}]}}, {}]}}"#, number(rng), number(rng), number(rng)),
    }
}

/// A test of nft.
fn test(rng: &mut Rng) -> String {
    let operator = one(rng, &["==", "==", "!="]);
    let (left, right) = match rng.u8(0..12) {
        0..4 => (r#"{"payload": {"protocol": "tcp", "field": "dport"}}"#.to_owned(), ports(rng)),
        4 => (r#"{"payload": {"protocol": "th", "field": "sport"}}"#.to_owned(), ports(rng)),
        5 => (r#"{"ct": {"key": "proto-dst", "dir": "original"}}"#.to_owned(), ports(rng)),
        6 => {
            let status = one(rng, &["dnat", "snat", "seen-reply"]);
            (r#"{"ct": {"key": "status"}}"#.to_owned(), format!("\"{status}\""))
        }
        7 => {
            let state = one(rng, &["new", "established"]);
            (r#"{"ct": {"key": "state"}}"#.to_owned(), format!("\"{state}\""))
        }
        8 => (r#"{"meta": {"key": "mark"}}"#.to_owned(), "7".to_owned()),
        _ => {
            let key = one(rng, &["iifname", "oifname"]);
            let name = one(rng, &["eth0", "eth1", "eth*", "eth1*", "lo", "br0", "wlan+", "wl*"]);
            (format!(r#"{{"meta": {{"key": "{key}"}}}}"#), format!("\"{name}\""))
        }
    };
    format!(r#"{{"match": {{"op": "{operator}", "left": {left}, "right": {right}}}}}"#)
}

fn verdict(rng: &mut Rng) -> &'static str {
    let all = [r#"{"accept": null}"#, r#"{"drop": null}"#, r#"{"reject": null}"#, r#"{"return": null}"#];
    rng.choice(all).unwrap_or_default()
}

fn rule(rng: &mut Rng, is_inner: bool) -> String {
    let tests: Vec<_> = (0..rng.usize(0..3)).map(|_| test(rng)).collect();
    let end = match rng.u8(0..5) {
        0 if !is_inner => r#"{"jump": {"target": "other"}}"#.to_owned(),
        1 => {
            let key = r#"{"payload": {"protocol": "tcp", "field": "dport"}}"#;
            let entries: Vec<_> = (0..3).map(|_| format!("[{}, {}]", ports(rng), verdict(rng))).collect();
            format!(r#"{{"vmap": {{"key": {key}, "data": {{"set": [{}]}}}}}}"#, entries.join(", "))
        }
        2 => {
            let entries = ["eth0", "eth1", "br0"].map(|name| format!(r#"["{name}", {}]"#, verdict(rng)));
            let key = r#"{"meta": {"key": "iifname"}}"#;
            format!(r#"{{"vmap": {{"key": {key}, "data": {{"set": [{}]}}}}}}"#, entries.join(", "))
        }
        _ => verdict(rng).to_owned(),
    };
    tests.into_iter().chain([end]).collect::<Vec<_>>().join(", ")
}

/// To this host, to another, or to nobody knows where.
fn sends(rng: &mut Rng) -> String {
    let to = match rng.u8(0..4) {
        0 => r#"{"redirect": null}"#.to_owned(),
        1 => format!(r#"{{"redirect": {{"port": {}}}}}"#, number(rng)),
        2 => format!(r#"{{"dnat": {{"family": "ip", "addr": "192.0.2.1", "port": {}}}}}"#, number(rng)),
        _ => format!(r#"{{"dnat": {{"family": "ip", "addr": "203.0.113.9", "port": {}}}}}"#, number(rng)),
    };
    format!("{}, {to}", test(rng))
}

/// Filters at random.
fn random(rng: &mut Rng) -> Filters {
    let rules =
        |rng: &mut Rng, is_inner: bool| -> Vec<String> { (0..rng.usize(0..4)).map(|_| rule(rng, is_inner)).collect() };
    let all = [rules(rng, false), rules(rng, false), rules(rng, false), rules(rng, false), rules(rng, true)];
    let [early, ingress, input, output, other] =
        all.each_ref().map(|all| all.iter().map(String::as_str).collect::<Vec<_>>());
    let sends: Vec<_> = (0..rng.usize(0..3)).map(|_| sends(rng)).collect();
    let sends: Vec<_> = sends.iter().map(String::as_str).collect();
    let policy = |rng: &mut Rng| one(rng, &["accept", "accept", "drop"]);
    let mut made = vec![
        Made("filter", "prerouting", -150, policy(rng), &early),
        Made("nat", "prerouting", -100, "accept", &sends),
        Made("filter", "input", 0, policy(rng), &input),
        Made("filter", "output", 0, policy(rng), &output),
    ];
    if rng.bool() {
        made.push(Made("filter", "ingress", 0, "accept", &ingress));
    }
    filters(&made, &other)
}

/// As `check` asks, and as `explain` does.
fn asked(packet: Packet) -> [Packet; 2] {
    [Packet { source: None, from: None, dest: None, ..packet.clone() }, packet]
}

fn fate(filters: &Filters, packet: &Packet) -> Fate {
    filters.fate_by(packet, &Router, &mut u32::MAX.clone())
}

fn tried() -> impl Iterator<Item = (u64, Filters)> {
    let first = std::env::var("KNOCK_SEED").map_or(1, |text| text.parse().expect("KNOCK_SEED is a number"));
    (first..first + TRIED).map(|seed| (seed, random(&mut Rng::with_seed(seed))))
}

#[test]
fn what_is_said_of_a_port_is_true_of_all_that_no_rule_tells_apart_from_it() {
    let mut together = 0;
    for (seed, filters) in tried() {
        let ports: Vec<_> = [Transport::Tcp, Transport::Udp]
            .into_iter()
            .flat_map(|transport| (1..=PORTS + 10).map(move |number| Port { number, transport }))
            .collect();
        for group in filters.alike(&ports) {
            let fates =
                |port: &Port| asked(request(false, port.number, port.transport)).map(|one| fate(&filters, &one));
            let first = fates(&group[0]);
            for port in &group[1..] {
                assert_eq!(fates(port), first, "KNOCK_SEED={seed}: {port} beside {}: {filters:#?}", group[0]);
                together += 1;
            }
        }
    }
    assert!(together > TRIED, "{together} ports were taken for another");
}

/// All ways to come through up to three devices, with the interface on which the stack takes it to have come.
fn arrivals() -> Vec<Packet> {
    let names = ["eth0", "eth1", "eth10", "lo", "br0", "wlan0", "wlan+", "tun0", "tun1"];
    let named = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    let mut all = Vec::new();
    for interface in [None].into_iter().chain(names.map(Some)) {
        let mut paths = vec![Vec::new()];
        paths.extend(names.map(|name| named(&[name])));
        paths.extend(names.map(|name| named(&["tun0", name])));
        if let Some(interface) = interface {
            paths.extend([named(&["eth0", "tun1", interface]), named(&["tun1", interface])]);
        }
        all.extend(paths.into_iter().map(|devices| Packet {
            devices,
            interface: interface.map(str::to_owned),
            is_bridged: interface == Some("br0"),
            source: None,
            from: None,
            dest: None,
            ..tcp(7)
        }));
    }
    all
}

#[test]
fn what_is_said_of_an_interface_is_true_of_all_that_no_rule_tells_apart_from_it() {
    let arrivals = arrivals();
    let mut together = 0;
    for (seed, filters) in tried() {
        for group in filters.alike_arrivals(&arrivals) {
            let first = fate(&filters, &arrivals[group[0]]);
            for place in &group[1..] {
                let (one, other) = (&arrivals[*place], &arrivals[group[0]]);
                assert_eq!(fate(&filters, one), first, "KNOCK_SEED={seed}: {one:?} beside {other:?}: {filters:#?}");
                together += 1;
            }
        }
    }
    assert!(together > TRIED, "{together} ways were taken for another");
}

#[test]
fn ways_are_apart_where_a_rule_names_one_and_not_the_other() {
    let groups = |rules: &[&str], hook: &str| {
        let filters = filters(&[Made("filter", hook, 0, "accept", rules)], &[]);
        let on = |name: &str| Packet { devices: vec![name.to_owned()], source: None, ..super::on(name, tcp(7)) };
        let names = ["eth0", "eth1", "tun0", "tun1"];
        let groups = filters.alike_arrivals(&names.map(on));
        groups.iter().map(|group| group.iter().map(|place| names[*place]).collect::<Vec<_>>()).collect::<Vec<_>>()
    };
    let by = |key: &str, name: &str| {
        format!(r#"{{"match": {{"op": "==", "left": {{"meta": {{"key": "{key}"}}}}, "right": "{name}"}}}}"#)
    };
    assert_eq!(groups(&[], "input"), [["eth0", "eth1", "tun0", "tun1"]]);
    for key in ["iifname", "oifname"] {
        assert_eq!(groups(&[&by(key, "eth*")], "input"), [["eth0", "eth1"], ["tun0", "tun1"]]);
        let one = [vec!["eth0", "tun0", "tun1"], vec!["eth1"]];
        assert_eq!(groups(&[&by(key, "eth1")], "input"), one);
    }
    assert_eq!(groups(&[], "ingress"), [["eth0", "eth1"], ["tun0", "tun1"]]);
    assert_eq!(groups(&[], "egress").len(), 4);
}
