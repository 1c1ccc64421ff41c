//! Few open files: refused before anything is attached, and no end of a daemon that stands.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};
use tests::harness::{Test, tests};
use tests::lab::{Background, Config, Family, GATE_STANDS, Host, Mark, PINS, Probe, TIMEOUT, knockctl, until};
use tests::story::World;

use super::{daemon, is_over};
use crate::e2e::{assert_fails, assert_says};

/// The tests.
pub fn tests() -> Vec<Test> {
    tests![
        "e2e::faults::descriptors";
        a_limit_that_is_too_low_is_named_before_anything_is_attached,
        a_soft_limit_is_raised,
        want_of_descriptors_costs_a_standing_daemon_events_only,
    ]
}

const EVENTS: &str = "/run/knock/events.jsonl";

/// A daemon's command under a limit, as prlimit(1) has it.
fn limited(limit: &str, config: &Config) -> Result<std::process::Command> {
    let plain = daemon(config)?;
    let mut command = std::process::Command::new("prlimit");
    command.arg(format!("--nofile={limit}")).arg(plain.get_program()).args(plain.get_args());
    Ok(command)
}

fn a_limit_that_is_too_low_is_named_before_anything_is_attached() -> Result<()> {
    let world = World::new(Family::V4, None)?;
    for limit in [8, 20, 40, 100] {
        let plain = limited(&format!("{limit}:{limit}"), &Config::lab())?;
        let mut command = std::process::Command::new("timeout");
        command.arg(TIMEOUT.as_secs().to_string()).arg(plain.get_program()).args(plain.get_args());
        let ran = Host::Server.run(&mut command)?;
        assert_fails(&ran, &[&format!("{limit} files open (RLIMIT_NOFILE)"), "LimitNOFILE=", "ulimit -Hn"]);
        assert!(!ran.stderr.contains("panicked") && !Path::new(PINS).exists(), "{ran}");
        world.must_open(Host::Client)?;
    }
    Ok(())
}

/// The soft and the hard limit of a process, in words.
fn limits(id: u32) -> Result<[String; 2]> {
    let limits = fs::read_to_string(format!("/proc/{id}/limits"))?;
    let mut words =
        limits.lines().find_map(|line| line.strip_prefix("Max open files")).context("no limit")?.split_whitespace();
    Ok([words.next().context("no soft one")?.to_owned(), words.next().context("no hard one")?.to_owned()])
}

fn a_soft_limit_is_raised() -> Result<()> {
    let world = World::new(Family::V4, None)?;
    let [_, hard] = limits(std::process::id())?;
    for soft in [16, 40] {
        let daemon = Background::start(Host::Server, limited(&format!("{soft}:{hard}"), &Config::lab())?, None)?;
        daemon.lines.wait_after(0, GATE_STANDS, TIMEOUT)?;
        assert_says(&knockctl(Host::Server, &["reload"])?, 0, &["by the daemon"]);
        assert_eq!(world.connect(Host::Client)?.0, Probe::Silent);
    }
    // One that is high enough is left alone: hooks inherit it.
    let daemon = Background::start(Host::Server, limited(&format!("1000:{hard}"), &Config::lab())?, None)?;
    daemon.lines.wait_after(0, GATE_STANDS, TIMEOUT)?;
    assert_eq!(limits(daemon.id())?[0], "1000");
    Ok(())
}

fn want_of_descriptors_costs_a_standing_daemon_events_only() -> Result<()> {
    let mut world = World::new(Family::V4, None)?;
    let mark = Mark::new();
    // A log that is about to be begun anew.
    let line = format!("{{\"time\":\"2026-01-01T00:00:00Z\",\"event\":\"start\",\"text\":\"{}\"}}\n", "x".repeat(900));
    fs::write(EVENTS, line.repeat((1 << 20) / line.len()))?;
    world.start(&mark.on(Config::lab()))?;
    let id = world.gate()?.id();
    let set = |limit: &str| Host::Server.must(&["prlimit", "--pid", &id.to_string(), &format!("--nofile={limit}")]);
    let [soft, hard] = limits(id)?;
    set(&format!("4:{hard}"))?;
    let before = world.gate()?.mark();
    for _ in 0..40 {
        world.knock_open()?;
        world.must_open(Host::Client)?;
        world.revoke()?;
        if world.gate()?.after(before).iter().any(|line| line.contains("events are lost")) {
            break;
        }
    }
    let told = world.gate()?.wait_after(before, "events are lost until it can be written")?;
    assert!(told.contains("/run/knock") && told.contains("Too many open files"), "{told}");
    // A reload cannot be, and changes nothing.
    world.gate()?.hang_up()?;
    world.gate()?.wait_after(before, "the gate goes on as it was")?;
    world.knock_open()?;
    world.must_open(Host::Client)?;
    world.revoke()?;
    assert_eq!(world.connect(Host::Client)?.0, Probe::Silent);
    assert!(world.gate()?.id() == id && world.gate()?.runs());
    let told = world.gate()?.after(before).iter().filter(|line| line.contains("events are lost")).count();
    assert_eq!(told, 1, "{:?}", world.gate()?.after(before));
    set(&format!("{soft}:{hard}"))?;
    until("events again", TIMEOUT, || {
        world.knock_open().ok()?;
        world.revoke().ok()?;
        fs::read_to_string(EVENTS).ok()?.contains("OPEN SESAME").then_some(())
    })?;
    assert_says(&knockctl(Host::Server, &["reload"])?, 0, &["by the daemon"]);
    assert_eq!(world.gate()?.id(), id);
    is_over(world, mark)
}
