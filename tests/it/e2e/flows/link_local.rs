//! IPv6 with link-local addresses, where the gate is on the port of a bridge and the addresses are on the bridge: the
//! stack's sockets are bound to the bridge, and a look-up that asks for the port finds none of them.

use std::net::{Ipv6Addr, SocketAddr, SocketAddrV6};

use anyhow::{Context as _, Result};
use nix::net::if_::if_nametoindex;
use tests::lab::{BRIDGE, Echo, Family, Host, Line, PATIENCE, Probe, TIMEOUT, bridge, connect, ip, send_udp, until};
use tests::story::World;
use tests::trial::{Trial, trials};

use super::{FREE_PORT, JUDGEMENTS, assert_denied, brief, gate, hear_answers, wait_for_end_of_grants};

/// The trials.
pub fn trials() -> Vec<Trial> {
    trials![
        "e2e::flows::link_local";
        a_link_local_session_over_a_bridge_outlives_its_grant,
        link_local_datagrams_over_a_bridge_outlive_their_grant,
    ]
}

/// The server's address and the client's.
const SERVER: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0x51);
const CLIENT: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0x52);

/// A port of the server on the client's link.
fn server(port: u16) -> Result<SocketAddr> {
    let link = Host::Client.enter(|| Ok(if_nametoindex("eth0")?))?;
    Ok(SocketAddrV6::new(SERVER, port, 0, link).into())
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
    for (host, device, address) in [(Host::Server, BRIDGE, SERVER), (Host::Client, "eth0", CLIENT)] {
        ip(host, &format!("link set {device} addrgenmode none\naddr flush dev {device} scope link\n"))?;
        ip(host, &format!("addr add {address}/64 dev {device} nodad\n"))?;
    }
    let to = server(1)?;
    until("the way to the server", TIMEOUT, || {
        (connect(Host::Client, to, PATIENCE).ok()?.0 == Probe::Refused).then_some(())
    })?;
    Ok(world)
}

fn a_link_local_session_over_a_bridge_outlives_its_grant() -> Result<()> {
    let mut world = bridged()?;
    let _server = Echo::tcp(Host::Server, FREE_PORT)?;
    let _ends = hear_answers()?;
    let to = server(FREE_PORT)?;
    assert_eq!(connect(Host::Client, to, PATIENCE)?.0, Probe::Open);
    for judgement in JUDGEMENTS {
        gate(&mut world, &judgement.of(brief()))?;
        assert_denied(Host::Client, to, judgement.denied()[0]).with_context(|| format!("{judgement:?}"))?;
        knock()?;
        let mut line = Line::tcp(Host::Client, to)?;
        line.echo()?;
        wait_for_end_of_grants()?;
        line.echo().with_context(|| format!("{judgement:?}: the line after its grant"))?;
        assert_denied(Host::Client, to, judgement.denied()[0]).with_context(|| format!("{judgement:?}"))?;
        line.echo()?;
    }
    Ok(())
}

fn link_local_datagrams_over_a_bridge_outlive_their_grant() -> Result<()> {
    let mut world = bridged()?;
    let _server = Echo::udp(Host::Server, FREE_PORT)?;
    let to = server(FREE_PORT)?;
    world.start(&brief())?;
    let mut line = Line::udp_from(Host::Client, 0, to)?;
    assert!(!line.asks()?, "without a grant");
    knock()?;
    line.echo().context("within the grant")?;
    wait_for_end_of_grants()?;
    line.echo().context("after the grant")?;
    assert!(!Line::udp_from(Host::Client, 0, to)?.asks()?, "a new flow gets in");
    line.echo()
}
