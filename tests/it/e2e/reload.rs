//! A reload swaps the rules at once: there is no moment without a gate, and nothing is lost.

use std::time::Duration;

use anyhow::{Context as _, Result};
use tests::harness::{Test, tests};
use tests::lab::{Config, Family, Flood, GATE_STANDS, Host, Probe, SSH_PORT, Session, Status, accepted, connect};
use tests::lab::{Mark, PATIENCE, knockctl};
use tests::story::World;

use super::{assert_fails, assert_says};

/// The tests.
pub fn tests() -> Vec<Test> {
    tests![
        "e2e::reload";
        no_syn_gets_through_while_rules_are_swapped,
        grants_attempts_and_sessions_are_kept,
        new_rules_hold_and_old_ones_do_not,
        a_change_of_the_rules_alone_finds_its_program_loaded,
        the_first_trusted_network_gets_a_program_that_asks_for_it,
        an_interface_can_be_left_out_and_taken_in,
        a_slip_of_the_pen_takes_the_gate_off_no_last_interface,
        with_force_the_gate_is_taken_off_the_last_interface,
        the_grant_table_can_grow_with_its_grants,
        the_command_waits_for_the_outcome,
        without_a_daemon_the_command_swaps_the_rules_itself,
        a_config_that_has_changed_since_it_was_loaded_is_said,
    ]
}

/// Swaps the rules by SIGHUP.
fn reload(world: &mut World, config: &Config) -> Result<()> {
    config.write("gate.toml")?;
    let daemon = world.gate()?;
    let mark = daemon.mark();
    daemon.hang_up()?;
    daemon.wait_after(mark, GATE_STANDS)?;
    Ok(())
}

fn no_syn_gets_through_while_rules_are_swapped() -> Result<()> {
    const RELOADS: u32 = 20;
    let mut world = World::new(Family::V4, None)?;
    world.gate()?;
    let before = accepted(Host::Server)?;
    let floods =
        Family::ALL.map(|family| Flood::start(Host::Stranger, (family.address(Host::Server), SSH_PORT).into()));
    let other = Config::lab().set("cmd_timeout", "\"5s\"").option("max_grants", "1000");
    for _ in 0..RELOADS / 2 {
        reload(&mut world, &other)?;
        reload(&mut world, &Config::lab())?;
    }
    for flood in floods {
        let flooded = flood.stop()?;
        assert!(flooded.sent > 100, "{flooded:?}");
        assert_eq!(flooded.opened, 0, "{flooded:?}");
    }
    assert_eq!(accepted(Host::Server)?, before);
    Ok(())
}

fn grants_attempts_and_sessions_are_kept() -> Result<()> {
    let patient = || Config::lab().set("seq_timeout", "\"60s\"");
    let mut world = World::guarded(Family::V4, &patient())?;
    let mut session = open_session(&world)?;
    world.command(&["allow", "203.0.113.9"])?;
    world.connect(Host::Stranger)?;
    let denied = Status::read()?.counter("deny_new");
    assert!(denied > 0);
    world.knock(&["7000/tcp", "8000/udp"], Duration::ZERO)?;
    // The door stays the same; all around it changes.
    let trusting = patient().option("trusted", "[\"203.0.113.0/24\"]");
    for config in [trusting, patient().option("attempt_rate", "100").set("log_denied", "false")] {
        reload(&mut world, &config)?;
        let status = Status::read()?;
        assert_eq!((status.grants().len(), status.attempts().len()), (1, 1));
        assert!(status.counter("deny_new") >= denied);
        session.echo()?;
    }
    world.knock(&["9000/tcp"], Duration::ZERO)?;
    world.must_open(Host::Client)?;
    session.echo()?;
    Ok(())
}

/// A session whose grant has ended.
fn open_session(world: &World) -> Result<Session> {
    world.knock_open()?;
    let session = Session::open(world.family)?;
    world.revoke()?;
    Ok(session)
}

