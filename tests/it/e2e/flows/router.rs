//! A session through a router with a gate, on a port on which the router itself listens too.

use anyhow::{Context as _, Result};
use tests::harness::{Test, tests};
use tests::lab::{Echo, Family, Guest, Host, Line, SSH_PORT};
use tests::story::World;

use super::{
    FREE_PORT, Judgement, assert_datagrams_outlive_every_judgement, assert_no_other, assert_outlives_every_judgement,
    config, gate,
};

/// The tests.
pub fn tests() -> Vec<Test> {
    tests![
        "e2e::flows::router";
        a_session_through_a_router_outlives_its_grant_where_the_router_listens_too,
        datagrams_through_a_router_outlive_their_grant_the_daemon_and_a_reload,
    ]
}

fn a_session_through_a_router_outlives_its_grant_where_the_router_listens_too() -> Result<()> {
    let mut world = World::new(Family::V4, None)?;
    let guest = Guest::routed()?;
    let _server = Echo::tcp(Host::Guest, SSH_PORT)?;
    assert_outlives_every_judgement(&mut world, |family| (guest.address(family), SSH_PORT).into(), Judgement::denied)
}

/// Nothing here tracks connections: what the gate knows of a flow is its own, and pinned.
fn datagrams_through_a_router_outlive_their_grant_the_daemon_and_a_reload() -> Result<()> {
    let mut world = World::new(Family::V4, None)?;
    let guest = Guest::routed()?;
    let _server = Echo::udp(Host::Guest, FREE_PORT)?;
    let to = |family| (guest.address(family), FREE_PORT).into();
    let mut lines = assert_datagrams_outlive_every_judgement(&mut world, to)?;
    world.gate()?.kill()?;
    let go_on = |lines: &mut [Line], when: &str| lines.iter_mut().try_for_each(Line::echo).context(when.to_owned());
    go_on(&mut lines, "without a daemon")?;
    world.start(&config())?;
    go_on(&mut lines, "with another daemon")?;
    // Another program takes the place of the first.
    gate(&mut world, &config().option("max_grants", "100"))?;
    go_on(&mut lines, "after a reload")?;
    for family in Family::ALL {
        assert_no_other((guest.address(family), FREE_PORT).into())?;
    }
    Ok(())
}
