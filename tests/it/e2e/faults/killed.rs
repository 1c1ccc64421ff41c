//! `kill -9` at every call with which a start, a reload, an unload or the swap of a one-time sequence changes
//! something that outlives the process. Of several that do the same to different things, some are chosen by chance;
//! with `KNOCK_ALL_STEPS=1` it is all of them.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use aya::maps::MapInfo;
use tests::harness::{Test, tests};
use tests::lab::strace::{Call, Fault, Trace, fault_in, faulty, steps};
use tests::lab::{Background, Config, Family, GATE_STANDS, Host, Mark, PINS, Probe, TIMEOUT, knockctl, sandbox, until};
use tests::story::World;

use super::{Siege, command, daemon, start, unload};

/// The tests.
pub fn tests() -> Vec<Test> {
    tests![
        "e2e::faults::killed";
        a_first_start_killed_at_any_step_is_not_in_the_way,
        a_start_killed_at_any_step_keeps_gate_and_grants,
        a_reload_killed_at_any_step_keeps_gate_and_grants,
        a_reload_to_the_standby_program_killed_at_any_step_keeps_gate_and_grants,
        an_unload_killed_at_any_step_can_be_made_again,
        a_swap_killed_at_any_step_lets_no_sequence_open_twice,
    ]
}

/// Starts a daemon that is killed at a call, and was.
fn killed_start(config: &Config, call: &Call) -> Result<()> {
    let mut killed = Background::start(Host::Server, faulty(&daemon(config)?, call, Fault::Kill), None)?;
    died(&mut killed, call)
}

fn died(process: &mut Background, call: &Call) -> Result<()> {
    let status = process.wait(TIMEOUT * 3).with_context(|| format!("it lives on: {}", call.text))?;
    ensure!(status.signal() == Some(9), "{status} and not killed: {}: {:?}", call.text, process.lines.after(0));
    Ok(())
}

/// The calls of a start that last.
fn calls_of_a_start(config: &Config) -> Result<Vec<Call>> {
    let trace = Trace::new();
    start(trace.of(&daemon(config)?))?.kill()?;
    let mut calls = trace.calls()?;
    calls.retain(Call::is_lasting);
    ensure!(calls.len() > 10, "a start that changes next to nothing: {calls:?}");
    Ok(steps(calls))
}

fn a_first_start_killed_at_any_step_is_not_in_the_way() -> Result<()> {
    let (world, mark) = (World::new(Family::V4, None)?, Mark::new());
    let config = mark.on(Config::lab());
    let calls = calls_of_a_start(&config)?;
    unload(&world)?;
    for (number, call) in calls.iter().enumerate() {
        let step = || format!("killed at {}", call.text);
        killed_start(&config, call)?;
        // One time the next start has to cope with the remains, the next time `unload` has to.
        if number % 3 == 0 {
            start(daemon(&config)?).with_context(step)?.kill()?;
            assert_eq!(world.connect(Host::Client)?.0, Probe::Silent, "{call:?}");
        }
        knockctl(Host::Server, &["unload"])?;
        assert!(!Path::new(PINS).exists(), "{call:?}");
        world.must_open(Host::Client).with_context(|| format!("{call:?}"))?;
    }
    mark.wait_for(0)
}

fn a_start_killed_at_any_step_keeps_gate_and_grants() -> Result<()> {
    let marks = [Mark::new(), Mark::new()];
    // Tables of another size each time, so that grants move.
    let other = || -> Result<Config> {
        let size = MapInfo::from_pin(format!("{PINS}/GRANTS"))?.max_entries();
        Ok(marks[usize::from(marks[0].0 == size)].on(Config::lab()).option("max_attempts", &(1000 + size).to_string()))
    };
    let siege = Siege::lay(&marks[0].on(Config::lab()))?;
    let calls = calls_of_a_start(&other()?)?;
    for call in &calls {
        let step = || format!("killed at {}", call.text);
        killed_start(&other()?, call)?;
        siege.look().with_context(step)?;
    }
    start(daemon(&other()?)?)?.kill()?;
    siege.look()?;
    until("one table", TIMEOUT, || (marks[0].tables().ok()? + marks[1].tables().ok()? == 1).then_some(()))?;
    unload(&siege.lift()?)?;
    marks.into_iter().try_for_each(|mark| mark.wait_for(0))
}

fn a_reload_killed_at_any_step_keeps_gate_and_grants() -> Result<()> {
    // It loads a program: it comes before there is one on standby.
    kill_reloads(1)
}

fn a_reload_to_the_standby_program_killed_at_any_step_keeps_gate_and_grants() -> Result<()> {
    kill_reloads(2)
}

