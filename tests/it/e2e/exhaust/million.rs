//! A million grants: listed, swept, carried over by a reload, and revoked.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use tests::harness::{Test, ensure_measured, tests};
use tests::lab::figures::{cpu_time, maps, measured, memory};
use tests::lab::grants::{fill, source};
use tests::lab::{Config, Family, GATE_STANDS, Host, Pause, TIMEOUT, pause, until};
use tests::story::World;

use super::mib;

/// The tests.
pub fn tests() -> Vec<Test> {
    tests!["e2e::exhaust::million"; a_million_grants_are_listed_swept_carried_and_revoked]
}

/// Grants in the table.
const COUNT: u32 = 1_000_000;

/// How long any of these may take, on a machine that is busy.
const PATIENCE: Duration = Duration::from_secs(60);
/// What `knockctl` may have in memory to list them, and the daemon to live with them, in KiB.
const MOST_TO_LIST: u64 = 640 * 1024;
const MOST_TO_LIVE: u64 = 48 * 1024;

fn config(room: u32) -> Config {
    Config::lab().option("max_grants", &room.to_string())
}

/// How many grants `status --json` lists.
fn listed(json: &str) -> usize {
    json.matches("\"origin\":").count()
}

fn a_million_grants_are_listed_swept_carried_and_revoked() -> Result<()> {
    let mut world = World::guarded(Family::V4, &config(COUNT + 16))?;
    let daemon = world.gate()?.id();
    world.session()?;
    world.revoke()?;
    let before = memory(daemon, "VmRSS")?;
    let locked: u64 = maps(daemon)?.values().sum();
    let largest = maps(daemon)?.into_values().max().context("no map")?;
    let (start, used) = (Instant::now(), cpu_time(daemon)?);
    fill("ssh2", 0..COUNT, 3600)?;
    println!(
        "[figures] million: {COUNT} grants; maps {}, of these grants {} ({} octets each); filled in {:.2?}",
        mib(locked / 1024),
        mib(largest / 1024),
        largest / u64::from(COUNT + 16),
        start.elapsed()
    );

    let since = Instant::now();
    let json = measured(&["status", "--json"])?;
    ensure!(listed(&json.stdout) == COUNT as usize, "{} of {COUNT} are listed", listed(&json.stdout));
    let text = measured(&["status"])?;
    ensure!(text.stdout.lines().count() > COUNT as usize && text.stdout.contains(&source(COUNT - 1).to_string()));
    println!(
        "[figures] million: status --json {:.2?}, {}; status {:.2?}, {}",
        json.time,
        mib(json.peak),
        text.time,
        mib(text.peak)
    );
    for took in [&json, &text] {
        ensure_measured!(took.time < PATIENCE && took.peak < MOST_TO_LIST, "{:?}, {}", took.time, mib(took.peak));
    }
    let one = measured(&["revoke", &source(4711).to_string()])?;
    let explained = measured(&["explain", &source(4712).to_string(), "2222"])?;
    ensure!(one.stdout.contains("revoked") && explained.stdout.contains("holds a live grant"), "{}", explained.stdout);
    println!("[figures] million: revoke of one {:.2?}, explain {:.2?}", one.time, explained.time);

    // The daemon does nothing but sweep.
    pause(Pause::Rest(Duration::from_secs(12).saturating_sub(since.elapsed())));
    let share = (cpu_time(daemon)? - used).as_secs_f64() / since.elapsed().as_secs_f64();
    let lives = memory(daemon, "VmRSS")?;
    println!("[figures] million: sweeps {:.1} % of a CPU; the daemon {} -> {}", share * 100.0, mib(before), mib(lives));
    ensure_measured!(share > 0.0 && share < 0.15, "sweeps take {share:.2} of a CPU");
    ensure_measured!(lives < MOST_TO_LIVE, "the daemon has {}", mib(lives));
    knocks_open(&mut world)?;

    // The same table, then another one.
    for room in [COUNT + 16, COUNT + 17] {
        config(room).write("gate.toml")?;
        let mark = world.gate()?.mark();
        let reload = measured(&["reload"])?;
        world.gate()?.wait_after(mark, GATE_STANDS)?;
        let left = listed(&measured(&["status", "--json"])?.stdout);
        let carried = memory(daemon, "VmRSS")?;
        let what = if room == COUNT + 16 { "shares" } else { "carries" };
        println!("[figures] million: a reload that {what} them {:.2?}; the daemon {}", reload.time, mib(carried));
        ensure!(left == COUNT as usize - 1, "{left} left");
        ensure_measured!(reload.time < PATIENCE, "a reload that {what} them took {:?}", reload.time);
        ensure_measured!(carried < MOST_TO_LIVE, "the daemon has {}", mib(carried));
        knocks_open(&mut world)?;
    }

    // All of them end at once.
    fill("ssh2", 0..COUNT, 1)?;
    let (start, used) = (Instant::now(), cpu_time(daemon)?);
    until("the end of all grants in the kernel", TIMEOUT, || {
        let explained = measured(&["status", "--json"]).ok()?;
        (listed(&explained.stdout) == 0).then_some(())
    })?;
    // The daemon takes them out, and knocks are not kept waiting for that.
    knocks_open(&mut world)?;
    until("room in the table", 4 * TIMEOUT, || fill("ssh2", COUNT..2 * COUNT + 17, 3600).is_ok().then_some(()))?;
    println!(
        "[figures] million: all swept within {:.2?}, for {:.2?} of CPU time; the daemon {}",
        start.elapsed(),
        cpu_time(daemon)? - used,
        mib(memory(daemon, "VmRSS")?)
    );
    let all = measured(&["revoke", "--all"])?;
    ensure!(all.stdout.lines().count() >= COUNT as usize, "{} are revoked", all.stdout.lines().count());
    println!("[figures] million: revoke --all {:.2?}, {}", all.time, mib(all.peak));
    ensure_measured!(all.time < PATIENCE, "revoke --all took {:?}", all.time);
    knocks_open(&mut world)?;
    world.echo()?;
    Ok(())
}

/// The client's knock opens, and the next SYN gets in.
fn knocks_open(world: &mut World) -> Result<()> {
    world.knock_open()?;
    world.must_open(Host::Client).context("the knock does not open")?;
    world.revoke()?;
    world.echo().map(drop)
}
