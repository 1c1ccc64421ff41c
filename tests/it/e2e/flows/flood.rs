//! A table of flows that is flooded, or becomes too small.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};
use std::thread::available_parallelism;

use anyhow::{Context as _, Result};
use knock_user::kernel::{State, boot_now};
use knock_user::paths::Paths;
use tests::harness::{Test, tests};
use tests::lab::{Family, Host, SSH_PORT, Session, TIMEOUT, Volley, ssh, until};
use tests::packet::{PacketBuilder, SYN};
use tests::story::World;

use super::{FREE_PORT, SILENT, assert_shut, config};

/// The tests.
pub fn tests() -> Vec<Test> {
    tests![
        "e2e::flows::flood";
        forged_syns_of_who_has_a_grant_end_no_session_of_the_host,
        a_smaller_table_keeps_the_flows_that_were_seen_last,
    ]
}

/// Ports of each source that says it begins a connection: 200,000 flows from four sources.
const PORTS: std::ops::Range<u16> = 10_000..60_000;
/// The last octets of the sources: the client itself, and three that are not there.
const SOURCES: [u8; 4] = [2, 50, 51, 52];
/// Another client's address.
const OTHER: &str = "192.0.2.9";

fn forged_syns_of_who_has_a_grant_end_no_session_of_the_host() -> Result<()> {
    let world = World::guarded(Family::V4, &config().option("max_flows", "1024"))?;
    let source = |octet: u8| IpAddr::from(Ipv4Addr::new(192, 0, 2, octet));
    Host::Client.must(&["ip", "addr", "add", &format!("{OTHER}/24"), "dev", "eth0"])?;
    for who in SOURCES.map(|octet| source(octet).to_string()).iter().map(String::as_str).chain([OTHER]) {
        world.command(&["allow", who])?;
    }
    let mut own = Session::open(Family::V4)?;
    let mut command = ssh(&[&format!("BindAddress={OTHER}")]);
    command.args([&format!("root@{}", world.address(Host::Server)), "cat"]);
    let mut other = Session::with(command)?;
    world.command(&["revoke", OTHER])?;
    let to = world.address(Host::Server);
    let syns = SOURCES.into_iter().flat_map(|octet| {
        PORTS.map(move |port| PacketBuilder::between(source(octet), to).tcp(port, SSH_PORT, SYN).build())
    });
    let volley = Volley::of(Host::Client, syns)?;
    Host::Client.enter(|| volley.send_here())?;
    for octet in SOURCES {
        world.command(&["revoke", &source(octet).to_string()])?;
    }
    own.echo().context("a session of who flooded")?;
    other.echo().context("a session of another client")?;
    assert_shut(world.server(SSH_PORT), SILENT)?;
    own.echo()?;
    other.echo().map(drop)
}

/// When each flow of the table was last seen, by its source port.
fn seen() -> Result<BTreeMap<u16, u64>> {
    let flows = State::open(&Paths::default())?.flows()?;
    Ok(flows.iter().map(|flow| (flow.key.sport, flow.state.seen())).collect())
}

fn a_smaller_table_keeps_the_flows_that_were_seen_last() -> Result<()> {
    const MANY: std::ops::Range<u16> = 10_000..13_000;
    /// The first of them, and those that go on.
    const GO_ON: std::ops::Range<u16> = 10_000..10_500;
    const ROOM: usize = 1024;
    /// So many elements a CPU may keep to itself (`LOCAL_FREE_TARGET` of kernel/bpf/bpf_lru_list.c).
    const OF_A_CPU: usize = 128;
    let world = World::guarded(Family::V4, &config())?;
    let [client, server] = [Host::Client, Host::Server].map(|host| world.address(host));
    world.command(&["allow", &client.to_string()])?;
    let say = |ports: std::ops::Range<u16>| {
        let frames = ports.map(|port| PacketBuilder::between(client, server).udp(port, FREE_PORT).build());
        let volley = Volley::of(Host::Client, frames)?;
        Host::Client.enter(|| volley.send_here())
    };
    until("all flows", TIMEOUT, || {
        say(MANY).ok()?;
        let seen = seen().ok()?;
        { MANY }.all(|port| seen.contains_key(&port)).then_some(())
    })?;
    let mark = boot_now();
    until("those that go on", TIMEOUT, || {
        say(GO_ON).ok()?;
        let seen = seen().ok()?;
        { GO_ON }.all(|port| seen.get(&port).is_some_and(|at| *at > mark)).then_some(())
    })?;
    let mut before: Vec<_> = seen()?.into_iter().map(|(port, at)| (at, port)).collect();
    before.sort_unstable();
    let last: BTreeSet<_> = before[before.len() - ROOM..].iter().map(|(_, port)| *port).collect();
    config().option("max_flows", &ROOM.to_string()).write("gate.toml")?;
    world.command(&["reload"])?;
    let left: BTreeSet<_> = seen()?.into_keys().collect();
    let others: Vec<_> = left.difference(&last).collect();
    assert!(others.is_empty(), "seen long ago, and still there: {others:?}");
    assert!({ GO_ON }.all(|port| left.contains(&port)), "a flow that goes on is lost: {left:?}");
    let least = ROOM - OF_A_CPU * available_parallelism()?.get();
    assert!(left.len() >= least, "{} of {ROOM} are left", left.len());
    Ok(())
}
