//! Packets through a few chains of a table of both families, where the kernel does what is not plain to see.

use std::fs;

use super::*;
use crate::host::filter::routing::Kernel;

/// One base chain: its type, hook and priority, its policy, and the expressions of its rules.
struct Made<'a>(&'a str, &'a str, i64, &'a str, &'a [&'a str]);

/// Filters of base chains `c0`, `c1` and so on, and of the chain `other`. Rules have the handles 1, 2 and so on in each.
fn filters(base: &[Made], other: &[&str]) -> Filters {
    let mut objects = vec![r#"{"table": {"family": "inet", "name": "t"}}"#.to_owned()];
    let mut add = |name: &str, more: &str, rules: &[&str]| {
        objects.push(format!(r#"{{"chain": {{"family": "inet", "table": "t", "name": "{name}"{more}}}}}"#));
        objects.extend(rules.iter().zip(1..).map(|(rule, handle)| {
            let of = format!(r#""family": "inet", "table": "t", "chain": "{name}", "handle": {handle}"#);
            format!(r#"{{"rule": {{{of}, "expr": [{rule}]}}}}"#)
        }));
    };
    add("other", "", other);
    for (number, Made(kind, hook, priority, policy, rules)) in base.iter().enumerate() {
        let devices = if *hook == "ingress" { r#", "dev": ["eth*", "br1"]"# } else { "" };
        let more =
            format!(r#", "type": "{kind}", "hook": "{hook}", "prio": {priority}, "policy": "{policy}"{devices}"#);
        add(&format!("c{number}"), &more, rules);
    }
    nftables(&format!(r#"{{"nftables": [{}]}}"#, objects.join(", ")))
}

const DROP: &str = r#"{"drop": null}"#;

fn is(left: &str, right: &str) -> String {
    format!(r#"{{"match": {{"op": "==", "left": {left}, "right": {right}}}}}"#)
}

fn port(number: u16) -> String {
    is(r#"{"payload": {"protocol": "tcp", "field": "dport"}}"#, &number.to_string())
}

#[test]
fn chains_that_translate_addresses_are_asked_at_one_place() {
    let to_22 = format!(r#"{}, {{"redirect": {{"port": 22}}}}"#, port(2222));
    let [before, behind] = [2222, 22].map(|number| format!("{}, {DROP}", port(number)));
    for priority in [-199, -100, 10, 300] {
        let filters = filters(
            &[
                Made("nat", "prerouting", priority, "accept", &[&to_22]),
                Made("filter", "prerouting", -101, "accept", &[&format!("{}, {DROP}", port(2223))]),
                Made("filter", "prerouting", -99, "accept", &[&before, &behind]),
            ],
            &[],
        );
        all_say(&filters, &[(tcp(2222), "nftables inet t c2, handle 2, drops it"), (tcp(2224), "passes")]);
    }
    // Before that place nothing is translated yet, whatever the priority of the chain that does it.
    let filters = filters(
        &[
            Made("nat", "prerouting", -199, "accept", &[&to_22]),
            Made("filter", "prerouting", -150, "accept", &[&before]),
        ],
        &[],
    );
    all_say(&filters, &[(tcp(2222), "nftables inet t c1, handle 1, drops it")]);
}

#[test]
fn a_packet_that_goes_nowhere_does_not_pass() {
    let away = r#"{"dnat": {"family": "ip", "addr": "10.0.0.1"}}"#;
    let filters = filters(&[Made("nat", "prerouting", -100, "accept", &[away])], &[]);
    all_say(&filters, &[(tcp(22), "cannot tell: whether this host hands it on, and by which interface")]);
}

#[test]
fn the_kernel_hands_on_nothing_that_it_does_not_forward() {
    let to = |dest: &str, interface: &str| Packet {
        dest: Some(dest.parse().unwrap()),
        source: None,
        ..on(interface, tcp(22))
    };
    // From outside a loopback address is none of this host.
    assert_eq!(Kernel.way(&to("127.0.0.1", "eth0")), None);
    assert_eq!(Kernel.way(&to("::1", "eth0")), None);
    assert_eq!(Kernel.way(&to("127.0.0.1", "lo")), Some(Way::Here));
    let forwards = fs::read_to_string("/proc/sys/net/ipv4/ip_forward").unwrap().trim() == "1";
    let way = Kernel.way(&to("198.51.100.9", "eth0"));
    assert!(forwards || way.is_none(), "{way:?}");
}
