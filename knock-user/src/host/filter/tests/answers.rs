//! The answer to a packet that passes: which chains are asked of it, and as what.

use super::chains::{DROP, Made, filters, input, is, port};
use super::*;

const ACCEPT: &str = r#"{"accept": null}"#;

fn of(field: &str, right: &str) -> String {
    is(&format!(r#"{{"payload": {{"protocol": "tcp", "field": "{field}"}}}}"#), right)
}

fn meta(key: &str, right: &str) -> String {
    is(&format!(r#"{{"meta": {{"key": "{key}"}}}}"#), &format!("\"{right}\""))
}

fn ct(key: &str, right: &str) -> String {
    is(&format!(r#"{{"ct": {{"key": "{key}"}}}}"#), &format!("\"{right}\"")).replace("==", "in")
}

/// An output chain that drops all but what a test finds.
fn only(test: &str) -> Filters {
    filters(&[Made("filter", "output", 0, "drop", &[&format!("{test}, {ACCEPT}")])], &[])
}

/// From nobody knows where, as `check` asks.
fn from_anywhere(packet: Packet) -> Packet {
    Packet { source: None, from: None, dest: None, ..packet }
}

const DROPS: &str = "nftables inet t c0, by its policy, drops the answer";

#[test]
fn an_answer_that_is_dropped_is_named_by_its_rule() {
    let filters = filters(&[Made("filter", "output", 0, "accept", &[&format!("{}, {DROP}", of("sport", "22"))])], &[]);
    let dropped = "nftables inet t c0, handle 1, drops the answer";
    all_say(
        &filters,
        &[
            (tcp(22), dropped),
            (tcp6(22), dropped),
            (from_anywhere(tcp(22)), dropped),
            (tcp(23), "passes"),
            (udp(22), "passes"),
            // Nobody answers such a one.
            (Packet { flags: TcpFlags::FIN, ..tcp(22) }, "passes"),
        ],
    );
    assert!(!filters.is_empty());
    // What does not come as far needs no answer.
    let twice = [
        Made("filter", "input", 0, "accept", &[&format!("{}, {DROP}", port(22))]),
        Made("filter", "output", 0, "drop", &[]),
    ];
    all_say(&super::chains::filters(&twice, &[]), &[(tcp(22), "nftables inet t c0, handle 1, drops it")]);
}

#[test]
fn an_answer_is_established_and_goes_from_server_to_client() {
    let syn_ack = r#"{"match": {"op": "==", "left": {"&": [{"payload": {"protocol": "tcp", "field": "flags"}},
        {"|": ["syn", "ack"]}]}, "right": {"|": ["syn", "ack"]}}}"#;
    let address = |field: &str, right: &str| {
        is(&format!(r#"{{"payload": {{"protocol": "ip", "field": "{field}"}}}}"#), &format!("\"{right}\""))
    };
    let first = |key: &str, right: &str| is(&format!(r#"{{"ct": {{"key": "{key}", "dir": "original"}}}}"#), right);
    for test in [
        ct("state", "established"),
        ct("direction", "reply"),
        ct("status", "seen-reply"),
        ct("status", "confirmed"),
        meta("oifname", "eth0"),
        meta("oifname", "eth*"),
        syn_ack.to_owned(),
        of("sport", "22"),
        of("dport", "40000"),
        address("saddr", "192.0.2.1"),
        address("daddr", "198.51.100.7"),
        first("ip saddr", "\"198.51.100.7\""),
        first("ip daddr", "\"192.0.2.1\""),
        first("proto-dst", "22"),
        first("proto-src", "40000"),
    ] {
        assert_eq!(said(&only(&test), &tcp(22)), "passes", "{test}");
    }
    for test in [
        ct("state", "new"),
        ct("direction", "original"),
        ct("status", "dnat"),
        ct("status", "assured"),
        meta("oifname", "lo"),
        meta("iifname", "eth0"),
        of("dport", "22"),
        address("saddr", "198.51.100.7"),
        is(r#"{"fib": {"result": "type", "flags": "daddr"}}"#, "\"local\""),
    ] {
        assert_eq!(said(&only(&test), &tcp(22)), DROPS, "{test}");
    }
}

#[test]
fn an_answer_to_nobody_knows_whom_leaves_by_another_interface_than_loopback() {
    let everybody = from_anywhere(tcp(22));
    let by = |name: &str| only(&meta("oifname", name));
    assert_eq!(said(&by("lo"), &everybody), DROPS);
    let depends = "depends: the answer: nftables inet t c0, handle 1: by which interface it leaves";
    assert_eq!(said(&by("eth0"), &everybody), depends);
    assert_eq!(said(&by("l*"), &everybody), depends);
    assert_eq!(
        said(&by("lo"), &on("lo", everybody)),
        "cannot tell: the answer: nftables inet t c0, handle 1: \
        by which interface it goes on"
    );
    assert_eq!(
        said(&by("lo"), &from("203.0.114.9", tcp(22))),
        "cannot tell: the answer: nftables inet t c0, handle 1: \
        by which interface it goes on"
    );
    // A link-local client is on its link.
    let neighbour = from("fe80::7", tcp6(22));
    assert_eq!(said(&by("eth0"), &neighbour), "passes");
    assert_eq!(said(&by("eth1"), &neighbour), DROPS);
}

#[test]
fn the_answer_of_a_port_behind_another_has_the_other_until_it_leaves() {
    let to_22 = format!(r#"{}, {{"redirect": {{"port": 22}}}}"#, port(2222));
    let drops = |hook: &str, priority: i64, from: &str| {
        let rule = format!("{}, {DROP}", of("sport", from));
        let base =
            [Made("nat", "prerouting", -100, "accept", &[&to_22]), Made("filter", hook, priority, "accept", &[&rule])];
        said(&filters(&base, &[]), &tcp(2222))
    };
    let dropped = "nftables inet t c1, handle 1, drops the answer";
    for (hook, priority, wears) in
        [("output", -150, "22"), ("output", 0, "22"), ("postrouting", 99, "22"), ("postrouting", 101, "2222")]
    {
        let other = if wears == "22" { "2222" } else { "22" };
        assert_eq!(drops(hook, priority, wears), dropped, "{hook} {priority}");
        assert_eq!(drops(hook, priority, other), "passes", "{hook} {priority}");
    }
    // Of an answer no chain is asked that translates addresses.
    let nat = [Made("nat", "output", -100, "drop", &[]), Made("nat", "postrouting", 100, "drop", &[])];
    assert_eq!(said(&filters(&nat, &[]), &tcp(22)), "passes");
}

#[test]
fn the_answer_of_a_guest_comes_back_through_the_chains_of_what_is_forwarded() {
    let away = r#"{"dnat": {"family": "ip", "addr": "203.0.113.9", "port": 22}}"#;
    let said = |hook: &str, priority: i64, test: &str| {
        let rule = format!("{}, {test}, {DROP}", ct("direction", "reply"));
        let base =
            [Made("nat", "prerouting", -100, "accept", &[away]), Made("filter", hook, priority, "accept", &[&rule])];
        said(&filters(&base, &[]), &tcp(2222))
    };
    let dropped = "nftables inet t c1, handle 1, drops the answer";
    let guest = is(r#"{"payload": {"protocol": "ip", "field": "saddr"}}"#, r#""203.0.113.9""#);
    for (hook, priority, test) in [
        ("prerouting", -150, meta("iifname", "guest0")),
        ("prerouting", 0, guest.clone()),
        ("forward", 0, format!("{}, {}", meta("iifname", "guest0"), meta("oifname", "eth0"))),
        ("forward", 0, of("sport", "22")),
        ("postrouting", 0, guest.clone()),
        ("postrouting", 101, of("sport", "2222")),
    ] {
        assert_eq!(said(hook, priority, &test), dropped, "{hook} {priority} {test}");
    }
    for (hook, priority, test) in [
        ("prerouting", 0, meta("iifname", "eth0")),
        ("forward", 0, meta("oifname", "guest0")),
        ("postrouting", 101, guest),
        ("input", 0, of("sport", "22")),
        ("output", 0, of("sport", "22")),
    ] {
        assert_eq!(said(hook, priority, &test), "passes", "{hook} {priority} {test}");
    }
}

#[test]
fn what_is_not_tracked_is_not_known_to_be_an_answer() {
    let established = format!("{}, {ACCEPT}", ct("state", "established"));
    let with = |first: Made<'_>, priority: i64| {
        said(&filters(&[first, Made("filter", "output", priority, "drop", &[&established])], &[]), &tcp(22))
    };
    let unknown = "cannot tell: the answer: nftables inet t c1, handle 1: what connection tracking says";
    let nothing = || Made("filter", "prerouting", 0, "accept", &[]);
    assert_eq!(with(Made("filter", "prerouting", -300, "accept", &[r#"{"notrack": null}"#]), 0), unknown);
    assert_eq!(with(nothing(), -300), unknown);
    assert_eq!(with(nothing(), -199), "passes");
}

#[test]
fn a_packet_that_may_pass_has_an_answer_all_the_same() {
    let mark = is(r#"{"meta": {"key": "mark"}}"#, "7");
    let maybe = format!("{mark}, {DROP}");
    let with =
        |output: Made<'_>| said(&filters(&[output, Made("filter", "input", 0, "accept", &[&maybe])], &[]), &tcp(22));
    assert_eq!(with(Made("filter", "output", 0, "drop", &[])), DROPS);
    // Of two things that nobody knows the first is said.
    let doubt = "cannot tell: nftables inet t c1, handle 1: meta mark";
    assert_eq!(with(Made("filter", "output", 0, "accept", &[&maybe])), doubt);
    assert_eq!(said(&input(&maybe), &tcp(22)), "cannot tell: nftables inet t c0, handle 1: meta mark");
}

#[test]
fn an_answer_is_led_through_the_chains_of_iptables() {
    let with = |policy: &str, rule: &str| {
        let text = format!("*filter\n:INPUT ACCEPT [0:0]\n:OUTPUT {policy} [0:0]\n-A OUTPUT {rule}\nCOMMIT\n");
        said(&Filters { tables: save::read(&text, Family::Ip), ..Filters::default() }, &tcp(22))
    };
    let dropped = "iptables filter OUTPUT, rule 1, drops the answer";
    let policy = "iptables filter OUTPUT, by its policy, drops the answer";
    for (rule, said) in [
        ("-p tcp -m tcp --sport 22 -j DROP", dropped),
        ("-p tcp -m tcp --dport 22 -j DROP", "passes"),
        ("-o eth0 -j DROP", dropped),
        ("-m conntrack --ctorigsrc 198.51.100.7 -j DROP", dropped),
        ("-p tcp -m conntrack --ctorigsrcport 40000 -j DROP", dropped),
        ("-m conntrack --ctstatus SEEN_REPLY -j DROP", dropped),
    ] {
        assert_eq!(with("ACCEPT", rule), said, "{rule}");
    }
    assert_eq!(with("DROP", "-m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT"), "passes");
    assert_eq!(with("DROP", "-o lo -j ACCEPT"), policy);
    assert_eq!(with("DROP", "-m conntrack --ctstate NEW -j ACCEPT"), policy);
}

/// A chain of the prerouting hook that drops answers for which this holds.
fn early(test: &str, priority: i64) -> Filters {
    let rule = format!("{}, {test}, {DROP}", ct("direction", "reply"));
    let hide = r#"{"masquerade": null}"#;
    let chains = [
        Made("filter", "prerouting", priority, "accept", &[&rule]),
        Made("nat", "postrouting", 100, "accept", &[hide]),
    ];
    filters(&chains, &[])
}

#[test]
fn an_answer_that_comes_in_again_has_no_way_out_yet_and_goes_to_whom_hides_the_client() {
    let forwarded = Packet { is_own: false, dest: Some("203.0.113.9".parse().unwrap()), ..tcp(22) };
    let dropped = "nftables inet t c0, handle 1, drops the answer";
    let another = r#"{"match": {"op": "!=", "left": {"meta": {"key": "oifname"}}, "right": "eth0"}}"#;
    assert_eq!(said(&early(&meta("oifname", "eth0"), -150), &forwarded), "passes");
    assert_eq!(said(&early(another, -150), &forwarded), dropped);
    let local = is(r#"{"fib": {"result": "type", "flags": "daddr"}}"#, "\"local\"");
    let unread = "cannot tell: the answer: nftables inet t c0, handle 1: of what kind the destination is";
    assert_eq!(said(&early(&local, -150), &forwarded), unread);
    assert_eq!(said(&early(&local, -50), &forwarded), "passes");
}