/// Kills reloads of daemons that have so many programs by then.
fn kill_reloads(programs: usize) -> Result<()> {
    let mark = Mark::new();
    let config = mark.on(Config::lab());
    let ready = || -> Result<Background> {
        let daemon = start(daemon(&config)?)?;
        if programs > 1 {
            mark.wait_for_programs(programs)?;
        }
        Ok(daemon)
    };
    let siege = Siege::lay(&config)?;
    let trace = Trace::new();
    let calls = {
        let daemon = ready()?;
        let _tracer = trace.attach(daemon.id())?;
        siege.world.command(&["reload"])?;
        let mut calls = trace.calls()?;
        let loads = calls.iter().any(|call| call.is("PROG_LOAD"));
        ensure!(loads == (programs == 1), "whether a program is loaded: {loads}");
        calls.retain(Call::is_lasting);
        ensure!(calls.iter().any(|call| call.is("LINK_UPDATE")) && calls.len() > 10, "{calls:?}");
        steps(calls)
    };
    for call in &calls {
        let mut daemon = ready().with_context(|| format!("before {}", call.text))?;
        let _tracer = fault_in(daemon.id(), call, Fault::Kill)?;
        daemon.signal(nix::sys::signal::Signal::SIGHUP)?;
        died(&mut daemon, call)?;
        siege.look().with_context(|| format!("killed at {}", call.text))?;
    }
    mark.wait_for(1)?;
    unload(&siege.lift()?)?;
    mark.wait_for(0)
}

fn an_unload_killed_at_any_step_can_be_made_again() -> Result<()> {
    let (world, mark) = (World::new(Family::V4, None)?, Mark::new());
    let config = mark.on(Config::lab());
    let trace = Trace::new();
    let stand = || start(daemon(&config)?)?.kill();
    stand()?;
    Host::Server.run(&mut trace.of(&command(&["unload"])?))?.success()?;
    let mut calls = trace.calls()?;
    calls.retain(Call::is_lasting);
    ensure!(calls.iter().any(|call| call.is("LINK_DETACH")) && calls.len() > 10, "{calls:?}");
    for (number, call) in steps(calls).iter().enumerate() {
        let step = || format!("killed at {}", call.text);
        stand().with_context(step)?;
        let mut killed = Background::start(Host::Server, faulty(&command(&["unload"])?, call, Fault::Kill), None)?;
        died(&mut killed, call)?;
        // One time the gate is put up over the remains.
        if number % 3 == 0 {
            stand().with_context(step)?;
            assert_eq!(world.connect(Host::Client)?.0, Probe::Silent, "{call:?}");
        }
        let again = knockctl(Host::Server, &["unload"])?;
        assert!(again.code < 2 && !Path::new(PINS).exists(), "{again}{call:?}");
        world.must_open(Host::Client).with_context(|| format!("{call:?}"))?;
    }
    mark.wait_for(0)
}

/// The steps of the line with this number in the file of one-time sequences.
fn line(number: usize) -> [String; 3] {
    [7000, 8000, 9000].map(|port| format!("{}/udp", port + number))
}

fn a_swap_killed_at_any_step_lets_no_sequence_open_twice() -> Result<()> {
    let world = World::new(Family::V4, None)?;
    let file = Path::new(sandbox::DIR).join("swapped.once");
    let lines: Vec<String> = (0..64).map(|number| line(number).join(", ")).collect();
    fs::write(&file, lines.join("\n") + "\n")?;
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600))?;
    let old = "sequence = [\"7000/tcp\", \"8000/udp\", \"9000/tcp\"]\n";
    let config = Config::lab().with(old, &format!("one_time_sequences = {file:?}\n")).set("cmd_timeout", "\"60s\"");
    let used = || fs::read_to_string(&file).unwrap_or_default().matches("# used ").count();
    let knock = |number: usize| {
        let steps = line(number);
        world.knock(&steps.each_ref().map(String::as_str), Duration::ZERO)
    };

    // What a swap calls, from the knock to the next sequence in force.
    let trace = Trace::new();
    let calls = {
        let daemon = start(daemon(&config)?)?;
        let tracer = trace.attach(daemon.id())?;
        knock(0)?;
        until("the swap", TIMEOUT, || {
            let calls = trace.calls().ok()?;
            let moved = calls.iter().rposition(|call| call.is("LINK_UPDATE"))?;
            calls[moved..].iter().any(|call| call.name == "rmdir").then_some(())
        })?;
        world.revoke()?;
        drop(tracer);
        let mut calls = trace.calls()?;
        // The maps' own steps are those of any reload.
        calls.retain(|call| call.is_lasting() && (call.name != "bpf" || call.is("LINK_UPDATE")));
        ensure!(calls.iter().any(|call| call.name == "fsync") && calls.len() > 6, "{calls:?}");
        steps(calls)
    };
    for (number, call) in calls.iter().enumerate() {
        let number = number + 1;
        let step = || format!("line {number}, killed at {}", call.text);
        let mut daemon = start(daemon(&config)?).with_context(step)?;
        let _tracer = fault_in(daemon.id(), call, Fault::Kill)?;
        knock(number)?;
        world.must_open(Host::Client).with_context(step)?;
        died(&mut daemon, call)?;
        world.revoke().with_context(step)?;
        knock(number)?;
        assert_eq!(world.connect(Host::Client)?.0, Probe::Silent, "{}", step());
    }
    let daemon = start(daemon(&config)?)?;
    daemon.lines.wait_after(0, GATE_STANDS, TIMEOUT)?;
    until("all marks", TIMEOUT, || (used() == calls.len() + 1).then_some(()))?;
    let text = fs::read_to_string(&file)?;
    let kept = text.lines().zip(&lines).all(|(now, before)| now.ends_with(before.as_str()));
    assert!(kept && text.lines().count() == lines.len(), "{text}");
    Ok(())
}
