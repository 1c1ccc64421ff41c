//! A bond with the gate on it, in the drivers of its ports, or with the gate on each of these.

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use tests::harness::{Test, tests};
use tests::kernel::Bare;
use tests::lab::devices::{
    BOND, LINK_LOCAL_CLIENT, WIRES, bond, enslaved, link_local_server, release, second_wire, wait_for_server,
};
use tests::lab::{Family, Host, Line, PATIENCE, Probe, TIMEOUT, connect, ip, must_open, until};

use super::super::answers;
use super::super::flows::{assert_denied, wait_for_end_of_grants};
use super::{ANSWERS, DROP, FREE_PORT, Ground, REJECT, SILENCE, config, knock};

/// The tests.
pub fn tests() -> Vec<Test> {
    tests![
        "e2e::devices::bond";
        connections_go_on_by_another_port_of_a_bond_with_the_gate,
        connections_go_on_by_another_of_the_ports_that_have_the_gate,
        a_link_local_knock_adds_up_over_a_bond_that_spreads,
        a_link_local_source_is_named_by_the_bond_and_by_its_ports,
        a_port_that_joins_the_bond_later_has_the_gate,
        a_port_that_leaves_the_bond_is_a_link_of_its_own,
        a_port_that_finds_no_room_among_those_told_of_is_named,
    ]
}

/// Two wires, of which one is used at a time.
fn active_backup() -> Result<Ground> {
    Ground::over(BOND, WIRES.len(), || {
        second_wire()?;
        bond("mode active-backup", &WIRES)
    })
}

/// How many packets a port of the server's bond has received.
fn received(wire: &str) -> Result<u64> {
    let json = Host::Server.must(&["ip", "-j", "-s", "link", "show", "dev", wire])?;
    serde_json::from_str::<Value>(&json)?[0]["stats64"]["rx"]["packets"].as_u64().context("no number")
}

/// Waits until the server's bond uses this wire, and is reached by it.
fn wait_for_wire(wire: &str) -> Result<()> {
    until(wire, TIMEOUT, || (bonding().ok()?["active_slave"] == wire).then_some(()))?;
    wait_for_server(BOND)
}

/// By this port and back by the first, whatever the address, and in without a grant comes nobody.
fn assert_survives_a_failover(interfaces: &[&str]) -> Result<()> {
    let mut ground = active_backup()?;
    ground.world.start(&DROP.of(config(interfaces, "native")))?;
    let mut lines = Vec::new();
    for (door, service) in [
        (ground.ways()[0].door, (Family::V4.address(Host::Server), FREE_PORT).into()),
        (ground.link(0)?, ground.link(FREE_PORT)?),
    ] {
        knock(door)?;
        for mut line in [Line::tcp(Host::Client, service)?, Line::udp_from(Host::Client, 0, service)?] {
            line.echo()?;
            lines.push((line, service));
        }
    }
    wait_for_end_of_grants()?;
    let before = received(WIRES[1])?;
    ip(Host::Server, &format!("link set {} down\n", WIRES[0]))?;
    wait_for_wire(WIRES[1])?;
    for (line, service) in &mut lines {
        line.echo().with_context(|| format!("the line to {service} by the other port"))?;
    }
    ensure!(received(WIRES[1])? > before, "nothing came by the other port");
    let link = ground.link(FREE_PORT)?;
    assert_denied(Host::Client, link, DROP.denied()[0])?;
    // A grant that was opened by this port lets in by the other.
    ground.world.command(&["allow", &format!("{LINK_LOCAL_CLIENT}%{BOND}")])?;
    ip(Host::Server, &format!("link set {} up\n", WIRES[0]))?;
    wait_for_wire(WIRES[0])?;
    assert_eq!(connect(Host::Client, link, TIMEOUT)?.0, Probe::Open, "by the first port again");
    lines.iter_mut().try_for_each(|(line, _)| line.echo()).context("by the first port again")
}

fn connections_go_on_by_another_port_of_a_bond_with_the_gate() -> Result<()> {
    assert_survives_a_failover(&[BOND])
}

fn connections_go_on_by_another_of_the_ports_that_have_the_gate() -> Result<()> {
    assert_survives_a_failover(&WIRES)
}

/// Each of its packets may come by another port.
fn a_link_local_knock_adds_up_over_a_bond_that_spreads() -> Result<()> {
    const KNOCKS: usize = 8;
    let mut ground = Ground::over(BOND, WIRES.len(), || {
        second_wire()?;
        bond("mode balance-xor xmit_hash_policy layer3+4", &WIRES)
    })?;
    for interfaces in [&[BOND][..], &WIRES] {
        ground.world.start(&DROP.of(config(interfaces, "native").set("cmd_timeout", "\"60s\"")))?;
        let before = [received(WIRES[0])?, received(WIRES[1])?];
        let to = ground.link(FREE_PORT)?;
        for round in 0..KNOCKS {
            assert_denied(Host::Client, to, DROP.denied()[0])?;
            knock(ground.link(0)?)?;
            let found = connect(Host::Client, to, TIMEOUT)?.0;
            assert_eq!(found, Probe::Open, "{interfaces:?}: knock {round}");
            ground.world.command(&["revoke", "--all"])?;
        }
        for (wire, before) in WIRES.iter().zip(before) {
            ensure!(received(wire)? > before + KNOCKS as u64, "{interfaces:?}: {wire} has carried nothing");
        }
        ground.world.command(&["unload"])?;
        ground.world.daemon = None;
    }
    Ok(())
}

