//! IPv6 with link-local addresses, where the gate is on the port of a bridge and the addresses are on the bridge: the
//! stack's sockets are bound to the bridge, and a look-up that asks for the port finds none of them.

use std::net::{Ipv6Addr, SocketAddr, SocketAddrV6};

use anyhow::{Context as _, Result};
use nix::net::if_::if_nametoindex;
use tests::harness::{Test, tests};
use tests::lab::{
    BRIDGE, Echo, Family, Host, Line, PATIENCE, Probe, TIMEOUT, bridge, connect, ip, must_open, send_udp, until,
};
use tests::story::World;

use super::{FREE_PORT, assert_denied, brief, config, under_every_judgement, wait_for_end_of_grants};

/// The tests.
pub fn tests() -> Vec<Test> {
    tests![
        "e2e::flows::link_local";
        a_link_local_session_over_a_bridge_outlives_its_grant,
        a_link_local_session_over_a_bridge_goes_on_when_the_gate_comes,
        link_local_datagrams_over_a_bridge_outlive_their_grant,
        a_cut_of_a_link_local_address_ends_what_is_on_its_interface_alone,
        the_answer_to_a_question_under_way_passes_over_a_bridge,
    ]
}

/// The server's address and the client's.
const SERVER: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0x51);
const CLIENT: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0x52);

/// A port of the server on the client's link.
fn server(port: u16) -> Result<SocketAddr> {
    at(SERVER, port, Host::Client, "eth0")
}

/// A port of an address on the link of a host's device.
fn at(address: Ipv6Addr, port: u16, host: Host, device: &str) -> Result<SocketAddr> {
    let link = host.enter(|| Ok(if_nametoindex(device)?))?;
    Ok(SocketAddrV6::new(address, port, 0, link).into())
}

/// The knock of the lab's door; closed ports refuse.
fn knock() -> Result<()> {
    connect(Host::Client, server(7000)?, PATIENCE)?;
    send_udp(Host::Client, server(8000)?, b"knock")?;
    connect(Host::Client, server(9000)?, PATIENCE)?;
    Ok(())
}

/// A world whose server has its address on a bridge over `eth0`.
fn bridged() -> Result<World> {
    let world = World::new(Family::V6, None)?;
    bridge()?;
    // The client has no other link-local address to speak from.
    let ends = [(Host::Server, BRIDGE, SERVER), (Host::Client, "eth0", CLIENT)];
    ends.into_iter().try_for_each(|(host, device, address)| has(host, device, address))?;
    wait_for_way(Host::Client, server(1)?)?;
    Ok(world)
}

/// Gives a device this link-local address, and no other.
fn has(host: Host, device: &str, address: Ipv6Addr) -> Result<()> {
    ip(host, &format!("link set {device} addrgenmode none\naddr flush dev {device} scope link\n"))?;
    ip(host, &format!("addr add {address}/64 dev {device} nodad\n"))
}

/// Waits until a port on which nothing listens refuses.
fn wait_for_way(host: Host, to: SocketAddr) -> Result<()> {
    let refused = || (connect(host, to, PATIENCE).ok()?.0 == Probe::Refused).then_some(());
    until("the way to the server", TIMEOUT, refused)
}

fn a_link_local_session_over_a_bridge_outlives_its_grant() -> Result<()> {
    let mut world = bridged()?;
    let _server = Echo::tcp(Host::Server, FREE_PORT)?;
    let to = server(FREE_PORT)?;
    must_open(Host::Client, to)?;
    under_every_judgement(&mut world, &brief(), |_, judgement| {
        assert_denied(Host::Client, to, judgement.denied()[0])?;
        knock()?;
        let mut line = Line::tcp(Host::Client, to)?;
        line.echo()?;
        wait_for_end_of_grants()?;
        line.echo().context("the line after its grant")?;
        assert_denied(Host::Client, to, judgement.denied()[0])?;
        line.echo()
    })
}

/// Nobody has a grant: its socket is found, though it is bound to the bridge.
fn a_link_local_session_over_a_bridge_goes_on_when_the_gate_comes() -> Result<()> {
    let mut world = bridged()?;
    let _server = Echo::tcp(Host::Server, FREE_PORT)?;
    let to = server(FREE_PORT)?;
    must_open(Host::Client, to)?;
    let mut line = Line::tcp(Host::Client, to)?;
    line.echo()?;
    under_every_judgement(&mut world, &config(), |_, judgement| {
        line.echo().context("a line from before the gate")?;
        assert_denied(Host::Client, to, judgement.denied()[0])?;
        line.echo().context("the line beside what was denied")
    })
}

