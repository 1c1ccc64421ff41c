//! A daemon that reads no events: stopped, while knocks and denials go on.

use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use knock_common::abi::event::Event;
use nix::sys::signal::Signal;
use tests::harness::{Test, tests};
use tests::kernel::put_records;
use tests::lab::{
    Config, Family, Flood, GATE_STANDS, Host, Mark, PINS, Probe, SSH_PORT, Status, TIMEOUT, send_many, until,
};
use tests::story::World;

use super::{daemon, is_over, start};

/// The tests.
pub fn tests() -> Vec<Test> {
    tests![
        "e2e::faults::stalled";
        a_stalled_daemon_costs_events_and_nothing_else,
        events_of_another_size_are_counted_and_told_of_once,
    ]
}

fn a_stalled_daemon_costs_events_and_nothing_else() -> Result<()> {
    /// More events than the ring buffer has room for, two each.
    const PAIRS: usize = 4000;
    let world = World::new(Family::V4, None)?;
    let by_datagrams = Config::lab()
        .with("[\"7000/tcp\", \"8000/udp\", \"9000/tcp\"]", "[\"7000/udp\", \"8000/udp\", \"9000/udp\"]")
        .option("attempt_rate", "100000")
        .option("log_rate", "100000");
    let gate = Mark::new();
    let by_datagrams = gate.on(by_datagrams);
    let mut daemon = start(daemon(&by_datagrams)?)?;
    let knock = || world.knock(&["7000/udp", "8000/udp", "9000/udp"], Duration::ZERO);
    let lost = || Ok::<_, anyhow::Error>(Status::read()?.counter("event_lost"));
    assert_eq!(lost()?, 0);

    daemon.signal(Signal::SIGSTOP)?;
    // Step 1, then step 3: a wrong knock.
    let ports = [7000, 9000].map(|port| world.server(port));
    send_many(Host::Client, &ports, PAIRS)?;
    let lost_by_then = lost()?;
    assert!(lost_by_then > 0, "the ring buffer holds {} events and more", 2 * PAIRS);
    // Knocks are heard, connections denied, and what is not told is counted.
    for _ in 0..3 {
        knock()?;
        world.must_open(Host::Client)?;
        assert_eq!(world.connect(Host::Stranger)?.0, Probe::Silent);
        world.revoke()?;
        assert_eq!(world.connect(Host::Client)?.0, Probe::Silent);
    }
    // And a grant ends in time.
    world.command(&["allow", "192.0.2.2", "--for", "1s"])?;
    world.must_open(Host::Client)?;
    let allowed = Instant::now();
    while world.connect(Host::Client)?.0 != Probe::Silent {
        ensure!(allowed.elapsed() < Duration::from_secs(5), "a grant of one second has not ended");
    }
    let flood = Flood::start(Host::Stranger, world.server(SSH_PORT));
    thread::sleep(Duration::from_millis(300));
    assert_eq!(flood.stop()?.opened, 0);
    assert!(lost()? > lost_by_then);

    let mark = daemon.lines.count();
    daemon.signal(Signal::SIGCONT)?;
    let said = daemon.lines.wait_after(mark, "events were lost", TIMEOUT)?;
    assert!(said.contains(&lost()?.to_string()), "{said}: {}", lost()?);
    // What was in the buffer is told, and all that comes now.
    let told = daemon.lines.after(mark).iter().filter(|line| line.contains("wrong knock")).count();
    assert!(told > 500, "{told}");
    let mark = daemon.lines.count();
    knock()?;
    daemon.lines.wait_after(mark, "OPEN SESAME", TIMEOUT).context("it has not caught up")?;
    let lost_in_the_end = lost()?;
    let mark = daemon.lines.count();
    world.command(&["reload"])?;
    daemon.lines.wait_after(mark, GATE_STANDS, TIMEOUT)?;
    assert_eq!(lost()?, lost_in_the_end);
    daemon.kill()?;
    is_over(world, gate)
}

fn events_of_another_size_are_counted_and_told_of_once() -> Result<()> {
    const SAID: &str = "another size or kind";
    let world = World::new(Family::V4, None)?;
    let gate = Mark::new();
    let mut daemon = start(daemon(&gate.on(Config::lab()))?)?;
    let unread = || Status::read().map(|status| status.0["daemon"]["unread_events"].as_u64());
    assert_eq!(unread()?, Some(0));
    let ring = Path::new(PINS).join("EVENTS");
    // Longer ones, shorter ones, and one of the right size whose kind nobody knows.
    put_records(&ring, size_of::<Event>() + 8, 0, 100)?;
    put_records(&ring, 8, 0, 50)?;
    put_records(&ring, size_of::<Event>(), 0xff, 1)?;
    until("the number of them", TIMEOUT, || (unread().ok()? == Some(151)).then_some(()))?;
    let ran = world.command(&["status"])?;
    ensure!(ran.contains("EVENTS NOT READ: 151"), "{ran}");
    // What is an event is read as before.
    let mark = daemon.lines.count();
    world.knock_open()?;
    daemon.lines.wait_after(mark, "OPEN SESAME", TIMEOUT)?;
    let told = daemon.lines.after(0).iter().filter(|line| line.contains(SAID)).count();
    assert_eq!(told, 1);
    daemon.kill()?;
    is_over(world, gate)
}
