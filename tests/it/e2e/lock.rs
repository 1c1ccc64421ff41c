//! The daemon's lock: no user can hold it, and who holds it is not taken for the daemon without a second look.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use anyhow::Result;
use tests::harness::{Test, tests, waiting_tests};
use tests::lab::{
    Background, Config, Family, Host, NOBODY, PINS, Probe, Ran, Status, TIMEOUT, knockctl, knockctl_path, until,
};
use tests::story::World;

use super::{assert_fails, assert_says};

/// The tests.
pub fn tests() -> Vec<Test> {
    let mut all = tests![
        "e2e::lock";
        a_user_cannot_hold_the_lock,
        a_user_who_held_it_before_is_not_the_daemon,
        another_process_with_the_daemons_number_is_never_signalled,
        a_lock_of_roots_is_not_taken_away,
    ];
    all.extend(waiting_tests!["e2e::lock"; a_reload_ends_while_somebody_keeps_the_pins_locked]);
    all
}

/// `knockctl reload` where it may have to do without the daemon.
fn reload() -> Result<Ran> {
    let file = Config::lab().write("gate.toml")?.display().to_string();
    knockctl(Host::Server, &["reload", "--config", &file])
}

const LOCK: &str = "/run/knock/daemon.pid";
const INFO: &str = "/run/knock/daemon.json";

/// A program that holds a lock, once it does.
fn holds(flock: &[&str], user: bool) -> Result<Background> {
    let mut command = Command::new("setpriv");
    if user {
        command.args([&format!("--reuid={NOBODY}"), &format!("--regid={NOBODY}"), "--clear-groups"]);
    }
    // Without a child, which would go on holding it.
    command.args(["flock", "--no-fork"]).args(flock).args(["sh", "-c", "echo held >&2; exec sleep 1000"]);
    let holder = Background::start(Host::Server, command, None)?;
    holder.lines.wait_after(0, "held", TIMEOUT)?;
    Ok(holder)
}

/// A gate whose daemon was killed, with its files as earlier versions left them, and a user who locks them.
fn besieged(pid: Option<u32>) -> Result<(World, Background)> {
    let mut world = World::guarded(Family::V4, &Config::lab())?;
    let dead = world.gate()?.id();
    world.gate()?.kill()?;
    for (path, mode) in [("/run/knock", 0o755), (LOCK, 0o644), (INFO, 0o644)] {
        fs::set_permissions(path, Permissions::from_mode(mode))?;
    }
    let pid = pid.unwrap_or(dead);
    fs::write(LOCK, format!("{pid}\n"))?;
    let mut info: serde_json::Value = serde_json::from_slice(&fs::read(INFO)?)?;
    info["pid"] = pid.into();
    fs::write(INFO, info.to_string())?;
    let holder = holds(&["-s", LOCK], true)?;
    Ok((world, holder))
}

fn a_user_cannot_hold_the_lock() -> Result<()> {
    let mut world = World::new(Family::V4, None)?;
    // As it was made until now.
    fs::set_permissions("/run/knock", Permissions::from_mode(0o755))?;
    world.start(&Config::lab())?;
    world.gate()?.kill()?;
    for path in [LOCK, "/run/knock"] {
        let mut command = Command::new("setpriv");
        command.args([&format!("--reuid={NOBODY}"), &format!("--regid={NOBODY}"), "--clear-groups"]);
        let ran = Host::Server.run(command.args(["flock", "-n", "-s", path, "true"]))?;
        assert!(ran.code != 0 && ran.stderr.contains("denied"), "{path}: {ran}");
    }
    world.start(&Config::lab())?;
    Ok(())
}

fn a_user_who_held_it_before_is_not_the_daemon() -> Result<()> {
    let besieged_world = besieged(None)?;
    assert_eq!(Status::read()?.daemon(), None);
    assert_says(&reload()?, 0, &["reloaded", "the daemon is not running"]);
    drop(besieged_world);
    let (mut world, _holder) = besieged(None)?;
    let id = world.start(&Config::lab())?.id();
    assert_eq!(Status::read()?.daemon(), Some(u64::from(id)));
    assert_says(&knockctl(Host::Server, &["reload"])?, 0, &["by the daemon"]);
    // One at a time, as ever.
    let file = Config::lab().write("second.toml")?.display().to_string();
    assert_fails(&knockctl(Host::Server, &["run", "--config", &file])?, &["already running", &id.to_string()]);
    world.knock_open()?;
    world.must_open(Host::Client)?;
    Ok(())
}

fn another_process_with_the_daemons_number_is_never_signalled() -> Result<()> {
    // SIGHUP, SIGTERM and SIGUSR1 would end it.
    let mut bystander = Command::new("sleep").arg("1000").spawn()?;
    let (world, _holder) = besieged(Some(bystander.id()))?;
    assert_eq!(Status::read()?.daemon(), None);
    assert_says(&reload()?, 0, &["the daemon is not running"]);
    assert_says(&knockctl(Host::Server, &["unload"])?, 0, &["taken off"]);
    assert_eq!(bystander.try_wait()?, None);
    bystander.kill()?;
    bystander.wait()?;
    world.must_open(Host::Client)?;
    Ok(())
}

fn a_lock_of_roots_is_not_taken_away() -> Result<()> {
    let mut world = World::guarded(Family::V4, &Config::lab())?;
    world.gate()?.kill()?;
    let holder = holds(&["-x", LOCK], false)?;
    let file = Config::lab().write("second.toml")?.display().to_string();
    let mut command = Command::new("timeout");
    command.arg(TIMEOUT.as_secs().to_string()).arg(knockctl_path()?).args(["run", "--config", &file]);
    let ran = Host::Server.run(&mut command)?;
    assert_fails(&ran, &[LOCK, "has not said that it is the daemon", "fuser"]);
    assert_eq!(Status::read()?.daemon(), None);
    drop(holder);
    until("the end of the lock", TIMEOUT, || reload().ok().filter(|ran| ran.code == 0))?;
    world.start(&Config::lab())?;
    Ok(())
}

fn a_reload_ends_while_somebody_keeps_the_pins_locked() -> Result<()> {
    let mut world = World::guarded(Family::V4, &Config::lab())?;
    world.gate()?.kill()?;
    let _holder = holds(&["-x", PINS], false)?;
    let mut command = Command::new("timeout");
    command.arg("60").arg(knockctl_path()?).args(["reload", "--config"]).arg(Config::lab().write("gate.toml")?);
    assert_fails(&Host::Server.run(&mut command)?, &[PINS, "kept it locked", "fuser"]);
    assert_eq!(world.connect(Host::Client)?.0, Probe::Silent);
    Ok(())
}
