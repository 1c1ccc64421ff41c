//! A table of flows that is flooded.

use std::net::{IpAddr, Ipv4Addr};

use anyhow::{Context as _, Result};
use tests::lab::{Family, Host, SSH_PORT, Session, Volley, ssh};
use tests::packet::{PacketBuilder, SYN};
use tests::story::World;
use tests::trial::{Trial, trials};

use super::{SILENT, assert_shut, config};

/// The trials.
pub fn trials() -> Vec<Trial> {
    trials!["e2e::flows::flood"; forged_syns_of_who_has_a_grant_end_no_session_of_the_host]
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