fn a_link_local_source_is_named_by_the_bond_and_by_its_ports() -> Result<()> {
    let mut ground = active_backup()?;
    let to = ground.link(FREE_PORT)?;
    for interfaces in [&[BOND][..], &WIRES] {
        ground.world.start(&DROP.of(config(interfaces, "native")))?;
        for named in [BOND, WIRES[0], WIRES[1]] {
            let source = format!("{LINK_LOCAL_CLIENT}%{named}");
            let known = format!("{LINK_LOCAL_CLIENT}%{BOND}");
            assert_denied(Host::Client, to, DROP.denied()[0])?;
            let said = ground.world.command(&["allow", &source])?;
            ensure!(said.contains(&format!("{known}: ")), "{interfaces:?}: allow {source}: {said}");
            must_open(Host::Client, to)?;
            let said = ground.world.command(&["explain", &source, &format!("{FREE_PORT}/tcp")])?;
            ensure!(said.contains("rule 8: ") && said.contains(&known), "{interfaces:?}: explain {source}: {said}");
            ensure!(ground.world.command(&["status"])?.contains(&known), "{interfaces:?}: status");
            let said = ground.world.command(&["revoke", &source])?;
            ensure!(said.contains(&format!("{known}: ")), "{interfaces:?}: revoke {source}: {said}");
        }
        ground.world.command(&["unload"])?;
        ground.world.daemon = None;
    }
    Ok(())
}

/// What the kernel says of the server's bond.
fn bonding() -> Result<Value> {
    let json = Host::Server.must(&["ip", "-j", "-d", "link", "show", "dev", BOND])?;
    Ok(serde_json::from_str::<Value>(&json)?[0]["linkinfo"]["info_data"].take())
}

/// The bond hands its program on to whoever joins, and what is denied there is answered.
fn a_port_that_joins_the_bond_later_has_the_gate() -> Result<()> {
    let mut ground = Ground::over(BOND, 1, || bond("mode active-backup", &WIRES[..1]))?;
    let config = config(&[BOND], "native");
    ground.world.start(&REJECT.of(config.clone()))?;
    second_wire()?;
    for host in [Host::Server, Host::Client] {
        ip(host, &enslaved(WIRES[1]))?;
    }
    let _end = Host::Client.enter(|| Bare::load()?.attach(WIRES[1]))?;
    ip(Host::Server, &format!("link set {} down\n", WIRES[0]))?;
    until("the other port", TIMEOUT, || (bonding().ok()?["active_slave"] == WIRES[1]).then_some(()))?;
    wait_for_server(BOND)?;
    // Before a reload looks at all ports.
    assert_denied(Host::Client, ground.ways()[0].service, Probe::Refused)?;
    ground.assert_guards(&config, &ANSWERS)?;
    ground.assert_guards(&config, &SILENCE)
}

/// Whoever has the address of a client there is not that client.
fn a_port_that_leaves_the_bond_is_a_link_of_its_own() -> Result<()> {
    let mut ground = active_backup()?;
    ground.world.start(&DROP.of(config(&WIRES, "native")))?;
    let joined = ground.link(FREE_PORT)?;
    let [on_bond, on_wire] = [BOND, WIRES[1]].map(|device| format!("{LINK_LOCAL_CLIENT}%{device}"));
    ground.world.command(&["allow", &on_bond])?;
    let mut line = Line::tcp(Host::Client, joined)?;
    line.echo()?;
    release(WIRES[1])?;
    let alone = link_local_server(WIRES[1], FREE_PORT)?;
    until("word of it", TIMEOUT, || (connect(Host::Client, alone, PATIENCE).ok()?.0 == Probe::Silent).then_some(()))?;
    assert_denied(Host::Client, alone, DROP.denied()[0])?;
    must_open(Host::Client, joined)?;
    line.echo().context("the line over the bond")?;
    // By its own name, and apart from the bond.
    let said = ground.world.command(&["allow", &on_wire])?;
    ensure!(said.contains(&format!("{on_wire}: ")), "{said}");
    must_open(Host::Client, alone)?;
    ground.world.command(&["revoke", &on_bond])?;
    must_open(Host::Client, alone)?;
    assert_denied(Host::Client, joined, DROP.denied()[0])?;
    line.echo().context("the line over the bond, whose grant is gone")
}

/// Also one that the config does not mean: it has the gate by its bond.
fn a_port_that_finds_no_room_among_those_told_of_is_named() -> Result<()> {
    let mut ground = Ground::over(BOND, 1, || bond("mode active-backup", &WIRES[..1]))?;
    ground.world.start(&DROP.of(config(&[BOND], "native")))?;
    let _table = answers::fill(BOND, 0)?;
    second_wire()?;
    let daemon = ground.world.gate()?;
    let mark = daemon.mark();
    for host in [Host::Server, Host::Client] {
        ip(host, &enslaved(WIRES[1]))?;
    }
    let text = "must knock there once more, as knocks on the bond do not count there: the gate stands on more than";
    daemon.wait_after(mark, &format!("{}: clients with link-local addresses (fe80::) {text}", WIRES[1]))?;
    Ok(())
}
