//! Rules that let a packet in and drop the answer to it: it is said of the connection, and it is so.

use anyhow::{Context as _, Result, ensure};
use tests::harness::{Test, tests};
use tests::lab::{Daemon, Echo, Family, Host, SSH_PORT, knockctl, nft, setting};

use super::truth::{assert_true, assert_true_of_both, checked, config, knocked};

/// The tests.
pub fn tests() -> Vec<Test> {
    tests![
        "e2e::packet_filter::answers";
        a_rule_that_drops_the_answer_of_the_service_is_named,
        an_answer_is_let_out_as_one_of_a_connection_that_stands,
        the_answer_of_a_redirected_port_is_followed,
        the_answer_of_a_host_behind_this_one_is_followed,
    ]
}

const PASSES: &str = "packet filter: passes\n";

/// A chain that the answers pass.
fn chain(hook: &str, priority: i32, policy: &str, rules: &str) -> String {
    format!(
        "flush ruleset\ntable inet back {{\nchain out {{\ntype filter hook {hook} priority {priority}; policy {policy};\n\
         {rules}\n}}\n}}\n"
    )
}

fn a_rule_that_drops_the_answer_of_the_service_is_named() -> Result<()> {
    let mut world = knocked()?;
    for hook in ["output", "postrouting"] {
        nft(Host::Server, &chain(hook, 0, "accept", "tcp sport 2222 counter drop"))?;
        let listed = Host::Server.must(&["nft", "-a", "list", "chain", "inet", "back", "out"])?;
        let rule = listed.lines().find(|line| line.contains("sport 2222")).context("the rule")?;
        let place = format!("nftables inet back out, handle {}, drops", rule.rsplit(' ').next().unwrap_or_default());
        for host in [Host::Client, Host::Stranger] {
            assert_true_of_both(host, [&*format!("passes the gate; then {place} the answer to it\n"); 2])?;
        }
        // It has seen the answers.
        let listed = Host::Server.must(&["nft", "list", "chain", "inet", "back", "out"])?;
        ensure!(!listed.contains("counter packets 0 "), "{listed}");
        let ran = knockctl(Host::Server, &["explain", &world.address(Host::Client).to_string(), "2222", "--json"])?;
        let json: serde_json::Value = serde_json::from_str(&ran.stdout)?;
        let filter = &json["packet_filter"];
        assert_eq!((&filter["verdict"], &filter["of_answer"]), (&"drops".into(), &true.into()), "{json}");
        let said = format!("2222/tcp: who passes the gate gets no answer: {place} it");
        ensure!(checked()?.contains(&said), "{}", checked()?);
        world.gate()?.kill()?;
        world.daemon = Some(Daemon::start(&config(), None)?);
        world.gate()?.wait_after(0, &said)?;
    }
    Ok(())
}

fn an_answer_is_let_out_as_one_of_a_connection_that_stands() -> Result<()> {
    let _world = knocked()?;
    let to = (Family::V4.address(Host::Server), SSH_PORT).into();
    let policy = "passes the gate; then nftables inet back out, by its policy, drops the answer to it\n";
    // Neighbours find each other all the same.
    let around = "icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert } accept";
    for (rules, said) in [
        ("ct state established,related accept", PASSES),
        ("ct direction reply accept", PASSES),
        ("ct status seen-reply accept", PASSES),
        ("ct original ip saddr 192.0.2.2 accept", PASSES),
        ("oifname eth0 accept", PASSES),
        ("tcp flags & (syn | ack) == syn | ack accept\ntcp flags & (syn | ack) == ack accept", PASSES),
        ("oifname lo accept", policy),
        ("iifname eth0 accept", policy),
        ("ct state new accept", policy),
        ("ct status dnat accept", policy),
        ("tcp dport 2222 accept", policy),
        ("meta mark 7 accept", "packet filter: cannot tell: the answer: nftables inet back out, handle "),
    ] {
        nft(Host::Server, &chain("output", 0, "drop", &format!("{around}\n{rules}")))?;
        assert_true(Host::Client, to, said).context(rules)?;
    }
    // What `check` says of them without a client.
    ensure!(!checked()?.contains("gets no answer"), "{}", checked()?);
    nft(Host::Server, &chain("output", 0, "drop", "oifname lo accept"))?;
    ensure!(
        checked()?.contains("2222/tcp: who passes the gate gets no answer: nftables inet back out"),
        "{}",
        checked()?
    );
    Ok(())
}

