//! Kinds of interfaces: those without an Ethernet header, and those that lie on others.

use anyhow::{Context as _, Result};
use tests::harness::{Test, tests};
use tests::lab::{Config, Device, Family, Frames, Host, Late, Probe, Tunnel, bridge, ip, knockctl, moved_addresses};
use tests::story::World;

use super::links::{assert_gated, assert_place, place, program};
use super::{assert_fails, assert_says};

/// The tests.
pub fn tests() -> Vec<Test> {
    tests![
        "e2e::kinds";
        a_tun_device_is_gated_without_ethernet_headers,
        a_tun_device_that_appears_later_is_gated,
        native_mode_on_a_tun_device_names_the_remedy,
        a_tap_device_is_gated_in_its_driver,
        what_the_gate_cannot_read_is_refused_with_the_reason,
        a_bridge_is_gated_on_its_port_or_as_a_whole,
        a_macvlan_is_gated_below_or_by_itself,
        a_gate_does_not_move_below_itself_and_says_what_to_do,
    ]
}

const TUN: Late = Late { name: "tun0", peer: "tun9", number: 3 };

/// A tunnel from the client to the server, up.
fn tunnel(frames: Frames) -> Result<(Tunnel, Device, Device)> {
    let (server, client) = (Device::new(Host::Server, TUN.name, frames)?, Device::new(Host::Client, TUN.peer, frames)?);
    let tunnel = Tunnel::new(&server, &client)?;
    ip(Host::Server, &TUN.up(TUN.name, 1))?;
    ip(Host::Client, &TUN.up(TUN.peer, 2))?;
    Ok((tunnel, server, client))
}

/// The lab's config for other interfaces, with time between a knock and a connection.
fn config(interfaces: &str, mode: &str) -> Config {
    let mode = format!("\"{mode}\"");
    Config::lab().set("interfaces", interfaces).set("cmd_timeout", "\"60s\"").option("mode", &mode)
}

fn write(config: &Config) -> Result<String> {
    Ok(config.write("gate.toml")?.display().to_string())
}

fn a_tun_device_is_gated_without_ethernet_headers() -> Result<()> {
    let mut world = World::new(Family::V4, None)?;
    let _tunnel = tunnel(Frames::Tun)?;
    // Its packets are whole: their checksums are verified.
    let config = config("[\"eth0\", \"tun0\"]", "auto").with("verify_checksums = false", "verify_checksums = true");
    world.start(&config)?;
    assert_place("tun0", "generic", "up")?;
    assert_place("eth0", "native", "up")?;
    assert_ne!(program("tun0")?, program("eth0")?);
    assert_gated(&world, TUN)?;
    // What one way in has opened is open on the other: the state is one.
    world.command(&["allow", "203.0.113.50"])?;
    assert_eq!(TUN.probe(Family::V4)?, Probe::Open);
    world.command(&["revoke", "203.0.113.50"])?;
    assert_eq!(TUN.probe(Family::V4)?, Probe::Silent);
    assert_eq!(world.connect(Host::Client)?.0, Probe::Silent);
    // A reload swaps both programs.
    let before = (program("tun0")?, program("eth0")?);
    world.command(&["reload"])?;
    let after = (program("tun0")?, program("eth0")?);
    assert!(before.0 != after.0 && before.1 != after.1, "{before:?} {after:?}");
    assert_gated(&world, TUN)
}

fn a_tun_device_that_appears_later_is_gated() -> Result<()> {
    let mut world = World::guarded(Family::V4, &config("[\"eth0\", \"tun*\"]", "auto"))?;
    let daemon = world.gate()?;
    let tunnel = tunnel(Frames::Tun)?;
    daemon.wait_after(0, "tun0 (generic): it appeared")?;
    assert_gated(&world, TUN)?;
    drop(tunnel);
    world.gate()?.wait_after(0, "tun0: it is gone")?;
    Ok(())
}

fn native_mode_on_a_tun_device_names_the_remedy() -> Result<()> {
    let world = World::new(Family::V4, None)?;
    let _tun = Device::new(Host::Server, "tun0", Frames::Tun)?;
    let file = write(&config("[\"eth0\", \"tun0\"]", "native"))?;
    assert_fails(&knockctl(Host::Server, &["run", "--config", &file])?, &["tun0", "native", "\"generic\"", "\"auto\""]);
    world.must_open(Host::Client)?;
    Ok(())
}

fn a_tap_device_is_gated_in_its_driver() -> Result<()> {
    let mut world = World::new(Family::V4, None)?;
    let _tunnel = tunnel(Frames::Tap)?;
    world.start(&config("[\"tun0\"]", "native"))?;
    assert_place("tun0", "native", "up")?;
    assert_gated(&world, TUN)
}

