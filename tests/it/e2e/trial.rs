//! Rules on trial go by themselves, unless somebody confirms them.

use anyhow::Result;
use tests::harness::{Test, waiting_tests};
use tests::lab::{Config, Daemon, Family, Host, PINS, Pause, Probe, Status, TIMEOUT, knockctl, pause, until};
use tests::story::World;

use super::{assert_fails, assert_says};

/// The tests.
pub fn tests() -> Vec<Test> {
    waiting_tests![
        "e2e::trial";
        a_gate_that_nobody_confirms_is_taken_down,
        a_gate_that_is_confirmed_stays,
        a_gate_on_trial_lets_everybody_in_at_its_end_without_a_daemon,
        rules_that_nobody_confirms_go_back,
        rules_that_are_confirmed_stay,
        a_trial_that_cannot_be_is_refused,
        who_is_about_to_shut_himself_out_is_warned,
    ]
}

/// A trial that a busy machine can begin, look at and confirm before it ends.
const SHORT: &str = "8s";

fn on_trial(span: &str) -> Result<World> {
    let mut world = World::new(Family::V4, None)?;
    world.daemon = Some(Daemon::start_with(&Config::lab(), &["--trial", span])?);
    Ok(world)
}

fn stands() -> bool {
    std::path::Path::new(PINS).exists()
}

fn a_gate_that_nobody_confirms_is_taken_down() -> Result<()> {
    let mut world = on_trial(SHORT)?;
    assert_eq!(world.connect(Host::Client)?.0, Probe::Silent);
    assert_says(&knockctl(Host::Server, &["status"])?, 0, &["ON TRIAL: goes back in", "knockctl confirm"]);
    let mark = 0;
    world.gate()?.wait_after(mark, "not confirmed: the gate is taken down")?;
    until("the end of the gate", TIMEOUT, || (!stands()).then_some(()))?;
    world.must_open(Host::Client)?;
    assert_says(&knockctl(Host::Server, &["confirm"])?, 1, &["nothing is on trial"]);
    Ok(())
}

fn a_gate_that_is_confirmed_stays() -> Result<()> {
    let mut world = on_trial(SHORT)?;
    world.command(&["allow", "203.0.113.9"])?;
    assert_says(&knockctl(Host::Server, &["confirm"])?, 0, &["confirmed"]);
    pause(Pause::NoEndOfTrial);
    assert_eq!(world.connect(Host::Client)?.0, Probe::Silent);
    assert!(world.gate()?.runs());
    assert_eq!(Status::read()?.grants().len(), 1);
    // And the program does not know of an end any more.
    world.gate()?.kill()?;
    assert_eq!(world.connect(Host::Client)?.0, Probe::Silent);
    Ok(())
}

fn a_gate_on_trial_lets_everybody_in_at_its_end_without_a_daemon() -> Result<()> {
    let mut world = on_trial(SHORT)?;
    world.gate()?.kill()?;
    assert_eq!(world.connect(Host::Client)?.0, Probe::Silent);
    assert_fails(&knockctl(Host::Server, &["confirm"])?, &["is gone", "knockctl run"]);
    pause(Pause::NoEndOfTrial);
    world.must_open(Host::Client)?;
    // The next daemon makes a gate of it again.
    world.start(&Config::lab())?;
    assert_eq!(world.connect(Host::Client)?.0, Probe::Silent);
    Ok(())
}

/// A standing gate, and a config that protects another port.
fn other_rules(world: &mut World) -> Result<()> {
    let config = Config::lab().with("[\"2222/tcp\"]", "[\"2300/tcp\"]");
    world.start(&Config::lab())?;
    config.write("gate.toml")?;
    Ok(())
}

fn rules_that_nobody_confirms_go_back() -> Result<()> {
    let mut world = World::new(Family::V4, None)?;
    other_rules(&mut world)?;
    let mark = world.gate()?.mark();
    assert_says(&knockctl(Host::Server, &["reload", "--trial", SHORT])?, 0, &["reloaded", "on trial for 8s"]);
    world.must_open(Host::Client)?;
    world.gate()?.wait_after(mark, "not confirmed: the rules are what they were before")?;
    assert_eq!(world.connect(Host::Client)?.0, Probe::Silent);
    // Whoever ends the daemon meanwhile does not want them either.
    knockctl(Host::Server, &["reload", "--trial", "60s"])?.success()?;
    world.must_open(Host::Client)?;
    world.gate()?.terminate()?;
    assert_eq!(world.connect(Host::Client)?.0, Probe::Silent);
    Ok(())
}

fn rules_that_are_confirmed_stay() -> Result<()> {
    let mut world = World::new(Family::V4, None)?;
    other_rules(&mut world)?;
    knockctl(Host::Server, &["reload", "--trial", SHORT])?.success()?;
    assert_says(&knockctl(Host::Server, &["confirm"])?, 0, &["confirmed"]);
    pause(Pause::NoEndOfTrial);
    world.must_open(Host::Client)?;
    let after = Status::read()?;
    assert!(after.0["services"][0]["ports"].to_string().contains("2300"), "{}", after.0);
    Ok(())
}

fn a_trial_that_cannot_be_is_refused() -> Result<()> {
    let mut world = World::guarded(Family::V4, &Config::lab())?;
    let file = world.gate()?.config().display().to_string();
    world.gate()?.kill()?;
    assert_fails(&knockctl(Host::Server, &["run", "--config", &file, "--trial", "9s"])?, &["stands already", "reload"]);
    let ran = knockctl(Host::Server, &["reload", "--config", &file, "--trial", "9s"])?;
    assert_eq!(ran.code, 2, "{ran}");
    assert!(ran.stderr.contains("a trial needs the daemon"), "{ran}");
    assert_eq!(world.connect(Host::Client)?.0, Probe::Silent);
    Ok(())
}

fn who_is_about_to_shut_himself_out_is_warned() -> Result<()> {
    let world = World::new(Family::V4, None)?;
    let config = Config::lab().write("gate.toml")?.display().to_string();
    let run = |connection: &str| {
        let mut command = std::process::Command::new(tests::lab::knockctl_path()?);
        command.args(["run", "--config", &config]).env("SSH_CONNECTION", connection);
        let program = tests::lab::Background::start(Host::Server, command, None)?;
        program.lines.wait_after(0, tests::lab::GATE_STANDS, TIMEOUT)?;
        anyhow::Ok(program.lines.after(0).join("\n"))
    };
    let text = run("198.51.100.2 50022 192.0.2.1 2222")?;
    assert!(text.contains("this ssh session comes from 198.51.100.2"), "{text}");
    let check = |connection: &str| {
        let mut command = std::process::Command::new(tests::lab::knockctl_path()?);
        command.args(["check", &config]).env("SSH_CONNECTION", connection);
        anyhow::Ok(Host::Server.run(&mut command)?.stdout)
    };
    assert!(check("198.51.100.2 50022 192.0.2.1 2222")?.contains("warning: this ssh session comes from 198.51.100.2"));
    assert!(!check("198.51.100.2 50022 192.0.2.1 22")?.contains("this ssh session"));
    let text = run("198.51.100.2 50022 192.0.2.1 22")?;
    assert!(!text.contains("this ssh session"), "{text}");
    drop(world);
    Ok(())
}
