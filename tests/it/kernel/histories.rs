//! The program in the kernel and the reference model agree on random packet histories.

use std::collections::BTreeMap;
use std::env;
use std::net::IpAddr;
use std::ops::Range;
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Instant;

use anyhow::{Context as _, Result, anyhow, ensure};
use knock_common::abi::counter::Counter;
use knock_common::abi::event::{Event, Kind};
use knock_common::abi::layout::name;
use knock_common::packet::flags::Segments;
use tests::agree::{Mismatch, agree, is_about_rules, shrink, stored};
use tests::harness::{Test, tests};
use tests::history::{PER_CONFIG, Profile, SERVERS, Scenario};
use tests::kernel::{Kernel, RealSockets, Room, enter_network, spacious, stay_on_cpu};
use tests::links::LO;
use tests::model::Source;
use tests::tables::Tables;

/// How many histories; the environment may ask for another number. Before a release it is five times as many: see
/// CONTRIBUTING.md.
const HISTORIES: u64 = 20_000;
/// The state is compared after every so many packets, and after the last one.
const EVERY: usize = 8;

/// More than a history fills. Larger tables take longer to look through, which is done after every few packets.
const ROOM: Room = Room { grants: 1024, attempts: 1024, flows: 1024 };

/// The tests.
pub fn tests() -> Vec<Test> {
    tests!["kernel::histories";
        the_program_agrees_with_the_model_on_random_histories,
        so_does_the_program_for_older_kernels,
    ]
}

fn the_program_agrees_with_the_model_on_random_histories() -> Result<()> {
    let first = number("KNOCK_SEED")?;
    // A seed alone replays one history.
    let count = number("KNOCK_HISTORIES")?.unwrap_or(if first.is_some() { 1 } else { HISTORIES });
    let first = first.unwrap_or(0);
    let loads = loads(first..first + count);
    let (number_of_loads, begun) = (loads.len(), Instant::now());
    let counted = play_all(name::PROGRAM, loads)?;
    let seconds = begun.elapsed().as_secs_f64();
    let rate = count as f64 / seconds;
    println!(
        "{count} histories from seed {first} agree, in {number_of_loads} loads: {seconds:.1} s, {rate:.0} a second"
    );
    for counter in Counter::ALL.iter().filter(|counter| is_about_rules(**counter)) {
        let times = counted[*counter as usize];
        println!("  {} = {times}", counter.name());
        ensure!(count < 1000 || times >= count / 40, "the histories hardly ever come to {}", counter.name());
    }
    Ok(())
}

fn so_does_the_program_for_older_kernels() -> Result<()> {
    // Of the constants that most configs have.
    let mut most = loads(0..20_000).pop().context("there are histories")?;
    most.truncate(2000);
    let count = most.len();
    play_all(name::PROGRAM_LINEAR, vec![most])?;
    println!("{count} histories agree");
    Ok(())
}

/// Plays the lists of seeds, one load of the program each, on all CPUs. Returns what was counted.
fn play_all(program: &'static str, loads: Vec<Vec<u64>>) -> Result<Vec<u64>> {
    let loads = Mutex::new(loads);
    let cpus = thread::available_parallelism()?.get();
    thread::scope(|scope| {
        let loads = &loads;
        let workers: Vec<_> = (0..cpus).map(|cpu| scope.spawn(move || work(program, cpu, loads))).collect();
        let mut sum = vec![0; Counter::COUNT];
        for worker in workers {
            let counted = worker.join().map_err(|_| anyhow!("a worker panicked"))??;
            sum.iter_mut().zip(counted).for_each(|(sum, more)| *sum += more);
        }
        Ok(sum)
    })
}

fn number(variable: &str) -> Result<Option<u64>> {
    env::var(variable).ok().map(|text| text.parse().with_context(|| format!("{variable}={text}"))).transpose()
}

fn next(loads: &Mutex<Vec<Vec<u64>>>) -> Option<Vec<u64>> {
    loads.lock().unwrap_or_else(PoisonError::into_inner).pop()
}

/// Seeds whose configs need the same constants, so that one load of the program does for them all.
/// The longest list stands last.
fn loads(seeds: Range<u64>) -> Vec<Vec<u64>> {
    let mut loads: BTreeMap<_, Vec<u64>> = BTreeMap::new();
    let mut last = None;
    for seed in seeds {
        let key = match last {
            Some((config, key)) if config == seed / PER_CONFIG => key,
            _ => {
                let config = Scenario::config_of(seed);
                let flags = [config.stealth, config.verify_checksums, config.log_denied, config.reject];
                let segments = Tables::from(&config).rules.segments() != Segments::OPENING;
                let lenient = (config.observe, config.trial_until);
                (flags, config.lockout, lenient, config.trusted.is_empty(), config.attempt_rate, segments)
            }
        };
        last = Some((seed / PER_CONFIG, key));
        loads.entry(key).or_default().push(seed);
    }
    let mut loads: Vec<_> = loads.into_values().collect();
    loads.sort_by_key(Vec::len);
    loads
}

