//! What connection tracking knows of a packet, and what it cannot know for certain.

use super::chains::{DROP, Made, filters, input, is, port};
use super::*;

fn ct(key: &str, right: &str) -> String {
    format!(r#"{{"match": {{"op": "in", "left": {{"ct": {{"key": "{key}"}}}}, "right": "{right}"}}}}"#)
}

fn save(table: &str) -> Filters {
    Filters { tables: save::read(table, Family::Ip), ..Filters::default() }
}

/// To the guest, by this host.
fn forwarded(port: u16) -> Packet {
    Packet { is_own: false, dest: Some("203.0.113.9".parse().unwrap()), ..tcp(port) }
}

#[test]
fn the_first_packet_has_a_status_as_soon_as_its_addresses_are_others() {
    let hide = r#"{"masquerade": null}"#;
    let with = |hook: &str, priority: i64, status: &str, rules: &[&str]| {
        let test = format!("{}, {DROP}", ct("status", status));
        let chains = [
            Made("filter", hook, priority, "accept", &[&test]),
            Made("nat", if hook == "postrouting" { "postrouting" } else { "prerouting" }, -100, "accept", rules),
        ];
        filters(&chains, &[])
    };
    let dropped = "nftables inet t c0, handle 1, drops it";
    // Answers have it as well, wherever they are asked.
    let answer = "nftables inet t c0, handle 1, drops the answer";
    assert_eq!(said(&with("postrouting", 101, "snat", &[hide]), &forwarded(22)), dropped);
    assert_eq!(said(&with("postrouting", 99, "snat", &[hide]), &forwarded(22)), answer);
    assert_eq!(said(&with("postrouting", 101, "snat", &[]), &forwarded(22)), "passes");
    // Who is sent to where it goes anyway has not got another destination.
    let sent = |port: u16| format!(r#"{{"dnat": {{"family": "ip", "addr": "192.0.2.1", "port": {port}}}}}"#);
    assert_eq!(said(&with("input", 0, "dnat", &[&sent(22)]), &tcp(2222)), dropped);
    assert_eq!(said(&with("input", 0, "dnat", &[&sent(2222)]), &tcp(2222)), "passes");
    let redirect = r#"{"redirect": null}"#;
    let unknown = "cannot tell: nftables inet t c0, handle 1: what connection tracking says";
    assert_eq!(said(&with("input", 0, "dnat", &[redirect]), &tcp(2222)), unknown);
}

#[test]
fn a_source_that_may_be_hidden_may_be_the_client_as_well() {
    let mark = is(r#"{"meta": {"key": "mark"}}"#, "7");
    let hide = r#"{"masquerade": null}"#;
    let maybe = format!("{mark}, {hide}");
    let maybe_jump = format!(r#"{mark}, {{"jump": {{"target": "other"}}}}"#);
    let source = is(r#"{"payload": {"protocol": "ip", "field": "saddr"}}"#, r#""198.51.100.7""#);
    let unknown = |what: &str| format!("cannot tell: nftables inet t c0, handle 1: {what}");
    for (rule, other) in [(&maybe, &[][..]), (&maybe_jump, &[hide])] {
        let behind = |test: &str| {
            let test = format!("{test}, {DROP}");
            let chains = [
                Made("filter", "postrouting", 101, "accept", &[&test]),
                Made("nat", "postrouting", 100, "accept", &[rule]),
            ];
            said(&filters(&chains, other), &forwarded(22))
        };
        assert_eq!(behind(&ct("status", "snat")), unknown("what connection tracking says"), "{rule}");
        assert_eq!(behind(&source), unknown("whether a rule has hidden the source"), "{rule}");
    }
    // Certain all the same.
    let both = [
        Made("filter", "postrouting", 101, "accept", &[&format!("{}, {DROP}", ct("status", "snat"))]),
        Made("nat", "postrouting", 100, "accept", &[&maybe, hide]),
    ];
    assert_eq!(said(&filters(&both, &[]), &forwarded(22)), "nftables inet t c0, handle 1, drops it");
}

#[test]
fn in_a_zone_of_its_own_nobody_knows_what_connection_tracking_says() {
    let zone = r#"{"mangle": {"key": {"ct": {"key": "zone"}}, "value": 7}}"#;
    let established = format!(r#"{}, {{"accept": null}}"#, ct("state", "established"));
    let chains =
        [Made("filter", "prerouting", -300, "accept", &[zone]), Made("filter", "output", 0, "drop", &[&established])];
    let unknown = "cannot tell: the answer: nftables inet t c1, handle 1: what connection tracking says";
    assert_eq!(said(&filters(&chains, &[]), &tcp(22)), unknown);
    for option in ["--zone 7", "--zone-orig 7", "--zone-reply mark"] {
        let filters = save(&format!(
            "*raw\n:PREROUTING ACCEPT [0:0]\n-A PREROUTING -j CT {option}\nCOMMIT\n*filter\n:INPUT DROP [0:0]\n\
             -A INPUT -m conntrack --ctstate NEW -j ACCEPT\nCOMMIT\n"
        ));
        let unknown = "cannot tell: iptables filter INPUT, rule 1: what connection tracking says";
        assert_eq!(said(&filters, &tcp(22)), unknown, "{option}");
    }
    let helper = "*raw\n:PREROUTING ACCEPT [0:0]\n-A PREROUTING -j CT --helper ftp\nCOMMIT\n*filter\n:INPUT DROP [0:0]\n\
        -A INPUT -m conntrack --ctstate NEW -j ACCEPT\nCOMMIT\n";
    assert_eq!(said(&save(helper), &tcp(22)), "passes");
}

#[test]
fn a_connection_that_may_be_known_goes_where_its_first_packet_was_sent() {
    let of = |tracked: Tracked, rules: &[&str]| {
        let chains = [
            Made("nat", "prerouting", -100, "accept", rules),
            Made("filter", "input", 0, "accept", &[&format!("{}, {DROP}", ct("direction", "reply"))]),
            Made("filter", "output", 0, "accept", &[&format!("{}, {DROP}", ct("state", "new"))]),
        ];
        said(&filters(&chains, &[]), &Packet { tracked, ..udp(22) })
    };
    let direction = "cannot tell: nftables inet t c1, handle 1: what connection tracking says";
    assert_eq!(of(Tracked::New, &[]), "passes");
    for tracked in [Tracked::OfSocket, Tracked::OfFlow] {
        assert_eq!(of(tracked, &[]), direction);
    }
    let is_new = ct("state", "new");
    for rule in [r#"{"redirect": {"port": 23}}"#.to_owned(), format!(r#"{is_new}, {{"redirect": {{"port": 23}}}}"#)] {
        assert_eq!(of(Tracked::New, &[&rule]), "passes");
        let elsewhere = "cannot tell: nftables inet t c0 may have sent its connection elsewhere";
        assert_eq!(of(Tracked::OfFlow, &[&rule]), elsewhere, "{rule}");
        // A socket of this host has its port and address.
        assert_eq!(of(Tracked::OfSocket, &[&rule]), direction, "{rule}");
    }
    // What drops its first packet says nothing of the others.
    let known = "cannot tell: it depends on whether connection tracking knows its connection: if so, it passes; if not, \
        nftables inet t c0, handle 1, drops it";
    let chains = [Made("nat", "prerouting", -100, "accept", &[DROP])];
    assert_eq!(said(&filters(&chains, &[]), &Packet { tracked: Tracked::OfFlow, ..udp(22) }), known);
}

/// Such are neither new nor of a connection: connection tracking leaves them out.
#[test]
fn a_segment_whose_flags_nobody_sends_is_not_new() {
    let new = input(&format!("{}, {DROP}", ct("state", "new")));
    for (flags, is_new) in [
        (TcpFlags::SYN, true),
        (TcpFlags::SYN | TcpFlags::ECE | TcpFlags::CWR, true),
        (TcpFlags::SYN | TcpFlags::URG, true),
        (TcpFlags::SYN | TcpFlags::FIN, false),
        (TcpFlags::FIN, false),
        (0, false),
    ] {
        let unknown = "cannot tell: nftables inet t c0, handle 1: what connection tracking says";
        let expected = if is_new { "nftables inet t c0, handle 1, drops it" } else { unknown };
        assert_eq!(said(&new, &Packet { flags, ..tcp(22) }), expected, "{flags:#x}");
    }
}

#[test]
fn a_plus_at_the_end_of_a_name_stands_for_more_in_iptables_alone() {
    let by = |name: &str| {
        let test = is(r#"{"meta": {"key": "iifname"}}"#, &format!("\"{name}\""));
        said(&input(&format!("{test}, {DROP}")), &tcp(22))
    };
    let dropped = "nftables inet t c0, handle 1, drops it";
    assert_eq!((&*by("eth+"), &*by("eth*"), &*by("eth0")), ("passes", dropped, dropped));
    // The star itself, as nft writes it.
    assert_eq!(by(r"eth\\*"), "passes");
    let by = |name: &str| {
        said(&save(&format!("*filter\n:INPUT ACCEPT [0:0]\n-A INPUT -i {name} -j DROP\nCOMMIT\n")), &tcp(22))
    };
    let dropped = "iptables filter INPUT, rule 1, drops it";
    assert_eq!((&*by("eth+"), &*by("eth*"), &*by("eth0")), (dropped, "passes", dropped));
}

#[test]
fn the_values_of_a_map_are_counted() {
    let ports: Vec<_> = (100..50_100).map(|number| number.to_string()).collect();
    let element = format!(r#"[{{"set": [{}]}}, {ACCEPT}]"#, ports.join(", "));
    let key = r#"{"payload": {"protocol": "tcp", "field": "dport"}}"#;
    let filters = input(&format!(r#"{{"vmap": {{"key": {key}, "data": {{"set": [{element}]}}}}}}"#));
    let mut left = 1_000_000;
    assert_eq!(filters.fate_by(&tcp(22), &Router, &mut left), Fate::Passes);
    assert!(1_000_000 - left >= 50_000 / 16, "{left} steps are left");
}

#[test]
fn with_no_step_left_nothing_is_looked_at() {
    let mut none = 0;
    let fate = nftables(r#"{"nftables": []}"#).fate_by(&tcp(22), &Router, &mut none);
    assert!(matches!(&fate, Fate::Unknown(why) if why.contains("too many rules")), "{fate:?}");
}

const ACCEPT: &str = r#"{"accept": null}"#;

#[test]
fn what_drops_questions_for_hardware_addresses_leaves_ipv4_open() {
    let arp = |policy: &str, rule: &str| {
        nftables(&format!(
            r#"{{"nftables": [{{"table": {{"family": "arp", "name": "a"}}}}, {{"chain": {{"family": "arp", "table": "a",
            "name": "c", "type": "filter", "hook": "input", "prio": 0, "policy": "{policy}"}}}}{rule}]}}"#
        ))
    };
    let rule = r#", {"rule": {"family": "arp", "table": "a", "chain": "c", "handle": 2, "expr": [{"drop": null}]}}"#;
    let unknown = "cannot tell: nftables arp a c looks at ARP";
    for filters in [arp("drop", ""), arp("accept", rule)] {
        all_say(&filters, &[(tcp(22), unknown), (tcp6(22), "passes"), (on("lo", tcp(22)), "passes")]);
    }
    all_say(&arp("accept", ""), &[(tcp(22), "passes")]);
}

#[test]
fn a_port_that_a_rule_sends_on_to_itself_is_apart() {
    let filters =
        filters(&[Made("nat", "prerouting", -100, "accept", &[r#"{"dnat": {"addr": "192.0.2.1", "port": 22}}"#])], &[]);
    let ports = [22, 23, 24].map(|number| crate::syntax::Port { number, transport: Transport::Tcp });
    assert_eq!(filters.alike(&ports), [&ports[..1], &ports[1..]]);
    assert_eq!(said(&input(&port(22)), &tcp(22)), "passes");
}

/// Each as nft 1.0.6 lists it, with what the kernel did to the first packet of a connection.
#[test]
fn states_are_compared_by_their_bits_and_numbers_that_have_no_name_are_doubts() {
    let test = |key: &str, op: &str, right: &str| {
        let left = format!(r#"{{"ct": {{"key": "{key}"}}}}"#);
        input(&format!(r#"{{"match": {{"op": "{op}", "left": {left}, "right": {right}}}}}, {DROP}"#))
    };
    let dropped = "nftables inet t c0, handle 1, drops it";
    for (op, right, expected) in [
        ("in", r#""new""#, dropped),
        ("in", r#"["new", "untracked"]"#, dropped),
        ("in", "72", dropped),
        ("in", "8", dropped),
        ("in", "136", dropped),
        ("in", "64", "passes"),
        ("==", r#"{"|": ["new", "untracked"]}"#, "passes"),
        ("!=", r#"{"|": ["new", "untracked"]}"#, dropped),
        ("!=", r#"{"|": ["established", "related"]}"#, dropped),
        ("!=", r#"{"set": [{"|": ["new", "untracked"]}]}"#, dropped),
        ("==", r#"{"set": ["new", 128]}"#, dropped),
        ("!=", r#""new""#, "passes"),
        ("!=", r#""untracked""#, dropped),
    ] {
        assert_eq!(said(&test("state", op, right), &tcp(22)), expected, "{op} {right}");
    }
    for (key, op, right) in [
        ("state", "in", "128"),
        ("state", "==", "256"),
        ("state", "==", r#"{"set": [128]}"#),
        ("state", "==", r#"{"range": [8, 64]}"#),
        ("state", "==", r#"{"range": [8, {"|": [8, 64]}]}"#),
        ("state", ">", r#"{"|": [{"|": [1, 2]}, 4]}"#),
        ("state", "in", r#""another""#),
        ("status", "in", "1024"),
        ("status", "!=", "1024"),
        ("status", "==", r#""dnat""#),
        ("status", "==", r#"{"set": ["dnat"]}"#),
        ("direction", "==", "7"),
    ] {
        let said = said(&test(key, op, right), &tcp(22));
        assert!(said.starts_with("cannot tell: nftables inet t c0, handle 1: "), "{key} {op} {right}: {said}");
    }
    // Without a comparison one of several is enough.
    let without =
        |left: &str, right: &str| input(&format!(r#"{{"match": {{"left": {left}, "right": {right}}}}}, {DROP}"#));
    let state = r#"{"ct": {"key": "state"}}"#;
    assert_eq!(said(&without(state, r#"["new", "untracked"]"#), &tcp(22)), dropped);
    assert_eq!(said(&without(state, r#"["established", "related"]"#), &tcp(22)), "passes");
    let flags = r#"{"payload": {"protocol": "tcp", "field": "flags"}}"#;
    assert_eq!(said(&without(flags, r#"["syn", "ack"]"#), &tcp(22)), dropped);
    assert_eq!(said(&without(r#"{"payload": {"protocol": "tcp", "field": "dport"}}"#, "22"), &tcp(22)), dropped);
    let map = r#"{"vmap": {"key": {"ct": {"key": "state"}}, "data": {"set": [[{"|": ["new", "untracked"]}, {"drop": null}], ["untracked", {"drop": null}]]}}}"#;
    assert_eq!(said(&input(map), &tcp(22)), "passes");
    // A word that iptables has not got yet.
    let table = "*filter\n:INPUT ACCEPT [0:0]\n-A INPUT -m conntrack --ctstate STATE -j DROP\nCOMMIT\n";
    let of = |state: &str| said(&save(&table.replace("STATE", state)), &tcp(22));
    assert_eq!(of("NEW,UNTRACKED,SNAT,DNAT"), "iptables filter INPUT, rule 1, drops it");
    assert_eq!(of("UNTRACKED,INVALID"), "passes");
    assert!(of("ANOTHER").starts_with("cannot tell: iptables filter INPUT, rule 1: "), "{}", of("ANOTHER"));
}