fn new_rules_hold_and_old_ones_do_not() -> Result<()> {
    let mut world = World::new(Family::V4, None)?;
    world.gate()?;
    world.knock(&["7000/tcp", "8000/udp"], Duration::ZERO)?;
    let changed =
        Config::lab().with("[\"7000/tcp\", \"8000/udp\", \"9000/tcp\"]", "[\"7100/tcp\", \"7200/tcp\", \"9000/tcp\"]");
    reload(&mut world, &changed)?;
    // What is under way belongs to the old sequence, even where the rest is the same.
    world.knock(&["9000/tcp"], Duration::ZERO)?;
    assert_eq!(world.connect(Host::Client)?.0, Probe::Silent);
    world.knock_open()?;
    assert_eq!(world.connect(Host::Client)?.0, Probe::Silent);
    world.knock(&["7100/tcp", "7200/tcp", "9000/tcp"], Duration::ZERO)?;
    world.must_open(Host::Client)?;
    // Another port.
    reload(&mut world, &changed.with("\"2222/tcp\"", "\"2223/tcp\""))?;
    world.must_open(Host::Stranger)?;
    assert_eq!(connect(Host::Stranger, world.server(2223), PATIENCE)?.0, Probe::Silent);
    Ok(())
}

fn a_change_of_the_rules_alone_finds_its_program_loaded() -> Result<()> {
    let mark = Mark::new();
    let old = mark.on(Config::lab()).set("cmd_timeout", "\"1h\"");
    let new = old
        .clone()
        .with("[\"7000/tcp\", \"8000/udp\", \"9000/tcp\"]", "[\"7100/tcp\", \"7200/udp\", \"7300/tcp\", \"7400/tcp\"]");
    let (was, is) = (&["7000/tcp", "8000/udp", "9000/tcp"][..], &["7100/tcp", "7200/udp", "7300/tcp", "7400/tcp"][..]);
    for family in Family::ALL {
        let mut world = World::guarded(family, &old)?;
        let (mut right, mut wrong) = (was, is);
        let programs = mark.wait_for_programs(2)?;
        for turn in 0..6 {
            world.knock(wrong, Duration::ZERO)?;
            assert_eq!(world.connect(Host::Client)?.0, Probe::Silent, "turn {turn}");
            world.knock(right, Duration::ZERO)?;
            world.must_open(Host::Client).with_context(|| format!("turn {turn}"))?;
            world.command(&["allow", "203.0.113.9"])?;
            world.revoke()?;
            // What is under way ends with the rules that it belongs to.
            world.knock(&right[..2], Duration::ZERO)?;
            reload(&mut world, if turn % 2 == 0 { &new } else { &old })?;
            world.knock(&right[2..], Duration::ZERO)?;
            assert_eq!(world.connect(Host::Client)?.0, Probe::Silent, "turn {turn}");
            assert_eq!(Status::read()?.grants().len(), 1, "turn {turn}");
            assert_eq!(mark.programs(), programs, "turn {turn}: nothing was loaded");
            (right, wrong) = (wrong, right);
        }
        // A constant of the program: another one, and in a while another one on standby.
        reload(&mut world, &old.clone().option("stealth", "false"))?;
        let others = mark.wait_for_programs(2)?;
        assert!(programs.is_disjoint(&others), "{programs:?} {others:?}");
        world.knock(was, Duration::ZERO)?;
        world.must_open(Host::Client)?;
        // What is on standby goes with the daemon.
        world.gate()?.kill()?;
        assert!(mark.wait_for_programs(1)?.is_subset(&others));
        world.command(&["unload"])?;
        mark.wait_for_programs(0)?;
        mark.wait_for(0)?;
    }
    Ok(())
}

/// A program that was loaded for no trusted network has lost the question whether a source is trusted.
fn the_first_trusted_network_gets_a_program_that_asks_for_it() -> Result<()> {
    for family in Family::ALL {
        let mark = Mark::new();
        let config = mark.on(Config::lab());
        let mut world = World::guarded(family, &config)?;
        // The one that runs, and one that is loaded ahead for the same rules.
        mark.wait_for_programs(2)?;
        assert_eq!(world.connect(Host::Client)?.0, Probe::Silent);
        let trusted = format!("[\"{}\"]", world.address(Host::Client));
        reload(&mut world, &config.clone().option("trusted", &trusted))?;
        world.must_open(Host::Client)?;
        assert_eq!(world.connect(Host::Stranger)?.0, Probe::Silent);
        reload(&mut world, &config)?;
        assert_eq!(world.connect(Host::Client)?.0, Probe::Silent);
    }
    Ok(())
}