fn the_answer_of_a_redirected_port_is_followed() -> Result<()> {
    let _world = knocked()?;
    let _other = Echo::tcp(Host::Server, 5000)?;
    let to = (Family::V4.address(Host::Server), SSH_PORT).into();
    let dropped = "passes the gate; then nftables inet back out, handle ";
    for (hook, priority, wears, other) in [
        ("output", -150, 5000, 2222),
        ("output", 0, 5000, 2222),
        ("postrouting", 0, 5000, 2222),
        ("postrouting", 110, 2222, 5000),
    ] {
        for (port, said) in [(wears, dropped), (other, PASSES)] {
            let nat = "table inet nat {\nchain pre {\ntype nat hook prerouting priority -100; policy accept;\n\
                       tcp dport 2222 redirect to :5000\n}\n}\n";
            nft(Host::Server, &(chain(hook, priority, "accept", &format!("tcp sport {port} drop")) + nat))?;
            assert_true(Host::Client, to, said).with_context(|| format!("{hook} {priority}: {port}"))?;
        }
    }
    Ok(())
}

/// Whether it takes the client for the client or for this host.
fn the_answer_of_a_host_behind_this_one_is_followed() -> Result<()> {
    let _world = knocked()?;
    let _server = Echo::tcp(Host::Stranger, SSH_PORT)?;
    let to = (Family::V4.address(Host::Server), SSH_PORT).into();
    setting(Host::Server, "net/ipv4/ip_forward", "1")?;
    let target = Family::V4.address(Host::Stranger);
    let dropped = "passes the gate; then nftables inet back out, handle ";
    for hide in ["", "masquerade"] {
        let nat = format!(
            "table ip nat {{\nchain pre {{\ntype nat hook prerouting priority -100; policy accept;\n\
             tcp dport 2222 dnat to {target}\n}}\n\
             chain post {{\ntype nat hook postrouting priority 100; policy accept;\n{hide}\n}}\n}}\n"
        );
        for (hook, priority, test, said) in [
            ("prerouting", -150, "iifname eth1 tcp sport 2222", dropped),
            ("prerouting", 0, "ct direction reply", dropped),
            ("prerouting", 0, "iifname eth0 tcp sport 2222", PASSES),
            ("forward", 0, "iifname eth1 oifname eth0 ip daddr 192.0.2.2", dropped),
            ("forward", 0, "ct state established ct status dnat", dropped),
            ("forward", 0, "oifname eth1 ct direction reply", PASSES),
            ("postrouting", 0, "ip saddr 192.0.2.1 ct direction reply", PASSES),
            ("postrouting", 110, "ip saddr 192.0.2.1 oifname eth0", dropped),
            ("output", 0, "tcp sport 2222", PASSES),
        ] {
            nft(Host::Server, &(chain(hook, priority, "accept", &format!("{test} drop")) + &nat))?;
            assert_true(Host::Client, to, said).with_context(|| format!("{hook} {priority}: {test} {hide}"))?;
        }
        // The first packet has another source from there on.
        let said = if hide.is_empty() { PASSES } else { dropped };
        nft(Host::Server, &(chain("postrouting", 110, "accept", "ct status snat ct direction original drop") + &nat))?;
        assert_true(Host::Client, to, said).with_context(|| format!("snat: {hide}"))?;
    }
    Ok(())
}
