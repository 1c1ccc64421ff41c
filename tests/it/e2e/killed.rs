//! `kill -9` at any moment of a start: what stands goes on, and nothing is in the way of the next.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use libtest_mimic::Trial;
use tests::lab::{Config, Daemon, Family, Flood, Host, Probe, SSH_PORT, Status};
use tests::story::World;

use crate::trials::trials;

/// The trials.
pub fn trials() -> Vec<Trial> {
    trials![
        "e2e::killed";
        a_start_killed_at_any_moment_leaves_the_gate_as_it_was,
        a_start_with_larger_tables_killed_at_any_moment_keeps_the_gate,
        a_first_start_killed_at_any_moment_is_not_in_the_way,
    ]
}

const PINS: &str = "/sys/fs/bpf/knock";

/// Moments at which to kill, spread over the time that a start takes; most of them where it changes
/// something, which is towards its end.
fn moments(start: Duration) -> impl Iterator<Item = Duration> {
    [0.1, 0.4, 0.7, 0.8, 0.85, 0.9, 0.94, 0.97, 1.0, 1.03].into_iter().map(move |part| start.mul_f64(part))
}

/// How long a start takes.
fn time_of_a_start() -> Result<Duration> {
    let start = Instant::now();
    let _daemon = Daemon::start(&Config::lab(), None)?;
    Ok(start.elapsed())
}

fn a_start_killed_at_any_moment_leaves_the_gate_as_it_was() -> Result<()> {
    let world = World::new(Family::V4, None)?;
    killed_starts(
        &world,
        |_| Config::lab(),
        || {
            assert_eq!(Status::read()?.grants().len(), 1);
            assert_eq!(world.connect(Host::Client)?.0, Probe::Silent);
            world.knock_open()?;
            assert_eq!(world.connect(Host::Client)?.0, Probe::Open);
            world.revoke()
        },
    )
}

fn a_start_with_larger_tables_killed_at_any_moment_keeps_the_gate() -> Result<()> {
    let world = World::new(Family::V4, None)?;
    let config = |number: usize| {
        let size = (1000 + number).to_string();
        Config::lab().option("max_grants", &size).option("max_attempts", &size)
    };
    killed_starts(&world, config, || {
        world.knock_open()?;
        assert_eq!(world.connect(Host::Client)?.0, Probe::Open);
        Ok(())
    })
}

/// Kills one start after the other, and looks after each; while a stranger tries the port all the
/// time.
fn killed_starts(world: &World, config: impl Fn(usize) -> Config, look: impl Fn() -> Result<()>) -> Result<()> {
    time_of_a_start()?;
    let start = time_of_a_start()?;
    world.command(&["allow", "203.0.113.9"])?;
    let flood = Flood::start(Host::Stranger, world.server(SSH_PORT));
    for (number, moment) in moments(start).enumerate() {
        let mut daemon = Daemon::begin(&config(number), None)?;
        std::thread::sleep(moment);
        daemon.kill()?;
        look().with_context(|| format!("killed after {moment:?} of {start:?}"))?;
    }
    let flooded = flood.stop()?;
    assert!(flooded.sent > 100 && flooded.opened == 0, "{flooded:?}");
    let _daemon = Daemon::start(&Config::lab(), None)?;
    assert_eq!(Status::read()?.grants_of("203.0.113.9".parse()?).len(), 1);
    world.command(&["unload"])?;
    assert!(!Path::new(PINS).exists());
    Ok(())
}

fn a_first_start_killed_at_any_moment_is_not_in_the_way() -> Result<()> {
    let world = World::new(Family::V4, None)?;
    let start = time_of_a_start()?;
    world.command(&["unload"])?;
    for (number, moment) in moments(start).enumerate() {
        let mut daemon = Daemon::begin(&Config::lab(), None)?;
        std::thread::sleep(moment);
        daemon.kill()?;
        // One time the next start has to cope with the remains, the next time `unload` has to.
        if number % 2 == 0 {
            let _daemon = Daemon::start(&Config::lab(), None)?;
            assert_eq!(world.connect(Host::Client)?.0, Probe::Silent, "killed after {moment:?} of {start:?}");
        }
        tests::lab::knockctl(Host::Server, &["unload"])?;
        assert!(!Path::new(PINS).exists(), "killed after {moment:?} of {start:?}");
        assert_eq!(world.connect(Host::Client)?.0, Probe::Open, "killed after {moment:?} of {start:?}");
    }
    Ok(())
}
