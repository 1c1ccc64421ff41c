//! Packets through real listings. Those of `tests/cases/filter` were made in network namespaces, by the commands that
//! `tests/cases/filter/README.md` names.

mod answers;
mod chains;
mod classes;
mod tracking;

use std::collections::BTreeSet;
use std::net::IpAddr;

use knock_common::packet::Transport;
use knock_common::packet::flags::TcpFlags;

use super::model::Family;
use super::packet::{Packet, Tracked};
use super::routing::{Routing, Way};
use super::{Fate, Filters, nft, save};

const NFTABLES: &str = include_str!("../../../../tests/cases/filter/nftables.json");
const VERDICTS: &str = include_str!("../../../../tests/cases/filter/verdicts.json");
const FIREWALLD: &str = include_str!("../../../../tests/cases/filter/firewalld.json");
const UFW: &str = include_str!("../../../../tests/cases/filter/ufw.json");
const UFW_SAVE: &str = include_str!("../../../../tests/cases/filter/ufw.save");
const UFW6_SAVE: &str = include_str!("../../../../tests/cases/filter/ufw6.save");
const DESTINATIONS: &str = include_str!("../../../../tests/cases/filter/destinations.json");
const DESTINATIONS_SAVE: &str = include_str!("../../../../tests/cases/filter/destinations.save");
const IPTABLES: &str = include_str!("../../../../tests/cases/filter/iptables.save");

/// A request of 198.51.100.7 to 192.0.2.1, or of 2001:db8::7 to 2001:db8::1.
fn request(is_v6: bool, port: u16, transport: Transport) -> Packet {
    let (source, dest) = if is_v6 { ("2001:db8::7", "2001:db8::1") } else { ("198.51.100.7", "192.0.2.1") };
    let address = |text: &str| Some(text.parse::<IpAddr>().unwrap());
    Packet {
        devices: vec!["eth0".to_owned()],
        interface: Some("eth0".to_owned()),
        is_bridged: false,
        is_v6,
        source: address(source),
        from: Some(40_000),
        dest: address(dest),
        is_own: true,
        port: Some(port),
        transport,
        flags: TcpFlags::SYN,
        tracked: Tracked::New,
    }
}

fn tcp(port: u16) -> Packet {
    request(false, port, Transport::Tcp)
}

fn udp(port: u16) -> Packet {
    request(false, port, Transport::Udp)
}

fn tcp6(port: u16) -> Packet {
    request(true, port, Transport::Tcp)
}

fn from(source: &str, packet: Packet) -> Packet {
    Packet { source: Some(source.parse().unwrap()), ..packet }
}

fn on(interface: &str, packet: Packet) -> Packet {
    Packet { interface: Some(interface.to_owned()), ..packet }
}

fn nftables(listing: &str) -> Filters {
    Filters::listed(listing)
}

/// A router to 203.0.113.0/24 by `guest0`, a bridge of `card0` and `card1`, and to 198.51.100.0/24 by `eth0`, and nowhere else.
struct Router;

impl Routing for Router {
    fn way(&self, packet: &Packet) -> Option<Way> {
        match packet.dest?.to_string() {
            own if own == "192.0.2.1" => Some(Way::Here),
            guest if guest.starts_with("203.0.113.") => Some(Way::Out("guest0".to_owned())),
            back if back.starts_with("198.51.100.") => Some(Way::Out("eth0".to_owned())),
            _ => None,
        }
    }

    fn has_way_back(&self, packet: &Packet) -> Option<bool> {
        let is_there = |source: &IpAddr| source.to_string() == "2001:db8::7";
        packet.source.as_ref().filter(|source| is_there(source)).map(|_| packet.interface.as_deref() == Some("eth0"))
    }

    fn way_out(&self, to: IpAddr) -> Option<String> {
        match to.to_string() {
            guest if guest.starts_with("203.0.113.") => Some("guest0".to_owned()),
            outside if outside.starts_with("198.51.100.") || outside == "2001:db8::7" => Some("eth0".to_owned()),
            _ => None,
        }
    }

    fn below(&self, interface: &str) -> Option<BTreeSet<String>> {
        let cards: &[&str] = if interface == "guest0" { &["guest0", "card0", "card1"] } else { &[interface] };
        Some(cards.iter().map(|card| (*card).to_owned()).collect())
    }

