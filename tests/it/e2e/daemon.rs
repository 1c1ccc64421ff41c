//! The daemon's life: one at a time, its logs, its end.

use std::fs;

use anyhow::Result;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tests::harness::{Test, tests};
use tests::lab::{
    Background, Config, Daemon, Family, GATE_STANDS, Host, PINS, Pause, Probe, SSH_PORT, Status, TIMEOUT, knockctl,
    knockctl_path, pause, until,
};
use tests::story::World;

use super::{assert_fails, assert_says};

/// The tests.
pub fn tests() -> Vec<Test> {
    tests![
        "e2e::daemon";
        a_second_daemon_is_refused_and_the_first_goes_on,
        a_restart_keeps_links_grants_attempts_and_counters,
        on_exit_detach_takes_the_gate_down,
        sigusr2_leaves_the_gate_to_the_next_daemon,
        unload_ends_the_daemon_too,
        the_log_tells_what_happens,
        a_denial_is_logged_under_a_limit,
        a_log_file_is_appended_to,
        events_are_followed,
        events_are_kept_for_later,
    ]
}

fn a_second_daemon_is_refused_and_the_first_goes_on() -> Result<()> {
    let mut world = World::new(Family::V4, None)?;
    let id = world.gate()?.id();
    let file = Config::lab().write("second.toml")?.display().to_string();
    let ran = knockctl(Host::Server, &["run", "--config", &file])?;
    assert_fails(&ran, &["already running", &id.to_string(), "knockctl reload"]);
    assert!(world.gate()?.runs());
    assert_eq!(Status::read()?.daemon(), Some(u64::from(id)));
    let mark = world.gate()?.mark();
    world.knock_open()?;
    world.gate()?.wait_after(mark, "OPEN SESAME")?;
    Ok(())
}

/// The lab's config with time for a restart between two knocks.
fn patient() -> Config {
    Config::lab().set("seq_timeout", "\"60s\"")
}

/// The ids of the links on the server's interfaces.
fn links() -> Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir("/sys/fs/bpf/knock/links")? {
        let link = aya::programs::links::FdLink::from(aya::programs::links::PinnedLink::from_pin(entry?.path())?);
        names.push(link.info()?.id().to_string());
    }
    names.sort();
    Ok(names)
}

fn a_restart_keeps_links_grants_attempts_and_counters() -> Result<()> {
    let mut world = World::guarded(Family::V4, &patient())?;
    world.command(&["allow", "203.0.113.9"])?;
    world.connect(Host::Stranger)?;
    world.knock(&["7000/tcp", "8000/udp"], std::time::Duration::ZERO)?;
    let (before, denied) = (links()?, Status::read()?.counter("deny_new"));
    assert!(denied > 0);
    world.gate()?.kill()?;
    world.start(&patient())?;
    assert_eq!(links()?, before);
    let status = Status::read()?;
    assert_eq!(status.grants().len(), 1);
    assert_eq!(status.attempts().len(), 1);
    assert!(status.counter("deny_new") >= denied);
    world.knock(&["9000/tcp"], std::time::Duration::ZERO)?;
    world.must_open(Host::Client)?;
    Ok(())
}

fn on_exit_detach_takes_the_gate_down() -> Result<()> {
    let mut world = World::guarded(Family::V4, &Config::lab().option("on_exit", "\"detach\""))?;
    assert_eq!(world.connect(Host::Client)?.0, Probe::Silent);
    assert!(world.gate()?.terminate()?.success());
    world.must_open(Host::Client)?;
    assert!(!std::path::Path::new(PINS).exists());
    Ok(())
}

fn sigusr2_leaves_the_gate_to_the_next_daemon() -> Result<()> {
    let mut world = World::new(Family::V4, None)?;
    let detaching = Config::lab().option("on_exit", "\"detach\"");
    let mut daemon = Daemon::start(&detaching, None)?;
    world.knock_open()?;
    kill(Pid::from_raw(i32::try_from(daemon.id())?), Signal::SIGUSR2)?;
    assert!(daemon.wait()?.success());
    assert_eq!(world.connect(Host::Stranger)?.0, Probe::Silent);
    world.start(&detaching)?;
    assert_eq!(Status::read()?.grants().len(), 1);
    Ok(())
}

fn unload_ends_the_daemon_too() -> Result<()> {
    let mut world = World::new(Family::V4, None)?;
    world.gate()?;
    world.command(&["unload"])?;
    let mut daemon = world.daemon.take().expect("it was started");
    assert!(daemon.wait()?.success());
    world.must_open(Host::Client)?;
    assert!(!std::path::Path::new(PINS).exists());
    assert_says(&knockctl(Host::Server, &["status"])?, 1, &[]);
    Ok(())
}

