//! `knockctl explain`: the loaded program is asked, and nothing changes.

use std::net::TcpListener;

use anyhow::{Context as _, Result};
use tests::harness::{Test, tests};
use tests::lab::{Config, Daemon, Echo, Family, Host, Line, SSH_PORT, Status, knockctl};
use tests::story::World;

use super::{assert_fails, assert_says};

/// The tests.
pub fn tests() -> Vec<Test> {
    tests![
        "e2e::explain";
        the_rule_that_decides_is_named,
        what_belongs_to_a_flow_is_told_from_what_begins_one,
        a_question_changes_nothing,
        a_question_that_cannot_be_asked_is_refused,
        who_observes_is_told_what_would_be_denied,
    ]
}

fn config() -> Config {
    Config::lab()
        .with("[\"2222/tcp\"]", "[\"2222/tcp\", \"5000/udp\", \"2300/tcp\"]")
        .option("trusted", "[\"203.0.113.0/24\", \"2001:db8:9::/48\"]")
}

fn the_rule_that_decides_is_named() -> Result<()> {
    let world = World::guarded(Family::V4, &config())?;
    world.command(&["allow", "198.51.100.9", "--for", "10m"])?;
    world.command(&["allow", "2001:db8:2::9"])?;
    let explain = |args: &[&str]| knockctl(Host::Server, &[&["explain"], args].concat());
    for (args, code, words) in [
        (
            &["198.51.100.7", "2222"][..],
            1,
            &["192.0.2.1:2222/tcp (syn) on eth0: is denied", "rule 9", "`knockctl rules 9`", "service: ssh2"][..],
        ),
        (&["2001:db8:2::7", "2222/tcp"], 1, &["2001:db8:1::1", "is denied", "rule 9"]),
        (&["198.51.100.7", "5000/udp"], 1, &["is denied", "rule 11"]),
        (&["198.51.100.9", "2222"], 0, &["passes", "rule 8", "live grant", "grant: 198.51.100.9 by command", "left"]),
        (&["2001:db8:2::9", "5000/udp"], 0, &["passes", "rule 8", "for good"]),
        (&["203.0.113.77", "2222"], 0, &["passes", "rule 8", "trusted"]),
        (&["2001:db8:9::1", "2222"], 0, &["passes", "rule 8", "trusted"]),
        (&["198.51.100.7", "2222", "--flags", "ack"], 1, &["rule 10", "probe"]),
        (&["198.51.100.7", "2300", "--flags", "ack,psh"], 0, &["rule 10", "nothing here waits"]),
        (&["198.51.100.7", "7000"], 0, &["rule 6", "a knock"]),
        (&["198.51.100.7", "80"], 0, &["rule 14", "none of the gate's business"]),
        (&["198.51.100.7", "2222", "--to", "198.51.100.1", "-i", "eth1"], 1, &["198.51.100.1:2222/tcp (syn) on eth1"]),
    ] {
        assert_says(&explain(args)?, code, words);
    }
    // What it names can be read on the spot, by anybody.
    assert_says(&knockctl(Host::Client, &["rules", "9"])?, 0, &["### 9. ", "SYN"]);
    assert_fails(&knockctl(Host::Client, &["rules", "99"])?, &["1 to "]);
    let json: serde_json::Value = serde_json::from_str(&explain(&["198.51.100.7", "2222", "--json"])?.stdout)?;
    assert_eq!((&json["verdict"], &json["rule"], &json["service"]), (&"drop".into(), &"9".into(), &"ssh2".into()));
    Ok(())
}

/// Their grant has ended.
fn what_belongs_to_a_flow_is_told_from_what_begins_one() -> Result<()> {
    const DATAGRAMS: u16 = 5000;
    const SEGMENTS: u16 = 2300;
    let mut world = World::guarded(Family::V4, &config())?;
    let _servers = [Echo::udp(Host::Server, DATAGRAMS)?, Echo::tcp(Host::Server, SEGMENTS)?];
    for family in Family::ALL {
        world.family = family;
        let client = world.address(Host::Client).to_string();
        world.knock_open()?;
        let mut lines = [
            Line::udp_from(Host::Client, 41_000, world.server(DATAGRAMS))?,
            Line::tcp_from(Host::Client, 41_001, world.server(SEGMENTS))?,
        ];
        lines.iter_mut().try_for_each(Line::echo)?;
        world.revoke()?;
        for (args, code, words) in [
            (&["5000/udp", "--from-port", "41000"][..], 0, &["passes", "rule 19", "let in before"][..]),
            (&["5000/udp", "--from-port", "41002"], 1, &["is denied", "rule 11"]),
            (&["2300", "--from-port", "41001", "--flags", "ack"], 0, &["passes", "rule 19"]),
            (&["2300", "--from-port", "41001"], 1, &["is denied", "rule 9"]),
        ] {
            assert_says(&knockctl(Host::Server, &[&["explain", &client], args].concat())?, code, words);
        }
        lines.iter_mut().try_for_each(Line::echo)?;
    }
    Ok(())
}