    fn is_plain(&self, _is_v6: bool) -> bool {
        true
    }
}

/// In a few words.
fn said(filters: &Filters, packet: &Packet) -> String {
    said_by(filters, packet, &Router)
}

/// The same with other routes.
fn said_by(filters: &Filters, packet: &Packet, routing: &dyn Routing) -> String {
    match filters.fate_by(packet, routing, &mut u32::MAX.clone()) {
        Fate::Passes => "passes".to_owned(),
        Fate::Dropped { place, is_answered, is_reply } => {
            let verb = if is_answered { "rejects" } else { "drops" };
            format!("{place}, {verb} {}", if is_reply { "the answer" } else { "it" })
        }
        Fate::Depends(why) => format!("depends: {why}"),
        Fate::Unknown(why) => format!("cannot tell: {why}"),
    }
}

#[track_caller]
fn all_say(filters: &Filters, cases: &[(Packet, &str)]) {
    for (packet, expected) in cases {
        assert_eq!(said(filters, packet), *expected, "{packet:?}");
    }
}

#[test]
fn rules_of_nftables_are_followed() {
    let doubt = "cannot tell: nftables inet filter input, handle 24: meta mark";
    let limit = "cannot tell: nftables inet filter guarded, handle 8: limit";
    all_say(
        &nftables(NFTABLES),
        &[
            (tcp(2222), "passes"),
            (from("203.0.113.9", tcp(2222)), "passes"),
            (from("203.0.113.10", tcp(2222)), limit),
            (tcp6(2222), limit),
            (tcp6(22), "passes"),
            (tcp(22), doubt),
            (tcp(8005), "passes"),
            (tcp(443), "passes"),
            (udp(54), "nftables inet filter input, handle 18, drops it"),
            (on("wlan3", tcp(80)), "passes"),
            (on("eth1", tcp(80)), doubt),
            (on("lo", tcp(9999)), "passes"),
            // To port 2222 of this host, or who knows where.
            (from("203.0.113.9", tcp(8080)), "passes"),
            (
                Packet { dest: Some("192.0.2.9".parse().unwrap()), ..tcp(1) },
                "cannot tell: whether this host hands it on, and by which interface",
            ),
            // nft 1.0.6 says no device.
            (Packet { source: None, ..tcp(2222) }, "cannot tell: nftables netdev n i: on which device it looks"),
        ],
    );
}

#[test]
fn each_verdict_and_test_does_what_it_says() {
    let last = "nftables inet filter input, handle";
    let all_sources = |packet: Packet| Packet { source: None, ..packet };
    all_say(
        &nftables(VERDICTS),
        &[
            (tcp(2222), &format!("{last} 5, drops it")),
            (tcp(99), &format!("{last} 6, rejects it")),
            (tcp(100), "passes"),
            (udp(5000), "passes"),
            (from("198.51.101.7", udp(5000)), &format!("{last} 8, drops it")),
            (all_sources(udp(5000)), &format!("depends: {last} 7: the source")),
            // Behind a goto no rule comes.
            (tcp(3000), "passes"),
            (Packet { from: Some(300), ..tcp(3000) }, "nftables inet filter a, handle 25, drops it"),
            // Behind a jump the next one does, unless the chain has decided.
            (tcp(3001), &format!("{last} 12, drops it")),
            (Packet { from: Some(50), ..tcp(3001) }, &format!("{last} 12, drops it")),
            (Packet { from: Some(200), ..tcp(3001) }, "passes"),
            (Packet { from: None, ..tcp(3001) }, "depends: nftables inet filter a, handle 23: the source port"),
            (tcp(3002), "passes"),
            (tcp(3003), "passes"),
            (tcp(3004), "passes"),
            (from("203.0.113.1", tcp(3004)), &format!("{last} 16, drops it")),
            // Of no family but IPv4.
            (tcp6(3004), "passes"),
            (tcp(3005), &format!("{last} 17, drops it")),
            (Packet { flags: TcpFlags::ACK, ..tcp(3005) }, "passes"),
            // One way or the other.
            (tcp(3006), &format!("{last} 19, drops it")),
            (tcp(3007), &format!("{last} 20, drops it")),
            (on("wlan0", tcp(3007)), "passes"),
            (Packet { interface: None, ..tcp(3007) }, &format!("depends: {last} 20: the interface")),
            (tcp(3008), &format!("cannot tell: {last} 22: the set @seen, which packets change")),
            // A chain that comes later may still drop what others have accepted.
            (tcp(4500), "nftables ip late input, handle 2, drops it"),
            (tcp6(4500), "passes"),
            // Before connection tracking nobody knows what is new, and what is not tracked is not new.
            (tcp(4001), "nftables ip late input, handle 2, drops it"),
            (udp(53), &format!("cannot tell: {last} 13: what connection tracking says")),
            // To port 2222 of this host.
            (tcp(8080), &format!("{last} 5, drops it")),
            (
                Packet { is_own: false, dest: Some("203.0.113.9".parse().unwrap()), ..tcp(2222) },
                "nftables inet filter forward, by its policy, drops it",
            ),
        ],
    );
}

