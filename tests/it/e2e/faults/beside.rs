//! Several at once: daemons that start together, commands beside reloads.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use anyhow::{Context, Result, ensure};
use tests::harness::{Test, tests};
use tests::lab::{Background, Config, Family, GATE_STANDS, Host, Mark, Probe, Status, TIMEOUT, knockctl, until};
use tests::story::World;

use super::{Siege, daemon, start, unload};

/// The tests.
pub fn tests() -> Vec<Test> {
    tests![
        "e2e::faults::beside";
        of_daemons_that_start_together_one_stays,
        commands_beside_reloads_are_never_lost,
    ]
}

fn of_daemons_that_start_together_one_stays() -> Result<()> {
    const TOGETHER: usize = 4;
    let (world, mark) = (World::new(Family::V4, None)?, Mark::new());
    let config = mark.on(Config::lab());
    for _ in 0..3 {
        let begin = || Background::start(Host::Server, daemon(&config)?, None);
        let mut daemons = (0..TOGETHER).map(|_| begin()).collect::<Result<Vec<_>>>()?;
        until("one daemon", TIMEOUT, || {
            let running = daemons.iter_mut().filter_map(|daemon| daemon.runs().then_some(())).count();
            (running == 1).then_some(())
        })?;
        let stays = daemons.iter_mut().position(Background::runs).context("none stays")?;
        daemons[stays].lines.wait_after(0, GATE_STANDS, TIMEOUT)?;
        for (index, other) in daemons.iter().enumerate().filter(|(index, _)| *index != stays) {
            let said = other.lines.wait_after(0, "already running", TIMEOUT);
            said.with_context(|| format!("daemon {index}: {:?}", other.lines.after(0)))?;
        }
        let id = daemons[stays].id();
        until("its word", TIMEOUT, || (Status::read().ok()?.daemon() == Some(u64::from(id))).then_some(()))?;
        assert_eq!(world.connect(Host::Client)?.0, Probe::Silent);
        mark.wait_for(1)?;
        daemons[stays].kill()?;
    }
    unload(&world)?;
    mark.wait_for(0)
}

/// `allow` and `revoke` again and again, while the grants move from one table to another.
fn commands_beside_reloads_are_never_lost() -> Result<()> {
    const RELOADS: usize = 8;
    let marks = [Mark::new(), Mark::new()];
    let siege = Siege::lay(&marks[0].on(Config::lab()))?;
    let daemon = start(daemon(&marks[0].on(Config::lab()))?)?;
    let done = AtomicBool::new(false);
    let commands = |number: u8| -> Result<usize> {
        let (stays, goes) = (format!("203.0.113.{number}"), format!("203.0.113.{}", number + 100));
        let mut turns = 0;
        while !done.load(Ordering::Relaxed) {
            for args in [["allow", stays.as_str()], ["allow", &goes], ["revoke", &goes]] {
                let ran = knockctl(Host::Server, &args)?;
                ensure!(ran.code == 0, "{ran}");
            }
            let status = Status::read()?;
            let grants = |ip: &str| ip.parse().map(|ip| status.grants_of(ip).len());
            ensure!((grants(&stays)?, grants(&goes)?) == (1, 0), "{stays}, {goes}: {}", status.0["grants"]);
            let ran = knockctl(Host::Server, &["revoke", &stays])?;
            ensure!(ran.code == 0, "{ran}");
            turns += 1;
        }
        Ok(turns)
    };
    let turns = thread::scope(|scope| {
        let threads: Vec<_> = [10, 20].into_iter().map(|number| scope.spawn(move || commands(number))).collect();
        let reloads = (1..=RELOADS).try_for_each(|turn| {
            marks[turn % 2].on(Config::lab()).write("gate.toml")?;
            let lines = daemon.lines.count();
            siege.world.command(&["reload"])?;
            daemon.lines.wait_after(lines, GATE_STANDS, TIMEOUT).map(drop)
        });
        done.store(true, Ordering::Relaxed);
        let turns = threads.into_iter().map(|thread| thread.join().expect("no panic")).collect::<Result<Vec<_>>>();
        reloads.and(turns)
    })?;
    ensure!(turns.iter().all(|turns| *turns > 3), "{turns:?}");
    siege.look()?;
    assert_eq!(Status::read()?.grants().len(), 1);
    until("one table", TIMEOUT, || (marks[0].tables().ok()? + marks[1].tables().ok()? == 1).then_some(()))?;
    unload(&siege.lift()?)
}
