//! A guest on a bridge: the gate is on the bridge's port, and the host listens on the same port as the guest.

use anyhow::Result;
use tests::harness::{Test, tests};
use tests::lab::{Echo, Family, Guest, Host, Probe, SSH_PORT, Session};
use tests::story::World;

use super::{FREE_PORT, SILENT, assert_datagrams_outlive, assert_outlives_every_judgement, assert_shut, config};

/// The tests.
pub fn tests() -> Vec<Test> {
    tests![
        "e2e::flows::bridge";
        a_session_with_a_guest_outlives_its_grant_where_the_host_listens_too,
        a_session_with_the_host_of_a_bridge_outlives_its_grant,
        datagrams_to_a_guest_outlive_their_grant,
    ]
}

fn a_session_with_a_guest_outlives_its_grant_where_the_host_listens_too() -> Result<()> {
    let mut world = World::new(Family::V4, None)?;
    let guest = Guest::bridged()?;
    let _server = Echo::tcp(Host::Guest, SSH_PORT)?;
    let to = |family| (guest.address(family), SSH_PORT).into();
    // The host answers no frame to the guest's own MAC; what the stranger sends comes to the host's.
    assert_outlives_every_judgement(&mut world, to, |judgement| [Probe::Silent, judgement.denied()[1]])
}

/// The other end of the same port.
fn a_session_with_the_host_of_a_bridge_outlives_its_grant() -> Result<()> {
    let mut world = World::new(Family::V4, None)?;
    let _guest = Guest::bridged()?;
    world.start(&config())?;
    for family in Family::ALL {
        world.family = family;
        world.knock_open()?;
        let mut session = Session::open(family)?;
        world.revoke()?;
        session.echo()?;
        assert_shut(world.server(SSH_PORT), SILENT)?;
        session.echo()?;
    }
    Ok(())
}

fn datagrams_to_a_guest_outlive_their_grant() -> Result<()> {
    let mut world = World::new(Family::V4, None)?;
    let guest = Guest::bridged()?;
    let _server = Echo::udp(Host::Guest, FREE_PORT)?;
    world.start(&config())?;
    for family in Family::ALL {
        world.family = family;
        assert_datagrams_outlive(&world, (guest.address(family), FREE_PORT).into())?;
    }
    Ok(())
}