#[test]
fn a_table_that_may_be_dormant_is_not_taken_for_one_that_drops() {
    let only = |flags: &str| {
        nftables(&format!(
            r#"{{"nftables": [{{"table": {{"family": "inet", "name": "a", "handle": 1{flags}}}}},
            {{"chain": {{"family": "inet", "table": "a", "name": "input", "handle": 1, "type": "filter", "hook": "input",
            "prio": 0, "policy": "drop"}}}}]}}"#
        ))
    };
    assert_eq!(said(&only(""), &tcp(1)), "nftables inet a input, by its policy, drops it");
    assert_eq!(said(&only(r#", "flags": ["owner"]"#), &tcp(1)), "nftables inet a input, by its policy, drops it");
    assert_eq!(said(&only(r#", "flags": "dormant""#), &tcp(1)), "passes");
    let unclear = "cannot tell: nftables inet a input, flags of the table: whether it is dormant";
    assert_eq!(said(&only(r#", "flags": "a""#), &tcp(1)), unclear);
}

#[test]
fn the_rules_of_firewalld_are_followed() {
    let rejected = "nftables inet firewalld filter_IN_public, handle 72, rejects it";
    all_say(
        &nftables(FIREWALLD),
        &[
            (tcp(22), "passes"),
            (tcp(2222), rejected),
            (udp(22), rejected),
            (Packet { source: None, from: None, dest: None, ..tcp(2222) }, rejected),
            (on("lo", tcp(2222)), "passes"),
            (tcp6(2222), rejected),
            (tcp6(22), "passes"),
            (
                from("2001:db8::8", tcp6(22)),
                "depends: nftables inet firewalld filter_PREROUTING, handle 52: the way back to the source",
            ),
        ],
    );
}

#[test]
fn the_rules_of_ufw_are_followed_where_iptables_says_them() {
    let mut listing = nft::read(UFW).unwrap();
    let bare = Filters { tables: listing.tables.clone(), ..Filters::default() };
    listing.fill_in(&save::read(UFW_SAVE, Family::Ip));
    listing.fill_in(&save::read(UFW6_SAVE, Family::Ip6));
    let filters = Filters { tables: listing.tables, ..Filters::default() };
    all_say(
        &filters,
        &[
            (tcp(22), "passes"),
            (tcp6(22), "passes"),
            (tcp(2222), "nftables ip filter INPUT, by its policy, drops it"),
            (tcp6(2222), "nftables ip6 filter INPUT, by its policy, drops it"),
            (
                Packet { source: None, from: None, dest: None, ..tcp(2222) },
                "nftables ip filter INPUT, by its policy, drops it",
            ),
        ],
    );
    assert!(said(&filters, &tcp(2022)).ends_with(": the match recent"), "{}", said(&filters, &tcp(2022)));
    // Of matches that nft does not say nothing is known.
    assert!(said(&bare, &tcp(22)).starts_with("cannot tell: nftables ip filter ufw-"), "{}", said(&bare, &tcp(22)));
}

#[test]
fn the_rules_of_iptables_are_followed() {
    let filters = Filters { tables: save::read(IPTABLES, Family::Ip), ..Filters::default() };
    let policy = "iptables filter INPUT, by its policy, drops it";
    all_say(
        &filters,
        &[
            (tcp(80), "passes"),
            (tcp(8010), "passes"),
            (tcp(8011), policy),
            (tcp(81), policy),
            (on("eth1", tcp(81)), "iptables filter INPUT, rule 4, drops it"),
            (tcp(2222), "passes"),
            (from("203.0.113.1", tcp(2222)), policy),
            (Packet { source: None, ..tcp(2222) }, "depends: iptables filter guarded, rule 1: the source"),
            (tcp(82), "passes"),
            (from("198.51.100.10", tcp(82)), policy),
            (Packet { flags: TcpFlags::SYN | TcpFlags::ACK, ..tcp(82) }, policy),
            (tcp(83), "cannot tell: iptables filter INPUT, rule 7: the match limit"),
            (tcp(84), "iptables filter INPUT, rule 8, rejects it"),
            (tcp(86), "cannot tell: iptables filter INPUT, rule 9: the target NFQUEUE"),
            (udp(53), "cannot tell: iptables filter INPUT, rule 2: what connection tracking says"),
            (tcp(8080), "passes"),
            (from("203.0.113.1", tcp(8080)), policy),
            (tcp6(1), "passes"),
        ],
    );
}

#[test]
fn a_packet_with_another_destination_is_followed_to_it() {
    let at = |chain: &str, handle: u32, verb: &str| format!("nftables inet route {chain}, handle {handle}, {verb} it");
    let to_another =
        |handle: u32| format!("cannot tell: nftables inet route pre, handle {handle} sends it to another destination");
    let filters = nftables(DESTINATIONS);
    // Of segments that nobody answers.
    all_say(
        &filters,
        &[
            // To the guest, whom no chain behind sends on: the first that does so for a packet is the last.
            (tcp(2222), "passes"),
            (tcp(2224), "passes"),
            (tcp(2223), &at("input", 22, "drops")),
            (tcp(2228), &at("input", 23, "rejects")),
            (tcp(2230), &at("input", 25, "drops")),
            (tcp(2231), &at("input", 24, "drops")),
            (
                Packet { is_own: false, dest: Some("203.0.113.130".parse().unwrap()), ..tcp(5) },
                "nftables inet route forward, by its policy, drops it",
            ),
            (from("203.0.113.9", tcp(2225)), "passes"),
            (tcp(2225), "nftables inet route forward, by its policy, drops it"),
            (Packet { source: None, ..tcp(2225) }, "depends: nftables inet route pre, handle 12: the source"),
            (tcp(2226), &to_another(13)),
            (tcp(2227), "cannot tell: nftables inet route pre, handle 14: limit"),
            // On its way out, with its own source or another.
            (tcp(2232), &at("out", 33, "drops")),
            (tcp(2233), "depends: nftables inet route hidden, handle 36: the source"),
            (tcp(2234), "depends: nftables inet route hidden, handle 36: the source"),
            (tcp(2235), &at("hidden", 36, "drops")),
            (from("203.0.113.9", tcp(2235)), "passes"),
            (tcp(2236), "passes"),
            // Nobody knows a way there.
            (tcp(2229), "cannot tell: whether this host hands it on, and by which interface"),
            (tcp(22), "cannot tell: whether this host hands it on, and by which interface"),
            // DNAT of IPv4 leaves the other family alone.
            (tcp6(2228), "passes"),
            (tcp6(22), "passes"),
            (tcp6(2223), &at("input", 22, "drops")),
        ]
        .map(|(packet, expected)| (Packet { flags: TcpFlags::ACK, ..packet }, expected)),
    );
    // The answers of guests nobody lets out.
    let dropped = at("forward", 26, "drops").replace(" it", " the answer");
    let policy = "nftables inet route forward, by its policy, drops the answer";
    for (packet, expected) in
        [(tcp(2222), &*dropped), (tcp(2224), &dropped), (tcp(2236), &dropped), (from("203.0.113.9", tcp(2235)), policy)]
    {
        assert_eq!(said(&filters, &packet), expected, "{packet:?}");
    }
}

#[test]
fn a_way_back_is_asked_for() {
    let at = |handle: u32| format!("nftables inet route back, handle {handle}, drops it");
    let open = |handle: u32| format!("depends: nftables inet route back, handle {handle}: the way back to the source");
    let elsewhere = |port| on("eth1", tcp6(port));
    all_say(
        &nftables(DESTINATIONS),
        &[
            (tcp6(4000), "passes"),
            (elsewhere(4000), &at(30)),
            (tcp(4000), &open(30)),
            (tcp6(4001), &at(31)),
            (elsewhere(4001), "passes"),
            (tcp6(4002), &at(32)),
            (elsewhere(4002), "passes"),
        ],
    );
    let filters = Filters { tables: save::read(DESTINATIONS_SAVE, Family::Ip6), ..Filters::default() };
    all_say(
        &filters,
        &[
            (tcp6(4000), "passes"),
            (elsewhere(4000), "ip6tables raw PREROUTING, rule 2, drops it"),
            (tcp6(4001), "cannot tell: ip6tables raw PREROUTING, rule 3: the option --loose"),
        ],
    );
}

#[test]
fn a_packet_that_iptables_sends_elsewhere_is_followed() {
    let filters = Filters { tables: save::read(DESTINATIONS_SAVE, Family::Ip), ..Filters::default() };
    let at = |place: &str, verb: &str| format!("iptables {place}, {verb} it");
    let to_another =
        |rule: u32| format!("cannot tell: iptables nat DOCKER, rule {rule} sends it to another destination");
    let direct = Packet { is_own: false, dest: Some("203.0.113.130".parse().unwrap()), ..tcp(22) };
    all_say(
        &filters,
        &[
            (tcp(2222), "passes"),
            (from("198.51.100.9", tcp(2222)), &at("filter DOCKER-USER, rule 1", "drops")),
            (direct, &at("raw PREROUTING, rule 1", "drops")),
            (tcp(2223), &at("filter INPUT, rule 1", "drops")),
            (tcp(2224), &at("filter DOCKER, rule 2", "drops")),
            (tcp(2225), &at("filter INPUT, rule 2", "rejects")),
            (tcp(2226), &to_another(5)),
            // To the address of the interface, which may be the one that it has.
            (tcp(2227), "cannot tell: iptables filter INPUT, rule 3: what connection tracking says"),
            (tcp(2228), &to_another(7)),
            (tcp(2230), "passes"),
        ],
    );
}

#[test]
fn what_a_bridge_may_hand_on_is_left_open() {
    let bridged = |dest: &str| Packet {
        interface: Some("br0".to_owned()),
        is_bridged: true,
        is_own: false,
        dest: Some(dest.parse().unwrap()),
        ..tcp(2222)
    };
    let filters = nftables(VERDICTS);
    let open = "cannot tell: whether a bridge hands it on, or this host";
    assert_eq!(said(&filters, &bridged("192.0.2.9")), open);
    // Behind another interface it is routed.
    assert_eq!(said(&filters, &bridged("203.0.113.9")), "nftables inet filter forward, by its policy, drops it");
    assert_eq!(
        said(&filters, &Packet { is_own: true, ..bridged("192.0.2.1") }),
        "nftables inet filter input, handle 5, drops it"
    );
}

#[test]
fn a_chain_of_a_device_is_asked_of_what_that_device_receives() {
    let on = |device: &str| {
        let filters = nftables(
            r#"{"nftables": [{"table": {"family": "netdev", "name": "n", "handle": 1}}, {"chain": {"family": "netdev", "table": "n",
            "name": "c", "handle": 1, "dev": "eth0", "type": "filter", "hook": "ingress", "prio": 0, "policy": "drop"}}]}"#,
        );
        said(&filters, &Packet { devices: vec![device.to_owned()], interface: Some("br0".to_owned()), ..tcp(22) })
    };
    assert_eq!(on("eth0"), "nftables netdev n c, by its policy, drops it");
    assert_eq!(on("eth1"), "passes");
}

#[test]
fn a_chain_on_the_way_out_of_a_device_leaves_open_what_may_leave_by_that() {
    let on_device = |device: &str| {
        nftables(&format!(
            r#"{{"nftables": [{{"table": {{"family": "netdev", "name": "n", "handle": 1}}}}, {{"chain": {{"family": "netdev",
            "table": "n", "name": "c", "handle": 1, "dev": "{device}", "type": "filter", "hook": "egress", "prio": 0,
            "policy": "drop"}}}}]}}"#
        ))
    };
    let filters = on_device("guest0");
    let guest = "203.0.113.9";
    let forwarded = Packet { is_own: false, dest: Some(guest.parse().unwrap()), ..tcp(22) };
    let unknown = "cannot tell: nftables netdev n c looks at what leaves";
    let answer = "cannot tell: the answer: nftables netdev n c looks at what leaves";
    assert_eq!(said(&filters, &forwarded), unknown);
    assert_eq!(said(&filters, &Packet { flags: TcpFlags::FIN, ..tcp(22) }), "passes");
    // The answer goes where its client is, by the cards of a bridge if that is behind one.
    assert_eq!(said(&filters, &from(guest, tcp(22))), answer);
    assert_eq!(said(&filters, &tcp(22)), "passes");
    assert_eq!(said(&on_device("eth0"), &tcp(22)), answer);
    assert_eq!(said(&on_device("card1"), &from(guest, tcp(22))), answer);
    assert_eq!(said(&on_device("card1"), &tcp(22)), "passes");
    // Nobody knows the client: most are where their packets come.
    let everybody = Packet { source: None, from: None, dest: None, ..tcp(22) };
    assert_eq!(said(&on_device("eth0"), &everybody), answer);
    assert_eq!(said(&on_device("lo"), &everybody), "passes");
    let depends = "depends: the answer: nftables netdev n c: by which interface it leaves";
    assert_eq!(said(&filters, &everybody), depends);
}