fn a_question_changes_nothing() -> Result<()> {
    let mut world = World::guarded(Family::V4, &config())?;
    let _listener = Host::Server.enter(|| Ok(TcpListener::bind(world.server(7777))?))?;
    let mark = world.gate()?.mark();
    let client = world.address(Host::Client).to_string();
    world.knock(&["7000/tcp"], std::time::Duration::ZERO)?;
    let before = Status::read()?;
    assert_eq!(before.0["attempts"][0]["stage"], 1, "{}", before.0);
    for port in ["2222", "5000/udp", "7000", "8000/udp", "9000", "31337", "31337/udp"] {
        knockctl(Host::Server, &["explain", &client, port])?;
    }
    let after = Status::read()?;
    assert_eq!(before.0["counters"], after.0["counters"]);
    assert_eq!(after.0["attempts"][0]["stage"], 1, "{}", after.0);
    assert_eq!(after.grants().len(), 0);
    let lines = world.gate()?.after(mark);
    assert!(!lines.iter().any(|line| line.contains("did not knock")), "{lines:?}");
    Ok(())
}

fn a_question_that_cannot_be_asked_is_refused() -> Result<()> {
    let _world = World::guarded(Family::V4, &config())?;
    for (args, words) in [
        (&["explain", "host.example", "2222"][..], &["host.example", "192.0.2.7"][..]),
        (&["explain", "192.0.2.7", "99999"], &["99999"]),
        (&["explain", "192.0.2.7", "2222", "-i", "eth7"], &["eth7", "eth0, eth1"]),
        (&["explain", "192.0.2.7", "2222", "--to", "2001:db8::1"], &["two families", "--to"]),
        (&["explain", "fe80::1%eth0", "2222", "-i", "eth1"], &["fe80::1%eth0 is on eth0", "--interface names eth1"]),
        (&["explain", "fe80::1%999", "2222"], &["fe80::1%999", "no interface is called 999", "ip link"]),
        (&["allow", "fe80::1%lo"], &["fe80::1%lo: the gate does not stand on lo", "eth0, eth1"]),
        (&["allow", "fe80::1%999"], &["fe80::1%999", "no interface is called 999", "ip link"]),
        (&["revoke", "fe80::1%eth9"], &["fe80::1%eth9", "no interface is called eth9", "ip link"]),
        (&["unlock", "192.0.2.7%eth0"], &["192.0.2.7%eth0", "leave out the %"]),
    ] {
        assert_fails(&knockctl(Host::Server, args)?, words);
    }
    // An option is refused before anything is asked.
    let to = ["explain", "fe80::1%eth0", "2222", "--to", "fe80::2%eth0"];
    assert_says(&knockctl(Host::Server, &to)?, 2, &["--to", "write fe80::2, and --interface eth0"]);
    Ok(())
}

fn who_observes_is_told_what_would_be_denied() -> Result<()> {
    let mut world = World::new(Family::V4, None)?;
    world.daemon = Some(Daemon::start_with(&config(), &["--observe"])?);
    let mark = world.gate()?.mark();
    for family in Family::ALL {
        world.family = family;
        world.must_open(Host::Stranger).context(family.name())?;
    }
    world.gate()?.wait_after(mark, "would deny: 198.51.100.2 -> :2222/tcp")?;
    let status = Status::read()?;
    assert_eq!(status.0["observing"], true);
    assert!(status.counter("deny_new") >= 2, "{}", status.0);
    let text = knockctl(Host::Server, &["status"])?;
    assert_says(&text, 0, &["OBSERVING"]);
    let port = SSH_PORT.to_string();
    assert_says(&knockctl(Host::Server, &["explain", "198.51.100.2", &port])?, 1, &["only observes", "rule 9"]);
    // A daemon that does not observe denies again, on the spot.
    world.gate()?.kill()?;
    world.start(&config())?;
    assert_eq!(world.connect(Host::Stranger)?.0, tests::lab::Probe::Silent);
    Ok(())
}