fn link_local_datagrams_over_a_bridge_outlive_their_grant() -> Result<()> {
    let mut world = bridged()?;
    let _server = Echo::udp(Host::Server, FREE_PORT)?;
    let to = server(FREE_PORT)?;
    under_every_judgement(&mut world, &config(), |world, _| {
        let mut line = Line::udp_from(Host::Client, 0, to)?;
        assert!(!line.asks()?, "without a grant");
        knock()?;
        line.echo().context("within the grant")?;
        world.command(&["revoke", "--all"])?;
        line.echo().context("after the grant")?;
        assert!(!Line::udp_from(Host::Client, 0, to)?.asks()?, "a new flow gets in");
        line.echo()
    })
}

/// The client behind the bridge's port and the stranger on another interface have the same address.
fn a_cut_of_a_link_local_address_ends_what_is_on_its_interface_alone() -> Result<()> {
    let mut world = bridged()?;
    has(Host::Server, "eth1", SERVER)?;
    has(Host::Stranger, "eth0", CLIENT)?;
    wait_for_way(Host::Stranger, at(SERVER, 1, Host::Stranger, "eth0")?)?;
    let (_tcp, _udp) = (Echo::tcp(Host::Server, FREE_PORT)?, Echo::udp(Host::Server, FREE_PORT)?);
    // Sockets that no flow tells of: they stood before the gate.
    let lines = |host: Host| {
        let to = at(SERVER, FREE_PORT, host, "eth0")?;
        let mut lines = [Line::tcp(host, to)?, Line::udp_from(host, 0, to)?];
        lines.iter_mut().try_for_each(Line::echo)?;
        anyhow::Ok(lines)
    };
    let ([mut before, _], [mut other, _]) = (lines(Host::Client)?, lines(Host::Stranger)?);
    world.start(&config())?;
    before.echo().context("a session from before the gate, without a grant")?;
    let sources = ["eth0", "eth1"].map(|interface| format!("{CLIENT}%{interface}"));
    for source in &sources {
        world.command(&["allow", source])?;
    }
    let ([tcp, mut udp], [mut other_tcp, mut other_udp]) = (lines(Host::Client)?, lines(Host::Stranger)?);
    before.echo()?;
    let said = world.command(&["revoke", &sources[0], "--cut"])?;
    assert!(said.contains(": 3 connections cut\n"), "{said}");
    before.wait_for_reset().context("a session from before the gate")?;
    tcp.wait_for_reset()?;
    assert!(!udp.asks()?, "datagrams that were cut go on");
    for (line, what) in
        [(&mut other, "a session from before the gate"), (&mut other_tcp, "a session"), (&mut other_udp, "datagrams")]
    {
        line.echo().with_context(|| format!("{what} of the same address on another interface"))?;
    }
    let said = world.command(&["revoke", &sources[1], "--cut"])?;
    assert!(said.contains(": 3 connections cut\n"), "{said}");
    Ok(())
}

/// A socket that is connected before the gate comes is bound to the bridge, and its answers come over the port.
fn the_answer_to_a_question_under_way_passes_over_a_bridge() -> Result<()> {
    const ASKED: u16 = 5300;
    let mut world = bridged()?;
    let _answers = Echo::udp(Host::Client, ASKED)?;
    let client = at(CLIENT, ASKED, Host::Server, BRIDGE)?;
    let mut asking = Line::udp_from(Host::Server, FREE_PORT, client)?;
    world.start(&config().with("\"5000/udp\"", "\"5000-5001/udp\""))?;
    asking.echo().context("the answer")?;
    // Nobody else is heard there: the stack would say that the port is closed to them.
    let mut other = Line::udp_from(Host::Client, ASKED + 1, server(FREE_PORT)?)?;
    assert!(!other.asks()? && !other.asks()?, "a question from another port gets in");
    // The look-up of one that is connected later asks for the port, and finds none.
    let mut later = Line::udp_from(Host::Server, FREE_PORT + 1, client)?;
    assert!(!later.asks()?, "SECURITY.md says that such an answer is denied");
    asking.echo()
}
