//! Whole sequences from forged sources, by somebody who has seen one: the table of grants is full.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use tests::harness::{Test, tests};
use tests::lab::grants::fill;
use tests::lab::{Config, Family, Host, SSH_PORT, Volley, must_open};
use tests::story::World;

use super::{SOURCES, STEPS, Scene, administrator, config, lines, most};

/// The tests.
pub fn tests() -> Vec<Test> {
    tests![
        "e2e::exhaust::sequences";
        a_small_table_full_of_forged_grants_leaves_the_administrator_a_way_in,
        a_table_full_of_forged_grants_leaves_the_administrator_a_way_in,
    ]
}

fn a_small_table_full_of_forged_grants_leaves_the_administrator_a_way_in() -> Result<()> {
    // It is full within a second.
    full("small table", &config().option("max_grants", "300"), 0, 8)
}

fn a_table_full_of_forged_grants_leaves_the_administrator_a_way_in() -> Result<()> {
    full("default table", &config(), 60_000, 20)
}

/// `already` of the grants are there when it begins, and each lasts for `seconds`, so that a machine that is busy has the
/// table full in time.
fn full(name: &'static str, config: &Config, already: u32, seconds: u64) -> Result<()> {
    let config =
        config.clone().option("trusted", "[\"2001:db8:1::2/128\"]").set("cmd_timeout", &format!("\"{seconds}s\""));
    let mut scene = Scene::set(name, World::guarded(Family::V4, &config)?)?;
    fill("ssh2", 0..already, seconds)?;
    let sequences = (0..SOURCES).flat_map(|number| STEPS.map(|step| (number, step)));
    let volley = Volley::forged(Host::Stranger, sequences)?;
    let (mark, start) = (scene.world.gate()?.mark(), Instant::now());
    let trusted = (Family::V6.address(Host::Server), SSH_PORT).into();
    let (mut rounds, mut by_knock, mut slowest) = (0, 0, Duration::ZERO);
    scene.flood(volley, |world| {
        rounds += 1;
        // A knock may find no room; what a person says does.
        by_knock += u32::from(administrator(world).is_ok());
        let begun = Instant::now();
        world.command(&["allow", "192.0.2.2"])?;
        world.must_open(Host::Client).context("allowed")?;
        slowest = slowest.max(begun.elapsed());
        must_open(Host::Client, trusted).context("trusted")?;
        world.revoke()
    })?;
    println!("[figures] {name}: in by allow within {slowest:.2?}, {rounds} times; by a knock {by_knock} times");
    ensure!(rounds > 0);
    let refused = scene.world.gate()?.wait_after(mark, "the table is full")?;
    ensure!(refused.contains("options.max_grants") && refused.contains("knockctl allow"), "{refused}");
    let opened = lines(&mut scene.world, mark, "OPEN SESAME")?;
    ensure!(opened > 0 && opened <= most(100, start), "{opened} lines");
    let begun = Instant::now();
    // The forged grants end, and a knock has room again.
    let world = scene.end()?;
    println!("[figures] {name}: a knock opens {:.1?} after the flood", begun.elapsed());
    drop(world);
    Ok(())
}