fn an_interface_can_be_left_out_and_taken_in() -> Result<()> {
    let mut world = World::new(Family::V4, None)?;
    world.gate()?;
    let one = Config::lab().with("[\"eth0\", \"eth1\"]", "[\"eth0\"]");
    one.write("gate.toml")?;
    let off = "eth1: the gate is taken off: options.interfaces does not mean it\n";
    assert_says(&knockctl(Host::Server, &["reload"])?, 0, &["reloaded", off]);
    world.must_open(Host::Stranger)?;
    assert_eq!(world.connect(Host::Client)?.0, Probe::Silent);
    assert_eq!(Status::read()?.0["interfaces"].as_array().map(Vec::len), Some(1));
    reload(&mut world, &one.with("[\"eth0\"]", "[\"eth*\"]"))?;
    assert_eq!(world.connect(Host::Stranger)?.0, Probe::Silent);
    assert_eq!(world.connect(Host::Client)?.0, Probe::Silent);
    Ok(())
}

/// What is said of a reload that is refused.
const REFUSED: [&str; 4] = [
    "eht0 is not there (did you mean eth0? there are eth0, eth1, lo)",
    "taken off eth0, eth1",
    "NOTHING WOULD BE PROTECTED",
    "knockctl reload --force",
];

fn a_slip_of_the_pen_takes_the_gate_off_no_last_interface() -> Result<()> {
    let mut world = World::new(Family::V4, None)?;
    world.gate()?;
    let file = Config::lab().set("interfaces", "[\"eht0\"]").write("gate.toml")?.display().to_string();
    // By the command, by a signal, by the command without a daemon, and by the next daemon.
    assert_fails(&knockctl(Host::Server, &["reload"])?, &REFUSED);
    assert_eq!(world.connect(Host::Client)?.0, Probe::Silent);
    let daemon = world.gate()?;
    let mark = daemon.mark();
    daemon.hang_up()?;
    daemon.wait_after(mark, "the gate goes on as it was")?;
    let said = daemon.after(mark).join("\n");
    assert!(REFUSED.iter().all(|words| said.contains(words)) && !said.contains(GATE_STANDS), "{said}");
    assert_fails(&knockctl(Host::Server, &["reload", "--trial", "5m"])?, &REFUSED);
    world.gate()?.kill()?;
    assert_fails(&knockctl(Host::Server, &["reload", "--config", &file])?, &REFUSED);
    assert_fails(&knockctl(Host::Server, &["run", "--config", &file])?, &REFUSED);
    let status = Status::read()?;
    assert_eq!((&status.0["stands"], status.0["interfaces"].as_array().map(Vec::len)), (&true.into(), Some(2)));
    for host in [Host::Client, Host::Stranger] {
        assert_eq!(world.connect(host)?.0, Probe::Silent);
    }
    Ok(())
}

fn with_force_the_gate_is_taken_off_the_last_interface() -> Result<()> {
    let mut world = World::new(Family::V4, None)?;
    let off = [
        "eth0: the gate is taken off: options.interfaces does not mean it\n",
        "eth1: the gate is taken off: options.interfaces does not mean it\n",
        "no interface has the gate: NOTHING IS PROTECTED\n",
    ];
    for has_daemon in [true, false] {
        world.gate()?;
        let file = Config::lab().set("interfaces", "[\"eht0\"]").write("gate.toml")?.display().to_string();
        let mut command = vec!["reload", "--force"];
        if !has_daemon {
            world.gate()?.kill()?;
            command.extend(["--config", &file]);
        }
        assert_says(&knockctl(Host::Server, &command)?, 0, &off);
        world.must_open(Host::Client)?;
        for command in [&["status"][..], &[]] {
            let status = knockctl(Host::Server, command)?;
            assert!(
                status.stdout.starts_with("NO INTERFACE HAS THE GATE, NOTHING IS PROTECTED: eht0 is not there"),
                "{status}"
            );
            assert_eq!(status.code, 1, "{status}");
        }
        Config::lab().write("gate.toml")?;
        assert_says(&knockctl(Host::Server, &["reload", "--config", &file])?, 0, &["reloaded"]);
        assert_eq!(world.connect(Host::Client)?.0, Probe::Silent);
        // The word was good for once.
        Config::lab().set("interfaces", "[\"eht0\"]").write("gate.toml")?;
        assert_fails(&knockctl(Host::Server, &["reload", "--config", &file])?, &REFUSED);
    }
    Ok(())
}

