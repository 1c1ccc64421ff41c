//! Connections without a grant, at full rate.

use std::time::Instant;

use anyhow::{Result, ensure};
use knock_common::packet::Transport::Tcp;
use tests::harness::{Test, tests};
use tests::lab::{Family, Host, SSH_PORT, Volley, accepted};
use tests::story::World;

use super::{Fared, SOURCES, Scene, config, lines, most};

/// The tests.
pub fn tests() -> Vec<Test> {
    tests!["e2e::exhaust::denials"; a_flood_of_connections_is_denied_and_the_log_stays_short]
}

fn a_flood_of_connections_is_denied_and_the_log_stays_short() -> Result<()> {
    let mut scene = Scene::set("denials", World::guarded(Family::V4, &config())?)?;
    let volley = Volley::forged(Host::Stranger, (0..SOURCES).map(|number| (number, (SSH_PORT, Tcp))))?;
    let (mark, start) = (scene.world.gate()?.mark(), Instant::now());
    let before = accepted(Host::Server)?;
    let mut fared = Fared::default();
    scene.flood(volley, |world| fared.knock(world))?;
    fared.check("denials")?;
    let opened = accepted(Host::Server)? - before;
    ensure!(opened == u64::from(fared.at_once), "{opened} connections, of {} by the administrator", fared.at_once);
    scene.world.gate()?.wait_after(mark, "more left out of the log")?;
    let denied = lines(&mut scene.world, mark, "did not knock: ")?;
    println!("[figures] denials: {denied} lines in {:.1?}", start.elapsed());
    ensure!(denied <= most(10 + 1, start), "{denied} lines");
    scene.end().map(drop)
}