fn what_the_gate_cannot_read_is_refused_with_the_reason() -> Result<()> {
    /// `ARPHRD_IPGRE` and `ARPHRD_CAN`.
    const KINDS: [(u16, &str); 2] = [(778, "IPGRE"), (280, "CAN")];
    let mut world = World::new(Family::V4, None)?;
    for (kind, name) in KINDS {
        let device = Device::new(Host::Server, "odd0", Frames::Tun)?;
        device.pass_for(kind)?;
        let named = write(&config("[\"eth0\", \"odd0\"]", "auto"))?;
        let words = ["odd0", "cannot read", name, "leave it out of options.interfaces"];
        assert_fails(&knockctl(Host::Server, &["run", "--config", &named])?, &words);
        assert_says(&knockctl(Host::Server, &["check", "--loads", &named])?, 0, &words);
        // A pattern passes over it.
        world.start(&config("[\"eth0\", \"o*\"]", "auto"))?;
        world.gate()?.wait_after(0, "odd0: no gate there")?;
        let place = place("odd0")?;
        assert!(place["state"] == "open" && place["why"].as_str().is_some_and(|why| why.contains(name)), "{place}");
        assert_eq!(world.connect(Host::Client)?.0, Probe::Silent);
        world.command(&["unload"])?;
    }
    Ok(())
}

/// Both families through the client's own link.
fn assert_client_is_gated(world: &mut World) -> Result<()> {
    for family in Family::ALL {
        world.family = family;
        let server = world.server(1);
        tests::lab::until("the way to the server", tests::lab::TIMEOUT, || {
            let probe = tests::lab::connect(Host::Client, server, tests::lab::PATIENCE);
            matches!(probe, Ok((Probe::Refused, _))).then_some(())
        })?;
        assert_eq!(world.connect(Host::Client)?.0, Probe::Silent, "{family:?}");
        world.knock_open()?;
        world.must_open(Host::Client).with_context(|| format!("{family:?}"))?;
        world.revoke()?;
    }
    Ok(())
}

fn a_bridge_is_gated_on_its_port_or_as_a_whole() -> Result<()> {
    let mut world = World::new(Family::V4, None)?;
    bridge()?;
    // The bridge has no native XDP: the error names the port that has.
    let file = write(&config("[\"br0\"]", "native"))?;
    assert_fails(&knockctl(Host::Server, &["run", "--config", &file])?, &["br0", "name its ports (eth0)", "\"auto\""]);

    world.start(&config("[\"eth0\"]", "native"))?;
    world.gate()?.wait_after(0, "eth0: a port of the bridge br0")?;
    assert_client_is_gated(&mut world)?;
    world.command(&["unload"])?;

    world.start(&config("[\"br0\"]", "auto"))?;
    assert_place("br0", "generic", "up")?;
    assert_client_is_gated(&mut world)
}

fn a_macvlan_is_gated_below_or_by_itself() -> Result<()> {
    let mut world = World::new(Family::V4, None)?;
    ip(Host::Server, "link add mv0 link eth0 type macvlan mode bridge\n")?;
    ip(Host::Server, &moved_addresses("mv0"))?;
    let file = write(&config("[\"mv0\"]", "native"))?;
    assert_fails(&knockctl(Host::Server, &["run", "--config", &file])?, &["mv0", "name eth0, on which it lies"]);

    world.start(&config("[\"eth0\"]", "native"))?;
    assert_client_is_gated(&mut world)?;
    world.command(&["unload"])?;

    world.start(&config("[\"mv0\"]", "auto"))?;
    assert_place("mv0", "generic", "up")?;
    assert_client_is_gated(&mut world)
}

fn a_gate_does_not_move_below_itself_and_says_what_to_do() -> Result<()> {
    let mut world = World::new(Family::V4, None)?;
    ip(Host::Server, "link add mv0 link eth0 type macvlan mode bridge\n")?;
    ip(Host::Server, &moved_addresses("mv0"))?;
    for mode in ["native", "auto"] {
        world.start(&config("[\"mv0\"]", "generic"))?;
        write(&config("[\"eth0\"]", mode))?;
        let words = ["eth0: mv0, which lies on it, has an XDP program", "`knockctl unload`"];
        assert_fails(&knockctl(Host::Server, &["reload"])?, &words);
        assert_place("mv0", "generic", "up")?;
        assert_client_is_gated(&mut world)?;
        // What it says to do.
        world.command(&["unload"])?;
        world.start(&config("[\"eth0\"]", mode))?;
        assert_client_is_gated(&mut world)?;
        world.command(&["unload"])?;
    }
    Ok(())
}
