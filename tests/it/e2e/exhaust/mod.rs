//! What a gate takes when somebody tries to use up all of it: floods from forged sources, with the real daemon, a
//! session, and an administrator who knocks meanwhile; and tables of a million.

mod crowd;
mod denials;
mod first_knocks;
mod million;
mod sequences;
mod wrong_knocks;

use std::env;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use knock_common::packet::Transport::{self, Tcp, Udp};
use tests::harness::{Test, ensure_measured};
use tests::lab::figures::{cpu_time, maps, memory, wait_for_spare};
use tests::lab::{Barrage, Config, Host, Probe, Status, TIMEOUT, Volley, until};
use tests::story::World;

/// The tests.
pub fn tests() -> Vec<Test> {
    [
        first_knocks::tests(),
        sequences::tests(),
        denials::tests(),
        wrong_knocks::tests(),
        crowd::tests(),
        million::tests(),
    ]
    .into_iter()
    .flatten()
    // They measure what the daemon takes beside a flood.
    .map(Test::alone)
    .collect()
}

/// The steps of the lab's door.
const STEPS: [(u16, Transport); 3] = [(7000, Tcp), (8000, Udp), (9000, Tcp)];
/// Forged sources of a flood, more than a table of attempts or grants holds by default.
const SOURCES: u32 = 100_000;
/// Who has a grant for good from the beginning.
const KEPT: &str = "203.0.113.9";
/// In how long the administrator is in, counted from the first try, on a machine that is busy with the flood.
const SOON: Duration = Duration::from_secs(5);
/// What the daemon may take of a CPU, of which there are two at least: one that reads whatever there is takes all.
const SHARE: f64 = 0.35;
/// By how many KiB the daemon may grow: what it remembers of sources is bounded, and that takes most of it.
const SLACK: u64 = 6 * 1024;

/// How long a flood lasts: a moment, or as long as the environment says.
fn span() -> Duration {
    let seconds = env::var("KNOCK_SECONDS").ok().map(|text| text.parse().expect("a number of seconds"));
    Duration::from_secs(seconds.unwrap_or(4))
}

/// KiB in words.
fn mib(kib: u64) -> String {
    format!("{:.1} MiB", kib as f64 / 1024.0)
}

/// A gate with a session, and what it took before the flood.
struct Scene {
    world: World,
    name: &'static str,
    rss: u64,
    maps: u64,
}

impl Scene {
    fn set(name: &'static str, mut world: World) -> Result<Self> {
        let daemon = world.gate()?.id();
        world.command(&["allow", KEPT])?;
        world.session()?;
        world.revoke()?;
        wait_for_spare(daemon)?;
        Ok(Self { rss: memory(daemon, "VmRSS")?, maps: maps(daemon)?.values().sum(), world, name })
    }

    /// Floods, while `look` is called again and again; how many frames were sent. The daemon's share of a CPU is
    /// bounded.
    fn flood(&mut self, volley: Volley, mut look: impl FnMut(&mut World) -> Result<()>) -> Result<()> {
        let daemon = self.world.gate()?.id();
        let (start, used) = (Instant::now(), cpu_time(daemon)?);
        let barrage = Barrage::start(Host::Stranger, volley);
        std::thread::sleep(Duration::from_millis(500));
        while start.elapsed() < span() {
            look(&mut self.world)?;
            self.world.echo().context("the session during the flood")?;
            ensure!(self.world.command(&["explain", KEPT, "2222"])?.contains("holds a live grant"), "a grant is lost");
        }
        let sent = barrage.stop()?;
        let (took, used) = (start.elapsed(), cpu_time(daemon)? - used);
        let share = used.as_secs_f64() / took.as_secs_f64();
        println!(
            "[figures] {}: {sent} frames in {took:.1?}, {:.0} a second; the daemon {:.1} % of a CPU",
            self.name,
            sent as f64 / took.as_secs_f64(),
            share * 100.0
        );
        ensure_measured!(sent > u64::from(SOURCES), "{sent} frames are no flood");
        ensure_measured!(share < SHARE, "the daemon takes {share:.2} of a CPU");
        Ok(())
    }

    /// The gate is as it was, and holds what it held.
    fn end(mut self) -> Result<World> {
        until("the end of what the flood has left", TIMEOUT, || administrator(&self.world).ok()).context(self.name)?;
        self.world.echo()?;
        let mark = self.world.gate()?.mark();
        self.world.knock_open()?;
        self.world.gate()?.wait_after(mark, "192.0.2.2: opencloseSSH: OPEN SESAME")?;
        let daemon = self.world.gate()?.id();
        let (rss, held) = (memory(daemon, "VmRSS")?, maps(daemon)?.values().sum::<u64>());
        let status = Status::read()?;
        println!(
            "[figures] {}: the daemon {} -> {}, maps {} -> {}; events lost {}, attempts untold {}, denials unlogged {}",
            self.name,
            mib(self.rss),
            mib(rss),
            mib(self.maps / 1024),
            mib(held / 1024),
            status.counter("event_lost"),
            status.counter("attempt_untold"),
            status.counter("denial_unlogged"),
        );
        ensure!(held == self.maps, "the maps took {} and take {held} octets", self.maps);
        ensure_measured!(rss <= self.rss + SLACK, "the daemon has grown");
        ensure!(status.grants_of(KEPT.parse()?).len() == 1, "a grant is lost");
        Ok(self.world)
    }
}

/// The administrator's knock by `knockctl knock`, and the very next SYN.
fn administrator(world: &World) -> Result<()> {
    world.knock_open()?;
    let probe = world.connect(Host::Client)?.0;
    world.command(&["revoke", "192.0.2.2"]).ok();
    ensure!(probe == Probe::Open, "the knock does not open: {}", probe.name());
    Ok(())
}

/// How an administrator fared who has knocked again and again.
#[derive(Default)]
struct Fared {
    rounds: u32,
    /// Rounds in which the first knock opened.
    at_once: u32,
    slowest: Duration,
}

impl Fared {
    /// Knocks until a knock opens.
    fn knock(&mut self, world: &World) -> Result<()> {
        let start = Instant::now();
        self.rounds += 1;
        let mut tries = 1;
        while let Err(error) = administrator(world) {
            tries += 1;
            ensure!(start.elapsed() < SOON, "not in within {SOON:?}, in {tries} tries: {error:#}");
        }
        self.at_once += u32::from(tries == 1);
        self.slowest = self.slowest.max(start.elapsed());
        Ok(())
    }

    /// Three in four knocks open at once: a machine that is busy may hold one up between two of its steps.
    fn check(&self, name: &str) -> Result<()> {
        let Self { rounds, at_once, slowest } = self;
        println!("[figures] {name}: the administrator in within {slowest:.2?}, {at_once} of {rounds} times at once");
        ensure!(*rounds > 0 && at_once * 4 >= rounds * 3, "{at_once} of {rounds} knocks opened at once");
        Ok(())
    }
}

/// How many lines the daemon has written behind a mark, with this text.
fn lines(world: &mut World, mark: usize, text: &str) -> Result<usize> {
    Ok(world.gate()?.after(mark).iter().filter(|line| line.contains(text)).count())
}

/// The most lines of one kind that so many a second make until now, the second that has begun included.
fn most(rate: usize, since: Instant) -> usize {
    rate * (since.elapsed().as_secs() as usize + 3)
}

/// The lab's config for a flood: attempts live for as long as they do by default.
fn config() -> Config {
    Config::lab().set("seq_timeout", "\"10s\"")
}