#[test]
fn what_could_not_be_read_leaves_it_open_unless_another_filter_drops() {
    let mut filters = nftables(VERDICTS);
    filters.unread.push("iptables has tables, and iptables-save is not installed".to_owned());
    let cases = [
        (tcp(2222), "nftables inet filter input, handle 5, drops it"),
        (tcp6(100), "cannot tell: iptables has tables"),
    ];
    for (packet, expected) in cases {
        assert!(said(&filters, &packet).starts_with(expected), "{}", said(&filters, &packet));
    }
}

#[test]
fn what_is_no_listing_is_said_to_be_none() {
    for text in ["", "{}", "[]", "{\"nftables\": 1}", "table inet filter {"] {
        assert!(nft::read(text).is_err(), "{text}");
    }
    assert!(Filters::default().is_empty() && nftables(r#"{"nftables": []}"#).is_empty());
    assert!(!nftables(VERDICTS).is_empty());
}

#[test]
fn statements_that_nobody_knows_are_not_taken_for_leave_to_pass() {
    let listing = |expressions: &str| {
        nftables(&format!(
            r#"{{"nftables": [{{"table": {{"family": "inet", "name": "a"}}}}, {{"chain": {{"family": "inet", "table": "a",
            "name": "c", "hook": "input", "prio": 0, "policy": "accept"}}}}, {{"rule": {{"family": "inet", "table": "a",
            "chain": "c", "handle": 7, "expr": [{expressions}]}}}}]}}"#
        ))
    };
    for (expressions, expected) in [
        (r#"{"new thing": 1}, {"drop": null}"#, "cannot tell: nftables inet a c, handle 7: new thing"),
        (r#"{"new thing": 1}"#, "passes"),
        (r#"{"queue": {"num": 1}}"#, "cannot tell: nftables inet a c, handle 7: queue"),
        (r#"{"jump": {"target": "gone"}}"#, "cannot tell: nftables inet a c, handle 7: there is no chain gone"),
        (
            r#"{"vmap": {"key": {"meta": {"key": "l4proto"}}, "data": "@m"}}"#,
            "cannot tell: nftables inet a c, handle 7: a map that is not listed",
        ),
        (r#"{"xt": {"type": "target", "name": "NEW"}}"#, "cannot tell: nftables inet a c, handle 7: the target NEW"),
        (r#"{"goto": {"target": "c"}}"#, "cannot tell: nftables inet a c: too many rules"),
    ] {
        assert_eq!(said(&listing(expressions), &tcp(1)), expected, "{expressions}");
    }
}
