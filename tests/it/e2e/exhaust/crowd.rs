//! Thousands of sources that knock at once, each over two wires at once, so that the gate runs on several CPUs for
//! one source.

use std::env;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use aya::maps::{Map, MapData, PerCpuArray};
use knock_common::abi::counter::Counter;
use knock_common::abi::layout::name;
use tests::harness::{Test, tests};
use tests::kernel::stay_on_cpu;
use tests::lab::{Config, Family, Host, PINS, Status, Volley, forged};
use tests::story::World;

use super::STEPS;

/// The tests.
pub fn tests() -> Vec<Test> {
    tests!["e2e::exhaust::crowd"; a_crowd_over_the_wire_gets_what_each_has_knocked_for]
}

/// The two wires to the server.
const WIRES: [Host; 2] = [Host::Client, Host::Stranger];

/// Sources: some thousands, or as many as the environment says.
fn crowd() -> Result<u32> {
    env::var("KNOCK_CROWD").map_or(Ok(8000), |text| text.parse().context("KNOCK_CROWD: a number"))
}

/// One in four leaves a step out.
fn leaves_out(number: u32, step: usize) -> bool {
    number % 4 == 1 && (number / 4) as usize % STEPS.len() == step
}

fn a_crowd_over_the_wire_gets_what_each_has_knocked_for() -> Result<()> {
    let count = crowd()?;
    let room = |times: u32| (times * count).to_string();
    let config = Config::lab()
        .set("seq_timeout", "\"60s\"")
        .set("cmd_timeout", "\"10m\"")
        .option("max_grants", &room(2))
        .option("max_attempts", &room(16));
    let _world = World::guarded(Family::V4, &config)?;
    let start = Instant::now();
    for (index, step) in STEPS.into_iter().enumerate() {
        // Each step in another order, which is that of both wires: what a source sends over the one is near to what
        // it sends over the other. The steps of one source are spaced.
        let mut numbers: Vec<u32> = (0..count).filter(|&number| !leaves_out(number, index)).collect();
        fastrand::shuffle(&mut numbers);
        let volley = |host| Volley::forged(host, numbers.iter().map(|&number| (number, step)));
        let volleys = [volley(WIRES[0])?, volley(WIRES[1])?];
        // What a wire drops is sent again, with all the others: a step that is repeated changes nothing.
        let mut tries = 0;
        loop {
            let before = dropped()?;
            thread::scope(|scope| {
                let send = |cpu: usize| {
                    stay_on_cpu(cpu)?;
                    WIRES[cpu].enter(|| volleys[cpu].send_here())
                };
                let senders = [0, 1].map(|cpu| scope.spawn(move || send(cpu)));
                senders.into_iter().try_for_each(|sender| sender.join().expect("the sender does not panic"))
            })?;
            thread::sleep(Duration::from_millis(100));
            if dropped()? == before {
                break;
            }
            tries += 1;
            ensure!(tries < 20, "the wires drop frames again and again");
        }
    }
    let took = start.elapsed();
    let status = Status::read()?;
    let granted: std::collections::HashMap<String, usize> =
        status.grants().iter().fold(std::collections::HashMap::new(), |mut all, grant| {
            *all.entry(grant["source"].as_str().unwrap_or_default().to_owned()).or_default() += 1;
            all
        });
    let of = |number: u32| granted.get(&forged(number).to_string()).copied().unwrap_or(0);
    let lost = (0..count).filter(|number| number % 4 != 1 && of(*number) == 0).count();
    let twice = (0..count).filter(|number| of(*number) > 1).count();
    let unearned = (0..count).filter(|number| number % 4 == 1 && of(*number) > 0).count();
    let opened = status.counter("grant_opened");
    let knocks = by_cpu(Counter::KnockPacket)?;
    println!(
        "[figures] crowd: {count} sources, each on two wires, in {took:.1?}, knocks by CPU {knocks:?}, {opened} opened, {lost} lost, {twice} twice, {unearned} unearned"
    );
    ensure!((lost, twice, unearned) == (0, 0, 0), "{lost} lost, {twice} twice, {unearned} unearned");
    ensure!(opened == u64::from(count) / 4 * 3 && status.counter("grant_extended") == 0, "{opened} opened");
    ensure!(knocks.iter().filter(|&&knocks| knocks > u64::from(count)).count() > 1, "by CPU: {knocks:?}");
    Ok(())
}

/// What each CPU has counted.
fn by_cpu(counter: Counter) -> Result<Vec<u64>> {
    let map = Map::PerCpuArray(MapData::from_pin(Path::new(PINS).join(name::COUNTERS))?);
    let counters = PerCpuArray::<_, u64>::try_from(map)?;
    Ok(counters.get(&(counter as u32), 0)?.to_vec())
}

/// Frames that the wires have dropped so far, at both ends.
fn dropped() -> Result<u64> {
    let ends = [(Host::Client, "eth0"), (Host::Stranger, "eth0"), (Host::Server, "eth0"), (Host::Server, "eth1")];
    let mut sum = 0;
    for (host, interface) in ends {
        let text = host.must(&["ip", "-s", "-j", "link", "show", "dev", interface])?;
        let json: serde_json::Value = serde_json::from_str(&text)?;
        let stats = &json[0]["stats64"];
        sum += stats["tx"]["dropped"].as_u64().context("dropped")?;
        // The gate drops nothing here: what it is sent are knocks.
        sum += stats["rx"]["dropped"].as_u64().context("dropped")?;
    }
    Ok(sum)
}