/// One CPU: plays what is left to play.
fn work(program: &'static str, cpu: usize, loads: &Mutex<Vec<Vec<u64>>>) -> Result<Vec<u64>> {
    let servers: Vec<IpAddr> = SERVERS.iter().map(|text| text.parse()).collect::<Result<_, _>>()?;
    enter_network(&servers)?;
    stay_on_cpu(cpu)?;
    let mut sum = vec![0; Counter::COUNT];
    let mut sockets = RealSockets::default();
    while let Some(seeds) = next(loads) {
        let mut loaded: Option<Loaded> = None;
        for seed in seeds {
            let scenario = Scenario::from_seed(seed, Profile::default());
            let mut ready = match loaded {
                Some(ready) => ready.with_config_of(seed, &scenario)?,
                None => Loaded::new(program, seed, &scenario)?,
            };
            match ready.play(&mut sockets, &scenario)? {
                Ok(counted) => sum.iter_mut().zip(counted).for_each(|(sum, more)| *sum += more),
                Err(_) => return Err(ready.explain(&mut sockets, &scenario, seed)),
            }
            loaded = Some(ready);
        }
    }
    Ok(sum)
}

/// A program with the rules of the config that seeds in a row share.
struct Loaded {
    kernel: Kernel,
    config: u64,
    tables: Tables,
}

impl Loaded {
    fn new(program: &'static str, seed: u64, scenario: &Scenario) -> Result<Self> {
        let tables = Tables::from(&scenario.config);
        let mut kernel = Kernel::load_as(program, &spacious(&tables), ROOM)?;
        kernel.replace_rules(&tables.rules)?;
        Ok(Self { kernel, config: seed / PER_CONFIG, tables })
    }

    fn with_config_of(mut self, seed: u64, scenario: &Scenario) -> Result<Self> {
        if self.config != seed / PER_CONFIG {
            self.config = seed / PER_CONFIG;
            self.tables = Tables::from(&scenario.config);
            self.kernel.replace_rules(&self.tables.rules)?;
        }
        Ok(self)
    }

    /// Plays one history to the program, which has seen nothing yet, and lets it forget it.
    fn play(&mut self, sockets: &mut RealSockets, scenario: &Scenario) -> Result<Result<Vec<u64>, Mismatch>> {
        let outcome = self.played(sockets, scenario);
        self.kernel.forget_of(scenario.sources().into_iter().map(stored));
        outcome
    }

    fn played(&mut self, sockets: &mut RealSockets, scenario: &Scenario) -> Result<Result<Vec<u64>, Mismatch>> {
        self.kernel.set_tokens(scenario.config.log_tokens);
        let _ = self.kernel.take_events();
        for (network, &until) in &scenario.config.locked {
            self.kernel.lock_out(stored(Source::on(network.base, LO)), until);
        }
        sockets.become_like(&scenario.sockets)?;
        self.kernel.set_guests(&scenario.sockets.guests);
        let counted = match agree(&mut self.kernel, &self.tables, scenario, EVERY) {
            Ok(counted) => counted,
            Err(mismatch) => return Ok(Err(mismatch)),
        };
        let step = scenario.packets.len();
        let told = untold(&self.kernel.take_events(), &counted);
        Ok(told.map_or(Ok(counted), |what| Err(Mismatch { step, what })))
    }

    /// The least of a history that still fails.
    fn explain(&mut self, sockets: &mut RealSockets, scenario: &Scenario, seed: u64) -> anyhow::Error {
        let mut failure = |scenario: &Scenario| self.play(sockets, scenario).map(Result::err);
        let small = shrink(scenario, |shorter| matches!(failure(shorter), Ok(Some(_))));
        let replay = format!("replay: KNOCK_SEED={seed} cargo xtask test -- kernel::histories");
        match failure(&small) {
            Ok(Some(mismatch)) => anyhow!("{mismatch}\n\n{small}\n{replay}"),
            Ok(None) => anyhow!("seed {seed} failed once and not again\n{replay}"),
            Err(error) => error.context(replay),
        }
    }
}

/// A kind of event of which there are more or fewer than were counted.
fn untold(events: &[Event], counted: &[u64]) -> Option<String> {
    let kinds = [
        (Kind::Opened, Counter::GrantOpened),
        (Kind::Closed, Counter::GrantClosed),
        (Kind::Wrong, Counter::AttemptEnded),
        (Kind::Refused, Counter::GrantRefused),
    ];
    kinds.into_iter().find_map(|(kind, counter)| {
        let told = events.iter().filter(|event| event.kind == kind as u8).count() as u64;
        let counted = counted[counter as usize];
        (told != counted).then(|| format!("{told} events {kind:?}, and {} = {counted}", counter.name()))
    })
}
