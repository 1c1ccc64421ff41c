//! A config with an error changes nothing: not at the start, not at a reload.

use anyhow::Result;
use libtest_mimic::Trial;
use tests::lab::{Config, Daemon, Family, Host, Lab, Probe, Status, knockctl};
use tests::story::World;

use super::{assert_fails, assert_says};
use crate::trials::trials;

/// The trials.
pub fn trials() -> Vec<Trial> {
    trials![
        "e2e::config";
        a_start_with_an_error_leaves_nothing,
        a_start_with_an_error_leaves_the_gate_that_stands,
        a_reload_with_an_error_changes_nothing,
        a_reload_of_a_file_that_is_gone_changes_nothing,
        the_examples_are_valid,
    ]
}

/// What can be wrong, and what the message has to name.
fn errors() -> Vec<(Config, Vec<&'static str>)> {
    let lab = Config::lab;
    vec![
        (lab().with("[services.ssh2]", "[services.ssh2"), vec!["gate.toml:"]),
        (lab().with("log_denied", "log_dennied"), vec!["gate.toml:", "log_dennied", "log_denied"]),
        (lab().with("[\"2222/tcp\"]", "[\"0/tcp\"]"), vec!["gate.toml:", "port 0"]),
        (lab().with("9001/tcp", "99001/tcp"), vec!["gate.toml:", "99001"]),
        (lab().with("8000/udp", "2222/tcp"), vec!["gate.toml:", "2222"]),
        (lab().set("seq_timeout", "\"soon\""), vec!["gate.toml:", "seq_timeout", "soon"]),
        (lab().set("interfaces", "[]"), vec!["gate.toml:", "interfaces"]),
        (lab().set("log", "\"/no/such/dir/log\""), vec!["/no/such/dir/log"]),
    ]
}

fn a_start_with_an_error_leaves_nothing() -> Result<()> {
    let _lab = Lab::new()?;
    for (config, words) in errors() {
        let file = config.write("gate.toml")?.display().to_string();
        let ran = knockctl(Host::Server, &["run", "--config", &file])?;
        assert_fails(&ran, &words);
        assert!(!std::path::Path::new("/sys/fs/bpf/knock").exists(), "pins are left by {ran}");
        assert_says(&knockctl(Host::Server, &["status"])?, 1, &[]);
    }
    let ran = knockctl(Host::Server, &["run", "--config", "/no/such/file.toml"])?;
    assert_fails(&ran, &["/no/such/file.toml"]);
    Ok(())
}

fn a_start_with_an_error_leaves_the_gate_that_stands() -> Result<()> {
    let mut world = World::new(Family::V4, None)?;
    world.gate()?.kill()?;
    let before = rules()?;
    world.command(&["allow", "203.0.113.9"])?;
    for (config, words) in errors() {
        let file = config.write("gate.toml")?.display().to_string();
        assert_fails(&knockctl(Host::Server, &["run", "--config", &file])?, &words);
        stands_as_before(&world, &before)?;
    }
    Ok(())
}

fn a_reload_with_an_error_changes_nothing() -> Result<()> {
    let mut world = World::new(Family::V4, None)?;
    world.gate()?;
    let before = rules()?;
    world.command(&["allow", "203.0.113.9"])?;
    for (config, words) in errors() {
        config.write("gate.toml")?;
        let daemon = world.gate()?;
        let mark = daemon.mark();
        daemon.hang_up()?;
        let line = daemon.wait_after(mark, "the gate goes on as it was")?;
        let said = daemon.after(mark).join("\n");
        for word in words {
            assert!(said.contains(word), "{word:?} is missing: {line}\n{said}");
        }
        let ran = knockctl(Host::Server, &["reload"])?;
        assert_ne!(ran.code, 0, "{ran}");
        stands_as_before(&world, &before)?;
    }
    // And the daemon still takes one that is right.
    Config::lab().set("cmd_timeout", "\"9s\"").write("gate.toml")?;
    assert_says(&knockctl(Host::Server, &["reload"])?, 0, &[]);
    world.knock_open()?;
    let status = Status::read()?;
    let left = status.grants_of(world.address(Host::Client))[0]["seconds_left"].as_f64().unwrap_or_default();
    assert!(left > 5.0, "{left}");
    Ok(())
}

fn a_reload_of_a_file_that_is_gone_changes_nothing() -> Result<()> {
    let mut world = World::new(Family::V4, None)?;
    world.gate()?;
    let before = rules()?;
    world.command(&["allow", "203.0.113.9"])?;
    let daemon = world.gate()?;
    std::fs::remove_file(daemon.config())?;
    let mark = daemon.mark();
    daemon.hang_up()?;
    daemon.wait_after(mark, "gate.toml")?;
    stands_as_before(&world, &before)
}

/// What the running rules are.
fn rules() -> Result<String> {
    let status = Status::read()?.0;
    Ok(format!("{} {} {}", status["interfaces"], status["services"], status["doors"]))
}

fn stands_as_before(world: &World, before: &str) -> Result<()> {
    assert_eq!(rules()?, before);
    let status = Status::read()?;
    assert_eq!(status.grants().len(), 1, "{:?}", status.grants());
    assert_eq!(world.connect(Host::Client)?.0, Probe::Silent);
    world.knock_open()?;
    assert_eq!(world.connect(Host::Client)?.0, Probe::Open);
    world.revoke()
}

fn the_examples_are_valid() -> Result<()> {
    let _lab = Lab::new()?;
    let examples = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples");
    let mut count = 0;
    for entry in std::fs::read_dir(examples)? {
        let path = entry?.path();
        // The client's profiles are another kind of file.
        let is_gate = path.file_name().is_none_or(|name| name != "client.toml");
        if is_gate && path.extension().is_some_and(|extension| extension == "toml") {
            let config = Config(std::fs::read_to_string(&path)?);
            let file = config.write("example.toml")?.display().to_string();
            assert_says(&knockctl(Host::Server, &["check", &file])?, 0, &[]);
            let mut daemon = Daemon::start(&config, None)?;
            assert!(daemon.terminate()?.success());
            assert_says(&knockctl(Host::Server, &["unload"])?, 0, &[]);
            count += 1;
        }
    }
    assert!(count >= 3, "{count} examples");
    Ok(())
}
