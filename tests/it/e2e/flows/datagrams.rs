//! Datagrams to a service of the host, without `keepalive`.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use tests::harness::{Test, waiting_tests};
use tests::lab::{Echo, Family, Host, Line, Pause, pause};
use tests::story::World;

use super::{FREE_PORT, assert_datagrams_outlive_every_judgement, assert_no_other, brief, wait_for_end_of_grants};

/// The tests.
pub fn tests() -> Vec<Test> {
    waiting_tests![
        "e2e::flows::datagrams";
        datagrams_outlive_their_grant,
        datagrams_outlive_a_revoke_whatever_is_denied,
        a_flow_lives_while_it_is_used_and_ends_when_it_is_idle,
    ]
}

/// A line that has spoken within a grant, which has ended.
fn spoken(world: &World) -> Result<Line> {
    let mut line = Line::udp_from(Host::Client, 0, world.server(FREE_PORT))?;
    assert!(!line.asks()?, "without a grant");
    world.knock_and(|| line.echo().context("within the grant"))?;
    wait_for_end_of_grants()?;
    Ok(line)
}

fn datagrams_outlive_their_grant() -> Result<()> {
    let mut world = World::guarded(Family::V4, &brief())?;
    let _server = Echo::udp(Host::Server, FREE_PORT)?;
    for family in Family::ALL {
        world.family = family;
        let mut line = spoken(&world)?;
        line.echo().context("after the grant")?;
        assert_no_other(world.server(FREE_PORT))?;
        line.echo()?;
    }
    Ok(())
}

fn datagrams_outlive_a_revoke_whatever_is_denied() -> Result<()> {
    let mut world = World::new(Family::V4, None)?;
    let _server = Echo::udp(Host::Server, FREE_PORT)?;
    let to = |family: Family| (family.address(Host::Server), FREE_PORT).into();
    assert_datagrams_outlive_every_judgement(&mut world, to).map(drop)
}

fn a_flow_lives_while_it_is_used_and_ends_when_it_is_idle() -> Result<()> {
    /// `flow_idle`.
    const IDLE: Duration = Duration::from_secs(3);
    let mut world = World::guarded(Family::V4, &brief().option("flow_idle", "\"3s\""))?;
    let _server = Echo::udp(Host::Server, FREE_PORT)?;
    for family in Family::ALL {
        world.family = family;
        let line = Line::udp_from(Host::Client, 0, world.server(FREE_PORT))?;
        // The grant is over sooner than the flow is used.
        let (_, mut line) = world.knock_and(|| {
            let mut line = line;
            line.echo().map(|()| line)
        })?;
        let start = Instant::now();
        while start.elapsed() < 2 * IDLE {
            line.echo().context("a flow that is used")?;
            std::thread::sleep(IDLE / 10);
        }
        wait_for_end_of_grants()?;
        line.echo()?;
        assert_no_other(world.server(FREE_PORT))?;
        line.echo()?;
        pause(Pause::IdleFlow);
        assert!(!line.asks()?, "{family:?}: a flow that was idle goes on");
        // What was denied has not woken it.
        assert!(!line.asks()?, "{family:?}: a flow that was idle goes on");
        world.knock_and(|| line.echo().context("behind another knock"))?;
    }
    Ok(())
}
