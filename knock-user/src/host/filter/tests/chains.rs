//! Packets through a few chains of a table of both families, where the kernel does what is not plain to see.

use std::fs;

use super::*;
use crate::host::filter::routing::Kernel;

/// One base chain: its type, hook and priority, its policy, and the expressions of its rules.
pub struct Made<'a>(pub &'a str, pub &'a str, pub i64, pub &'a str, pub &'a [&'a str]);

/// Filters of base chains `c0`, `c1` and so on, and of the chain `other`. Rules have the handles 1, 2 and so on in each.
pub fn filters(base: &[Made], other: &[&str]) -> Filters {
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

pub const DROP: &str = r#"{"drop": null}"#;

pub fn is(left: &str, right: &str) -> String {
    format!(r#"{{"match": {{"op": "==", "left": {left}, "right": {right}}}}}"#)
}

pub fn port(number: u16) -> String {
    is(r#"{"payload": {"protocol": "tcp", "field": "dport"}}"#, &number.to_string())
}

/// One rule of an input chain that accepts what it does not drop.
pub fn input(rule: &str) -> Filters {
    filters(&[Made("filter", "input", 0, "accept", &[rule])], &[])
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
fn what_a_rule_writes_into_a_packet_leaves_all_behind_it_open() {
    let written = |key: &str| {
        let rule = format!(r#"{{"mangle": {{"key": {key}, "value": 1}}}}"#);
        let behind = format!("{}, {DROP}", port(2222));
        said(
            &filters(
                &[
                    Made("filter", "prerouting", -150, "accept", &[&rule]),
                    Made("filter", "input", 0, "accept", &[&behind]),
                ],
                &[],
            ),
            &tcp(2223),
        )
    };
    for (protocol, field) in [("ip", "saddr"), ("ip6", "daddr"), ("tcp", "sport"), ("tcp", "dport")] {
        let key = format!(r#"{{"payload": {{"protocol": "{protocol}", "field": "{field}"}}}}"#);
        let expected = format!("cannot tell: nftables inet t c0, handle 1 changes {protocol} {field}");
        assert_eq!(written(&key), expected);
    }
    let raw = r#"{"payload": {"base": "nh", "offset": 128, "len": 32}}"#;
    assert_eq!(written(raw), "cannot tell: nftables inet t c0, handle 1 changes some octets");
    for harmless in [
        r#"{"payload": {"protocol": "ip", "field": "dscp"}}"#,
        r#"{"meta": {"key": "mark"}}"#,
        r#"{"ct": {"key": "mark"}}"#,
        r#"{"tcp option": {"name": "maxseg", "field": "size"}}"#,
    ] {
        assert_eq!(written(harmless), "passes", "{harmless}");
    }
}

/// The routes of [`Router`], and rules that choose others by mark.
struct ByMark;

impl Routing for ByMark {
    fn way(&self, packet: &Packet) -> Option<Way> {
        Router.way(packet)
    }

    fn has_way_back(&self, packet: &Packet) -> Option<bool> {
        Router.has_way_back(packet)
    }

    fn way_out(&self, to: IpAddr) -> Option<String> {
        Router.way_out(to)
    }

    fn below(&self, interface: &str) -> Option<BTreeSet<String>> {
        Router.below(interface)
    }

    fn is_plain(&self, _is_v6: bool) -> bool {
        false
    }
}

#[test]
fn a_mark_leaves_the_way_open_where_marks_choose_one() {
    let mark = r#"{"mangle": {"key": {"meta": {"key": "mark"}}, "value": 7}}"#;
    let marked = filters(&[Made("filter", "prerouting", -150, "accept", &[mark])], &[]);
    let by_iptables = "*mangle\n:PREROUTING ACCEPT [0:0]\n-A PREROUTING -j MARK --set-xmark 0x7/0xffffffff\nCOMMIT\n";
    let by_iptables = Filters { tables: save::read(by_iptables, Family::Ip), ..Filters::default() };
    let forwarded = Packet { is_own: false, dest: Some("203.0.113.9".parse().unwrap()), ..tcp(22) };
    for filters in [&marked, &by_iptables] {
        assert_eq!(said_by(filters, &forwarded, &ByMark), "cannot tell: which way its mark chooses");
        assert_eq!(said(filters, &forwarded), "passes");
        assert_eq!(said_by(filters, &tcp(22), &ByMark), "passes");
    }
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
    assert_eq!(Kernel::default().way(&to("127.0.0.1", "eth0")), None);
    assert_eq!(Kernel::default().way(&to("::1", "eth0")), None);
    assert_eq!(Kernel::default().way(&to("127.0.0.1", "lo")), Some(Way::Here));
    let forwards = fs::read_to_string("/proc/sys/net/ipv4/ip_forward").unwrap().trim() == "1";
    let way = Kernel::default().way(&to("198.51.100.9", "eth0"));
    assert!(forwards || way.is_none(), "{way:?}");
}

#[test]
fn a_header_that_no_packet_has_is_missing_in_each_of_ipv6() {
    let is_there = |right: &str, operator: &str| {
        let test = is(r#"{"exthdr": {"name": "frag"}}"#, right).replace("==", operator);
        input(&format!("{test}, {DROP}"))
    };
    let dropped = "nftables inet t c0, handle 1, drops it";
    for (right, operator) in [("false", "=="), ("true", "!=")] {
        all_say(&is_there(right, operator), &[(tcp6(1), dropped), (tcp(1), "passes")]);
    }
    for (right, operator) in [("true", "=="), ("false", "!=")] {
        all_say(&is_there(right, operator), &[(tcp6(1), "passes"), (tcp(1), "passes")]);
    }
}

#[test]
fn an_address_that_connection_tracking_keeps_is_of_one_family() {
    for (key, address, v4, v6) in [
        ("ip daddr", "10.0.0.1", "nftables inet t c0, handle 1, drops it", "passes"),
        ("ip6 saddr", "2001:db8::99", "passes", "nftables inet t c0, handle 1, drops it"),
    ] {
        let left = format!(r#"{{"ct": {{"key": "{key}", "dir": "original"}}}}"#);
        let differs = is(&left, &format!("\"{address}\"")).replace("==", "!=");
        all_say(&input(&format!("{differs}, {DROP}")), &[(tcp(1), v4), (tcp6(1), v6)]);
    }
}

#[test]
fn before_connection_tracking_nobody_knows_its_status() {
    let status = format!("{}, {DROP}", is(r#"{"ct": {"key": "status"}}"#, r#""dnat""#)).replace("==", "in");
    let early = filters(&[Made("filter", "prerouting", -300, "accept", &[&status])], &[]);
    all_say(&early, &[(tcp(1), "cannot tell: nftables inet t c0, handle 1: what connection tracking says")]);
    all_say(&input(&status), &[(tcp(1), "passes")]);
}

#[test]
fn a_chain_of_a_device_sees_the_device_and_not_its_bridge() {
    let by = |name: &str| format!("{}, {DROP}", is(r#"{"meta": {"key": "iifname"}}"#, &format!("\"{name}\"")));
    let (port, bridge) = (by("eth0"), by("br1"));
    let filters = filters(
        &[
            Made("filter", "ingress", 0, "accept", &[&port]),
            Made("filter", "prerouting", 0, "accept", &[&port, &bridge]),
        ],
        &[],
    );
    let through = |device: &str, interface: &str| Packet {
        devices: vec![device.to_owned()],
        interface: Some(interface.to_owned()),
        ..tcp(22)
    };
    all_say(
        &filters,
        &[
            (through("eth0", "br0"), "nftables inet t c0, handle 1, drops it"),
            (through("eth1", "br0"), "passes"),
            (through("wlan0", "br0"), "passes"),
            // Behind the port all ask for the bridge.
            (through("wlan0", "br1"), "nftables inet t c1, handle 2, drops it"),
            // The chain is asked twice, of the port and of the bridge.
            (through("eth0", "br1"), "nftables inet t c1, handle 2, drops it"),
        ],
    );
}

#[test]
fn a_certain_drop_is_named_before_an_uncertain_one() {
    let mark = is(r#"{"meta": {"key": "mark"}}"#, "7");
    let reject = r#"{"reject": {"type": "tcp reset"}}"#;
    let maybe = format!("{mark}, {reject}");
    let jump = r#"{"jump": {"target": "other"}}"#;
    let maybe_jump = format!("{mark}, {jump}");
    let policy = "nftables inet t c0, by its policy, drops it";
    let cases: [(&str, &[&str], &[&str], &str); 6] = [
        ("drop", &[&maybe], &[], policy),
        ("drop", &[jump], &[&maybe], policy),
        ("drop", &[&maybe_jump], &[reject], policy),
        ("accept", &[&maybe, DROP], &[], "nftables inet t c0, handle 2, drops it"),
        ("accept", &[&maybe, jump], &[DROP], "nftables inet t other, handle 1, drops it"),
        ("drop", &[DROP], &[], "nftables inet t c0, handle 1, drops it"),
    ];
    for (at_end, rules, other, expected) in cases {
        let filters = filters(&[Made("filter", "input", 0, at_end, rules)], other);
        all_say(&filters, &[(tcp(2222), expected)]);
    }
}

/// As nft 1.0.6 lists them; the kernel took each name for itself before `*`, in whatever order both were written.
#[test]
fn in_a_map_of_interfaces_a_name_goes_before_what_names_begin_with() {
    let key = r#"{"meta": {"key": "iifname"}}"#;
    let map = |elements: &[(&str, &str)]| {
        let elements: Vec<_> =
            elements.iter().map(|(name, verdict)| format!(r#"["{name}", {{"{verdict}": null}}]"#)).collect();
        input(&format!(r#"{{"vmap": {{"key": {key}, "data": {{"set": [{}]}}}}}}"#, elements.join(", ")))
    };
    let dropped = "nftables inet t c0, handle 1, drops it";
    for elements in [
        [("*", "accept"), ("eth0", "drop")],
        [("eth0", "drop"), ("*", "accept")],
        [("e*", "accept"), ("eth0", "drop")],
        [("e*", "accept"), ("eth*", "drop")],
    ] {
        all_say(&map(&elements), &[(tcp(22), dropped), (on("eno1", tcp(22)), "passes")]);
    }
    // A number is another name of some interface.
    let number = r#"[["*", {"accept": null}], [7, {"drop": null}]]"#;
    let filters = input(&format!(r#"{{"vmap": {{"key": {key}, "data": {{"set": {number}}}}}}}"#));
    let said_of = said(&filters, &tcp(22));
    assert!(said_of.starts_with("cannot tell: nftables inet t c0, handle 1: "), "{said_of}");
    // Which interface it is may be open: then it is one or the other.
    let open = Packet { interface: None, ..tcp(22) };
    let filters = map(&[("*", "accept"), ("eth0", "drop")]);
    assert_eq!(said(&filters, &open), "depends: nftables inet t c0, handle 1: the interface");
}
