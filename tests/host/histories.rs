//! The host build and the reference model agree on random packet histories.

use std::ops::Range;
use std::sync::Arc;
use std::time::Instant;

use knock_common::abi::counter::Counter;
use knock_common::abi::event::Kind;
use knock_common::abi::rules::MAX_STEPS;
use tests::agree::{Mismatch, agree, is_about_rules, shrink, stored};
use tests::history::{PER_CONFIG, Profile, Scenario};
use tests::links::LO;
use tests::memory::Memory;
use tests::model::Source;
use tests::tables::Tables;

/// How many histories; the environment may ask for another number.
const HISTORIES: u64 = 24_000;

/// What the histories came to.
struct Tally {
    /// By counter.
    counted: [u64; Counter::COUNT],
    /// Doors that opened, by the length of their sequence.
    opened: [u64; MAX_STEPS + 1],
}

impl Tally {
    const NOTHING: Self = Self { counted: [0; Counter::COUNT], opened: [0; MAX_STEPS + 1] };

    fn add(&mut self, other: &Self) {
        self.counted.iter_mut().zip(other.counted).for_each(|(sum, more)| *sum += more);
        self.opened.iter_mut().zip(other.opened).for_each(|(sum, more)| *sum += more);
    }
}

fn play(tables: &Arc<Tables>, scenario: &Scenario, tally: &mut Tally) -> Result<(), Mismatch> {
    let mut host =
        Memory::new(Arc::clone(tables)).with_sockets(scenario.sockets.clone()).with_tokens(scenario.config.log_tokens);
    for (network, &until) in &scenario.config.locked {
        host.lock_out(stored(Source::on(network.base, LO)), until);
    }
    let counted = agree(&mut host, tables, scenario, 1)?;
    tally.counted.iter_mut().zip(counted).for_each(|(sum, more)| *sum += more);
    for event in host.take_events().iter().filter(|event| event.kind == Kind::Opened as u8) {
        tally.opened[usize::from(event.step)] += 1;
    }
    Ok(())
}

fn failure(tables: &Arc<Tables>, scenario: &Scenario) -> Option<Mismatch> {
    let mut tally = Tally::NOTHING;
    play(tables, scenario, &mut tally).err()
}

/// Plays the histories with these seeds.
fn play_all(seeds: Range<u64>) -> Tally {
    let mut tally = Tally::NOTHING;
    let mut loaded: Option<(u64, Arc<Tables>)> = None;
    for seed in seeds {
        let scenario = Scenario::from_seed(seed, Profile::default());
        let load = || (seed / PER_CONFIG, Arc::new(Tables::from(&scenario.config)));
        let (config, tables) = loaded.take_if(|(config, _)| *config == seed / PER_CONFIG).unwrap_or_else(load);
        if play(&tables, &scenario, &mut tally).is_err() {
            let small = shrink(&scenario, |shorter| failure(&tables, shorter).is_some());
            let mismatch = failure(&tables, &small).expect("what is left still fails");
            panic!("{mismatch}\n\n{small}\nreplay: KNOCK_SEED={seed} cargo test -p tests --test host histories");
        }
        loaded = Some((config, tables));
    }
    tally
}

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok().map(|text| text.parse().expect("a number"))
}

#[test]
fn the_host_build_agrees_with_the_model_on_random_histories() {
    if let Some(seed) = number("KNOCK_SEED") {
        play_all(seed..seed + 1);
        return;
    }
    let count = number("KNOCK_HISTORIES").unwrap_or(HISTORIES);
    let threads = std::thread::available_parallelism().map_or(1, |threads| threads.get() as u64);
    let begun = Instant::now();
    let parts = (0..threads).map(|part| count * part / threads..count * (part + 1) / threads);
    let mut tally = Tally::NOTHING;
    std::thread::scope(|scope| {
        let running: Vec<_> = parts.map(|seeds| scope.spawn(|| play_all(seeds))).collect();
        for thread in running {
            tally.add(&thread.join().expect("every history agrees"));
        }
    });
    println!("{count} histories agree, {:.0} a second", count as f64 / begun.elapsed().as_secs_f64());
    println!("doors opened, by length: {:?}", &tally.opened[1..=6]);
    for counter in Counter::ALL.iter().filter(|counter| is_about_rules(**counter)) {
        let times = tally.counted[*counter as usize];
        println!("{} = {times}", counter.name());
        assert!(times >= count / 24, "the histories hardly ever come to {}", counter.name());
    }
    assert!(tally.opened[1..=6].iter().all(|times| *times >= count / 24), "long sequences hardly ever open");
}
