//! Forged first knocks from more sources than the table of attempts holds.

use std::time::Instant;

use anyhow::{Result, ensure};
use tests::harness::{Test, tests};
use tests::lab::{Family, Host, Volley};
use tests::story::World;

use super::{Fared, SOURCES, STEPS, Scene, config, lines, most};

/// The tests.
pub fn tests() -> Vec<Test> {
    tests!["e2e::exhaust::first_knocks"; a_flood_of_forged_first_knocks_keeps_nobody_out]
}

fn a_flood_of_forged_first_knocks_keeps_nobody_out() -> Result<()> {
    let mut scene = Scene::set("first knocks", World::guarded(Family::V4, &config())?)?;
    let volley = Volley::forged(Host::Stranger, (0..SOURCES).map(|number| (number, STEPS[0])))?;
    let (mark, start) = (scene.world.gate()?.mark(), Instant::now());
    let mut fared = Fared::default();
    scene.flood(volley, |world| fared.knock(world))?;
    fared.check("first knocks")?;
    let stages = lines(&mut scene.world, mark, ": Stage ")?;
    println!("[figures] first knocks: {stages} lines of stages in {:.1?}", start.elapsed());
    ensure!(stages <= most(100, start), "{stages} lines");
    scene.world.gate()?.wait_after(mark, "stage: ")?;
    scene.end().map(drop)
}
