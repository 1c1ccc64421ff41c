//! A guest on a bridge: the gate is on the bridge's port, and the host listens on the same port as the guest.

use anyhow::Result;
use tests::harness::{Test, tests};
use tests::lab::{Echo, Family, Guest, Host, SSH_PORT, Session};
use tests::story::World;

use super::{
    FREE_PORT, assert_datagrams_outlive_every_judgement, assert_outlives_every_judgement, assert_shut, config,
    denied_at_a_guest, in_every_way,
};

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
    assert_outlives_every_judgement(&mut world, to, denied_at_a_guest)
}

/// The other end of the same port.
fn a_session_with_the_host_of_a_bridge_outlives_its_grant() -> Result<()> {
    let mut world = World::new(Family::V4, None)?;
    let _guest = Guest::bridged()?;
    in_every_way(&mut world, &config(), |world, judgement| {
        world.knock_open()?;
        let mut session = Session::open(world.family)?;
        world.revoke()?;
        session.echo()?;
        assert_shut(world.server(SSH_PORT), judgement.denied())?;
        session.echo().map(drop)
    })
}

fn datagrams_to_a_guest_outlive_their_grant() -> Result<()> {
    let mut world = World::new(Family::V4, None)?;
    let guest = Guest::bridged()?;
    let _server = Echo::udp(Host::Guest, FREE_PORT)?;
    let to = |family| (guest.address(family), FREE_PORT).into();
    assert_datagrams_outlive_every_judgement(&mut world, to).map(drop)
}
