//! Wrong knocks at full rate: a first knock, and then one out of turn.

use std::time::Instant;

use anyhow::{Context as _, Result, ensure};
use tests::harness::{Test, tests};
use tests::lab::{Family, Host, Status, Volley};
use tests::story::World;

use super::{Fared, SOURCES, STEPS, Scene, config, lines, most};

/// The tests.
pub fn tests() -> Vec<Test> {
    tests!["e2e::exhaust::wrong_knocks"; a_flood_of_wrong_knocks_keeps_nobody_out_and_the_log_short]
}

fn a_flood_of_wrong_knocks_keeps_nobody_out_and_the_log_short() -> Result<()> {
    // Some of them may be locked out for it; the administrator is not.
    let config = config().option("lockout", "{ after = 3, for = \"1m\" }");
    let mut scene = Scene::set("wrong knocks", World::guarded(Family::V4, &config)?)?;
    let pairs = (0..SOURCES).flat_map(|number| [STEPS[0], STEPS[2]].map(|step| (number, step)));
    let volley = Volley::forged(Host::Stranger, pairs)?;
    let (mark, start) = (scene.world.gate()?.mark(), Instant::now());
    let mut fared = Fared::default();
    scene.flood(volley, |world| fared.knock(world))?;
    fared.check("wrong knocks")?;
    let wrong = lines(&mut scene.world, mark, ": wrong knock ")?;
    println!("[figures] wrong knocks: {wrong} lines in {:.1?}", start.elapsed());
    ensure!(wrong > 0 && wrong <= most(100, start), "{wrong} lines");
    scene.world.gate()?.wait_after(mark, "wrong: ")?;
    let (status, own) = (Status::read()?, scene.world.address(Host::Client).to_string());
    let locked = status.0["lockouts"].as_array().context("a list")?;
    println!("[figures] wrong knocks: {} sources are locked out", locked.len());
    ensure!(locked.iter().all(|lockout| lockout["source"] != *own), "the administrator is locked out");
    scene.end().map(drop)
}