fn the_log_tells_what_happens() -> Result<()> {
    let mut world = World::guarded(Family::V4, &Config::lab().set("cmd_timeout", "\"1s\""))?;
    for family in Family::ALL {
        world.family = family;
        let (client, stranger) = (world.address(Host::Client), world.address(Host::Stranger));
        let daemon = world.daemon.as_ref().expect("it was started");
        let mark = daemon.mark();
        world.connect(Host::Stranger)?;
        daemon.wait_after(mark, &format!("did not knock: {stranger} -> :{SSH_PORT}/tcp"))?;
        world.knock_open()?;
        for text in ["opencloseSSH: Stage 1", "opencloseSSH: Stage 2", "opencloseSSH: OPEN SESAME", "ssh2: expired"] {
            daemon.wait_after(mark, &format!("{client}: {text}"))?;
        }
        world.knock(&["7000/tcp", "9000/tcp"], std::time::Duration::ZERO)?;
        daemon.wait_after(mark, &format!("{client}: opencloseSSH: wrong knock (stage 1)"))?;
        world.knock(&["7000/tcp"], std::time::Duration::ZERO)?;
        daemon.wait_after(mark, &format!("{client}: opencloseSSH: sequence timeout (stage 1)"))?;
    }
    Ok(())
}

fn a_denial_is_logged_under_a_limit() -> Result<()> {
    let mut world = World::new(Family::V4, None)?;
    let mark = world.gate()?.mark();
    let flood = tests::lab::Flood::start(Host::Stranger, world.server(SSH_PORT));
    pause(Pause::LimitPerSecond);
    let flooded = flood.stop()?;
    let lines = world.gate()?.after(mark).iter().filter(|line| line.contains("did not knock")).count();
    assert!(flooded.sent > 1000, "{flooded:?}");
    assert!((1..=60).contains(&lines), "{lines} lines for {flooded:?}");
    let status = Status::read()?;
    assert!(status.counter("deny_new") >= flooded.sent, "{flooded:?}");
    Ok(())
}

fn a_log_file_is_appended_to() -> Result<()> {
    let mut world = World::new(Family::V4, None)?;
    let log = std::path::Path::new("/run/knock/log");
    fs::write(log, "an old line\n")?;
    let config = Config::lab().set("log", &format!("{:?}", log.display().to_string()));
    world.daemon = Some(Daemon::begin(&config, None)?);
    let read = || fs::read_to_string(log).unwrap_or_default();
    until("the log", TIMEOUT, || read().contains(GATE_STANDS).then_some(()))?;
    world.knock_open()?;
    until("the log", TIMEOUT, || read().contains("OPEN SESAME").then_some(()))?;
    assert!(read().starts_with("an old line\n"), "{}", read());
    // A warning goes on in the next line.
    let stamped = |line: &str| line.starts_with("[2") && line.contains("] ") || line.starts_with("  ");
    assert!(read().lines().skip(1).all(stamped), "{}", read());
    Ok(())
}

fn events_are_followed() -> Result<()> {
    let mut world = World::new(Family::V4, None)?;
    world.gate()?;
    let mut command = std::process::Command::new(knockctl_path()?);
    command.args(["events", "--follow", "--json"]);
    let (mut reader, _input) = Background::talk(Host::Server, command)?;
    // It follows once it shows what was before.
    reader.lines.wait_after(0, "the gate stands", TIMEOUT)?;
    let mark = reader.lines.count();
    world.knock_open()?;
    let line = reader.lines.wait_after(mark, "\"opened\"", TIMEOUT)?;
    let event: serde_json::Value = serde_json::from_str(&line)?;
    assert_eq!((&event["source"], &event["door"]), (&"192.0.2.2".into(), &"opencloseSSH".into()), "{line}");
    assert!(reader.runs());
    Ok(())
}

fn events_are_kept_for_later() -> Result<()> {
    let mut world = World::new(Family::V4, None)?;
    world.gate()?;
    world.knock_open()?;
    let events = || knockctl(Host::Server, &["events"]);
    // They are written behind the log.
    until("the event", TIMEOUT, || events().ok()?.stdout.contains("OPEN SESAME").then_some(()))?;
    world.gate()?.kill()?;
    assert_says(&events()?, 0, &["192.0.2.2: opencloseSSH: Stage 1", "OPEN SESAME"]);
    Ok(())
}