fn the_grant_table_can_grow_with_its_grants() -> Result<()> {
    let mut world = World::guarded(Family::V4, &Config::lab().option("max_grants", "3"))?;
    let addresses: Vec<String> = (1..=4).map(|last| format!("203.0.113.{last}")).collect();
    for address in &addresses[..3] {
        world.command(&["allow", address])?;
    }
    assert_eq!(knockctl(Host::Server, &["allow", &addresses[3]])?.code, 2);
    reload(&mut world, &Config::lab().option("max_grants", "10"))?;
    world.command(&["allow", &addresses[3]])?;
    assert_eq!(Status::read()?.grants().len(), 4);
    // It does not shrink below what is live.
    Config::lab().option("max_grants", "2").write("gate.toml")?;
    assert_says(&knockctl(Host::Server, &["reload"])?, 2, &["max_grants", "4 grants"]);
    assert_eq!(Status::read()?.grants().len(), 4);
    Ok(())
}

fn the_command_waits_for_the_outcome() -> Result<()> {
    let mut world = World::new(Family::V4, None)?;
    world.gate()?;
    Config::lab().with("\"9001/tcp\"", "\"9001/tcp\", \"9005/tcp\"").write("gate.toml")?;
    assert_says(&knockctl(Host::Server, &["reload"])?, 0, &[]);
    assert_eq!(Status::read()?.0["doors"][1]["steps"], 3);
    Ok(())
}

fn without_a_daemon_the_command_swaps_the_rules_itself() -> Result<()> {
    let mut world = World::new(Family::V4, None)?;
    world.gate()?.kill()?;
    world.command(&["allow", "203.0.113.9"])?;
    let config = Config::lab().with("\"9001/tcp\"", "\"9001/tcp\", \"9005/tcp\"").write("other.toml")?;
    let ran = knockctl(Host::Server, &["reload", "--config", &config.display().to_string()])?;
    assert_says(&ran, 0, &["the daemon is not running"]);
    let status = Status::read()?;
    assert_eq!((&status.0["doors"][1]["steps"], status.grants().len()), (&3.into(), 1));
    assert_eq!(world.connect(Host::Client)?.0, Probe::Silent);
    Ok(())
}

fn a_config_that_has_changed_since_it_was_loaded_is_said() -> Result<()> {
    let mut world = World::new(Family::V4, None)?;
    let file = world.gate()?.config().display().to_string();
    let is_said = |world: &World| {
        let text = world.command(&["status"])?;
        let status = Status::read()?.0;
        assert_eq!(status["config"]["path"], *file, "{status}");
        let is_said = text.contains(&format!("CONFIG CHANGED since it was loaded: {file}: "));
        assert_eq!(status["config"]["changed"], is_said, "{status}");
        anyhow::Ok(is_said)
    };
    assert!(!is_said(&world)?);
    let changed = Config::lab().set("cmd_timeout", "\"9s\"");
    changed.write("gate.toml")?;
    assert!(is_said(&world)?);
    // A config that is refused is not the one that is in force; one that is taken is.
    Config::lab().with("9001/tcp", "99001/tcp").write("gate.toml")?;
    assert_ne!(knockctl(Host::Server, &["reload"])?.code, 0);
    assert!(is_said(&world)?);
    changed.write("gate.toml")?;
    assert_says(&knockctl(Host::Server, &["reload"])?, 0, &[]);
    assert!(!is_said(&world)?);
    // The same without a daemon.
    world.gate()?.kill()?;
    assert!(!is_said(&world)?);
    Config::lab().write("gate.toml")?;
    assert!(is_said(&world)?);
    assert_says(&knockctl(Host::Server, &["reload", "--config", &file])?, 0, &["the daemon is not running"]);
    assert!(!is_said(&world)?);
    std::fs::remove_file(&file)?;
    assert!(is_said(&world)?);
    Ok(())
}
