//! Rules whose work depends on routes and on the order of the hooks: the way back to a source, what is forwarded, and where
//! addresses are translated.

use anyhow::{Result, ensure};
use tests::harness::{Test, tests};
use tests::lab::{Echo, Family, Host, SSH_PORT, ip, nft, setting};

use super::truth::{assert_true, knocked};

/// The tests.
pub fn tests() -> Vec<Test> {
    tests![
        "e2e::packet_filter::routing";
        a_source_whose_way_back_is_another_interface_is_dropped_where_that_is_asked,
        what_this_host_does_not_forward_does_not_pass,
        addresses_are_translated_at_one_place_whatever_the_priority,
    ]
}

const PASSES: &str = "packet filter: passes\n";

/// Drops what comes by another interface than answers would leave by.
const BACK: &str = "table inet back {\n\
    chain pre {\n\
    type filter hook prerouting priority -300; policy accept;\n\
    tcp dport 2222 fib saddr . iif oif missing counter drop\n\
    }\n}\n";

fn a_source_whose_way_back_is_another_interface_is_dropped_where_that_is_asked() -> Result<()> {
    let _world = knocked()?;
    let to = (Family::V4.address(Host::Server), SSH_PORT).into();
    let [elsewhere, here] = ["add", "del"].map(|verb| format!("route {verb} 192.0.2.2/32 dev eth1\n"));
    let by_iptables = |verb: &str| {
        let line = format!("iptables-legacy -t raw {verb} PREROUTING -p tcp --dport 2222 -m rpfilter --invert -j DROP");
        Host::Server.must(&line.split(' ').collect::<Vec<_>>())
    };
    nft(Host::Server, BACK)?;
    assert_true(Host::Client, to, PASSES)?;
    assert_true(Host::Stranger, to, PASSES)?;
    ip(Host::Server, &elsewhere)?;
    assert_true(Host::Client, to, "passes the gate; then nftables inet back pre, handle ")?;
    assert_true(Host::Stranger, to, PASSES)?;
    // Its answer would get lost as well: the rule has seen it.
    let listed = Host::Server.must(&["nft", "list", "table", "inet", "back"])?;
    ensure!(listed.contains("counter packets") && !listed.contains("counter packets 0 "), "{listed}");
    nft(Host::Server, "flush ruleset\n")?;

    by_iptables("-A")?;
    assert_true(Host::Client, to, "passes the gate; then iptables raw PREROUTING, rule 1, drops it")?;
    assert_true(Host::Stranger, to, PASSES)?;
    let listed = Host::Server.must(&["iptables-legacy", "-t", "raw", "-S", "PREROUTING", "-v"])?;
    ensure!(listed.contains("rpfilter") && !listed.contains("-c 0 0 -j DROP"), "{listed}");
    // A rule of routing may choose another way.
    ip(Host::Server, "rule add from 192.0.2.1 lookup main\n")?;
    let open = "packet filter: cannot tell: iptables raw PREROUTING, rule 1: the way back to the source";
    assert_true(Host::Client, to, open)?;
    ip(Host::Server, &format!("rule del from 192.0.2.1 lookup main\n{here}"))?;
    assert_true(Host::Client, to, PASSES)?;
    by_iptables("-D").map(drop)
}

fn what_this_host_does_not_forward_does_not_pass() -> Result<()> {
    let _world = knocked()?;
    let _server = Echo::tcp(Host::Stranger, SSH_PORT)?;
    for (family, version, name) in
        [(Family::V4, "ip", "net/ipv4/ip_forward"), (Family::V6, "ip6", "net/ipv6/conf/all/forwarding")]
    {
        let (to, target) = ((family.address(Host::Server), SSH_PORT).into(), family.address(Host::Stranger));
        nft(
            Host::Server,
            &format!(
                "table {version} away {{\nchain pre {{\ntype nat hook prerouting priority -100; policy accept;\n\
                 tcp dport 2222 dnat to {target}\n}}\n}}\n"
            ),
        )?;
        setting(Host::Server, name, "1")?;
        assert_true(Host::Client, to, PASSES)?;
        setting(Host::Server, name, "0")?;
        assert_true(Host::Client, to, "packet filter: cannot tell: whether this host hands it on")?;
        nft(Host::Server, "flush ruleset\n")?;
    }
    Ok(())
}

fn addresses_are_translated_at_one_place_whatever_the_priority() -> Result<()> {
    let _world = knocked()?;
    let _other = Echo::tcp(Host::Server, 5000)?;
    let to = (Family::V4.address(Host::Server), SSH_PORT).into();
    let rules = |priority: i32, dropped: u16| {
        format!(
            "flush ruleset\ntable inet order {{\n\
             chain nat {{\ntype nat hook prerouting priority {priority}; policy accept;\n\
             tcp dport 2222 redirect to :5000\n}}\n\
             chain pre {{\ntype filter hook prerouting priority 0; policy accept;\ntcp dport {dropped} drop\n}}\n}}\n"
        )
    };
    for priority in [-150, 10] {
        nft(Host::Server, &rules(priority, 2222))?;
        assert_true(Host::Client, to, PASSES)?;
        nft(Host::Server, &rules(priority, 5000))?;
        assert_true(Host::Client, to, "passes the gate; then nftables inet order pre, handle ")?;
    }
    Ok(())
}
