//! What connection tracking knows of a packet when a filter asks, and what it may know or not: it is so.

use std::net::UdpSocket;

use anyhow::{Context as _, Result, ensure};
use tests::harness::{Test, tests};
use tests::lab::{Echo, Family, Host, SSH_PORT, knockctl, must_open, nft};
use tests::story::World;

use super::truth::{assert_true, config, knocked};
use crate::e2e::assert_says;

/// The tests.
pub fn tests() -> Vec<Test> {
    tests![
        "e2e::packet_filter::tracking";
        a_destination_is_another_only_if_it_differs,
        names_and_zones_are_read_as_the_kernel_reads_them,
        a_datagram_of_a_connection_may_be_known_or_not,
    ]
}

const PASSES: &str = "packet filter: passes\n";
const DROPPED: &str = "passes the gate; then nftables inet own second, handle ";

/// A chain of the prerouting hook, and one behind it.
fn chains(first: [&str; 2], second: [&str; 2]) -> String {
    let chain = |name: &str, [kind, rules]: [&str; 2]| format!("chain {name} {{\n{kind}\n{rules}\n}}\n");
    format!("flush ruleset\ntable inet own {{\n{}{}}}\n", chain("first", first), chain("second", second))
}

const NAT: &str = "type nat hook prerouting priority -100; policy accept;";
const RAW: &str = "type filter hook prerouting priority -300; policy accept;";
const INPUT: &str = "type filter hook input priority 0; policy accept;";
const OUTPUT: &str = "type filter hook output priority 0; policy drop;";

fn a_destination_is_another_only_if_it_differs() -> Result<()> {
    let _world = knocked()?;
    let _other = Echo::tcp(Host::Server, 5000)?;
    let to = (Family::V4.address(Host::Server), SSH_PORT).into();
    let unknown = "packet filter: cannot tell: nftables inet own second, handle ";
    for (sent, said) in [
        ("tcp dport 2222 redirect to :5000", DROPPED),
        ("tcp dport 2222 dnat ip to 192.0.2.1:2222", PASSES),
        ("tcp dport 2222 redirect to :2222", unknown),
        ("tcp dport 2222 redirect", unknown),
    ] {
        nft(Host::Server, &chains([NAT, sent], [INPUT, "ct status dnat drop"]))?;
        assert_true(Host::Client, to, said).context(sent)?;
        if said == unknown {
            must_open(Host::Client, to).context(sent)?;
        }
    }
    Ok(())
}

fn names_and_zones_are_read_as_the_kernel_reads_them() -> Result<()> {
    let _world = knocked()?;
    let to = (Family::V4.address(Host::Server), SSH_PORT).into();
    for (rules, said) in [("iifname \"eth+\" drop", PASSES), ("iifname \"eth*\" drop", DROPPED)] {
        nft(Host::Server, &chains([RAW, ""], [INPUT, rules]))?;
        assert_true(Host::Client, to, said).context(rules)?;
    }
    // The answer is looked for where it is not.
    let unknown = "packet filter: cannot tell: the answer: nftables inet own second, handle ";
    for (zone, said) in [("", PASSES), ("ct zone set 7", unknown)] {
        nft(Host::Server, &chains([RAW, zone], [OUTPUT, "ct state established accept"]))?;
        assert_true(Host::Client, to, said).context(zone)?;
    }
    nft(
        Host::Server,
        "flush ruleset\ntable arp a {\nchain c {\ntype filter hook input priority 0; policy drop;\n}\n}\n",
    )?;
    assert_true(Host::Client, to, "packet filter: cannot tell: nftables arp a c looks at ARP\n")
}

/// Nobody has let it in: a socket of this host is connected to its source.
fn a_datagram_of_a_connection_may_be_known_or_not() -> Result<()> {
    let _world = World::guarded(Family::V4, &config().with("[\"2222/tcp\"]", "[\"2222/tcp\", \"5000/udp\"]"))?;
    let _socket = Host::Server.enter(|| {
        let socket = UdpSocket::bind("192.0.2.1:5000")?;
        socket.connect("192.0.2.2:40000")?;
        Ok(socket)
    })?;
    let explained = || knockctl(Host::Server, &["explain", "192.0.2.2", "5000/udp", "--to", "192.0.2.1"]);
    let input = |policy: &str, rules: &str| {
        let kind = format!("type filter hook input priority 0; policy {policy};");
        nft(Host::Server, &chains([RAW, ""], [&kind, rules]))
    };
    let tells = "packet filter: cannot tell: it depends on whether connection tracking knows its connection: if so, ";
    for (rules, said) in [
        ("ct state established accept", "it passes; if not, nftables inet own second, by its policy, drops it\n"),
        ("ct state new accept", "nftables inet own second, by its policy, drops it; if not, it passes\n"),
    ] {
        input("drop", rules)?;
        assert_says(&explained()?, 0, &["rule 11", tells, said]);
    }
    input("drop", "ct state { new, established } accept")?;
    assert_says(&explained()?, 0, &["rule 11", PASSES]);
    input("accept", "udp dport 5000 drop")?;
    let ran = explained()?;
    assert_says(&ran, 1, &["rule 11", DROPPED]);
    ensure!(!ran.stdout.contains("cannot tell"), "{ran}");
    Ok(())
}
