//! bpf(2) fails: for want of memory, or of rights.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use nix::sys::signal::Signal;
use tests::harness::{Test, tests};
use tests::lab::strace::{Call, Fault, Trace, fault_in, faulty, no_bpf_in, steps};
use tests::lab::{
    Background, Config, Family, Host, Late, Mark, PINS, Pause, Probe, Ran, Status, TIMEOUT, knockctl, leaks, pause,
    until,
};
use tests::story::World;

use super::super::links::assert_gated;
use super::{KEPT, Siege, command, daemon, start, unload};

/// What only another version's pins may be called.
const FOREIGN: &str = "not of this version";

/// The tests.
pub fn tests() -> Vec<Test> {
    tests![
        "e2e::faults::refused";
        a_start_whose_calls_fail_changes_nothing,
        a_reload_whose_calls_fail_changes_nothing,
        a_reload_whose_standby_program_fails_is_whole_or_changes_nothing,
        a_daemon_whose_every_call_fails_for_a_while_goes_on,
        a_command_whose_calls_fail_says_so_and_takes_nothing_away,
        an_unload_whose_calls_fail_can_be_made_again,
    ]
}

/// Calls of bpf(2) to let fail: those that come once the program is loaded, and some of those before.
fn worth_it(calls: Vec<Call>) -> Result<Vec<(Call, Fault)>> {
    let bpf: Vec<Call> = calls.into_iter().filter(|call| call.name == "bpf").collect();
    let loaded = bpf.iter().rposition(|call| call.is("PROG_LOAD")).context("no program is loaded")?;
    ensure!(bpf.len() > loaded + 10, "the program is all that is loaded: {bpf:?}");
    let (before, after) = bpf.split_at(loaded);
    let calls = before.iter().step_by(16).cloned().chain(steps(after.to_vec()));
    Ok(with_errors(calls))
}

/// Each with one of the errors, by turns.
fn with_errors(calls: impl IntoIterator<Item = Call>) -> Vec<(Call, Fault)> {
    let errors = ["ENOMEM", "EPERM"].map(Fault::Error).into_iter().cycle().skip(fastrand::usize(..2));
    calls.into_iter().zip(errors).collect()
}

fn a_start_whose_calls_fail_changes_nothing() -> Result<()> {
    let mark = Mark::new();
    let config = mark.on(Config::lab());
    let siege = Siege::lay(&config)?;
    let trace = Trace::new();
    start(trace.of(&daemon(&config)?))?.kill()?;
    let mut failed = 0;
    for (call, fault) in worth_it(trace.calls()?)? {
        let mut daemon = Background::start(Host::Server, faulty(&daemon(&config)?, &call, fault), None)?;
        // Either it ends with an error, or it copes.
        let ended = until("a start, or its end", TIMEOUT, || {
            let stands = daemon.lines.after(0).iter().any(|line| line.contains("the gate stands"));
            if daemon.runs() { stands.then_some(false) } else { Some(true) }
        });
        let step = || format!("{fault:?} at {}: {}", call.text, daemon.lines.after(0).join("\n"));
        if ended.with_context(step)? {
            failed += 1;
            daemon.lines.wait_after(0, "knockctl: ", TIMEOUT).with_context(step)?;
            ensure!(!step().contains(FOREIGN), "{}", step());
            assert_eq!(daemon.wait(TIMEOUT)?.code(), Some(2), "{fault:?} at {}", call.text);
        } else {
            daemon.kill()?;
        }
        siege.look().with_context(|| format!("{fault:?} at {}", call.text))?;
    }
    ensure!(failed > 10, "only {failed} starts have failed");
    start(daemon(&config)?)?.kill()?;
    mark.wait_for(1)?;
    unload(&siege.lift()?)?;
    mark.wait_for(0)
}

fn a_reload_whose_calls_fail_changes_nothing() -> Result<()> {
    let marks = [Mark::new(), Mark::new()];
    let siege = Siege::lay(&marks[0].on(Config::lab()))?;
    let mut daemon = start(daemon(&marks[0].on(Config::lab()))?)?;
    let trace = Trace::new();
    let calls = {
        let _tracer = trace.attach(daemon.id())?;
        marks[1].on(Config::lab()).write("gate.toml")?;
        siege.world.command(&["reload"])?;
        trace.calls()?
    };
    marks[1].wait_for_programs(2)?;
    let descriptors = leaks::descriptors(daemon.id())?;
    let (mut failed, mut turn) = (0, 0);
    for (call, fault) in worth_it(calls)? {
        // To tables of another size each time that it succeeds.
        marks[turn % 2].on(Config::lab()).write("gate.toml")?;
        let tracer = fault_in(daemon.id(), &call, fault)?;
        let ran = knockctl(Host::Server, &["reload"])?;
        drop(tracer);
        let step = || format!("{fault:?} at {}: {ran}", call.text);
        match ran.code {
            0 => turn += 1,
            2 => failed += 1,
            _ => panic!("{}", step()),
        }
        ensure!(!ran.to_string().contains(FOREIGN), "{}", step());
        assert!(daemon.runs(), "{}: {:?}", step(), daemon.lines.after(0));
        siege.look().with_context(step)?;
    }
    ensure!(failed > 10, "only {failed} reloads have failed");
    // It goes on as if nothing had been.
    marks[0].on(Config::lab()).write("gate.toml")?;
    siege.world.command(&["reload"])?;
    siege.look()?;
    marks[0].wait_for_programs(2)?;
    until("descriptors as before", TIMEOUT, || (leaks::descriptors(daemon.id()).ok()? <= descriptors).then_some(()))
        .with_context(|| format!("{descriptors} before, {:?} now", leaks::descriptors(daemon.id())))?;
    marks[0].wait_for(1)?;
    marks[1].wait_for(0)?;
    daemon.signal(Signal::SIGTERM)?;
    daemon.wait(TIMEOUT)?;
    unload(&siege.lift()?)?;
    marks[0].wait_for(0)
}

fn a_reload_whose_standby_program_fails_is_whole_or_changes_nothing() -> Result<()> {
    let mark = Mark::new();
    let configs = ["\"1h\"", "\"2h\""].map(|span| mark.on(Config::lab()).set("cmd_timeout", span));
    let spans = [3600, 7200];
    let siege = Siege::lay(&configs[0])?;
    let mut daemon = start(daemon(&configs[0])?)?;
    mark.wait_for_programs(2)?;
    let trace = Trace::new();
    let calls: Vec<Call> = {
        let _tracer = trace.attach(daemon.id())?;
        configs[1].write("gate.toml")?;
        siege.world.command(&["reload"])?;
        trace.calls()?.into_iter().filter(|call| call.name == "bpf").collect()
    };
    ensure!(calls.iter().all(|call| !call.is("PROG_LOAD")), "nothing is loaded: {calls:?}");
    ensure!(calls.iter().any(|call| call.is("LINK_UPDATE")) && calls.len() > 16, "{calls:?}");
    let (mut now, mut failed) = (1, 0);
    for call in calls.iter().step_by(calls.len() / 8) {
        mark.wait_for_programs(2)?;
        configs[1 - now].write("gate.toml")?;
        let tracer = fault_in(daemon.id(), call, Fault::Error("ENOMEM"))?;
        let ran = knockctl(Host::Server, &["reload"])?;
        drop(tracer);
        let step = || format!("ENOMEM at {}: {ran}", call.text);
        match ran.code {
            0 => now = 1 - now,
            2 => failed += 1,
            _ => panic!("{}", step()),
        }
        assert!(daemon.runs(), "{}: {:?}", step(), daemon.lines.after(0));
        siege.world.knock_open()?;
        let status = Status::read()?;
        let grants = status.grants_of(siege.world.address(Host::Client));
        let left = grants.first().and_then(|grant| grant["seconds_left"].as_u64()).with_context(step)?;
        ensure!((spans[now] - 60..=spans[now]).contains(&left), "{}: {left} s", step());
        siege.world.revoke()?;
        siege.look().with_context(step)?;
    }
    ensure!(failed > 0, "no reload has failed");
    daemon.signal(Signal::SIGTERM)?;
    daemon.wait(TIMEOUT)?;
    mark.wait_for_programs(1)?;
    unload(&siege.lift()?)?;
    mark.wait_for(0)
}

/// The calls of bpf(2) that a command makes, each with an error.
fn faults_of(args: &[&str]) -> Result<Vec<(Call, Fault)>> {
    let trace = Trace::new();
    Host::Server.run(&mut trace.of(&command(args)?))?.success()?;
    Ok(with_errors(steps(trace.calls()?.into_iter().filter(|call| call.name == "bpf").collect())))
}

/// A command of which a call fails: it ends as commands do, and says what is wrong if it fails.
fn run_faulty(args: &[&str], call: &Call, fault: Fault) -> Result<Ran> {
    let ran = Host::Server.run(&mut faulty(&command(args)?, call, fault))?;
    ensure!(ran.code <= 1 || ran.code == 2 && ran.stderr.contains("knockctl: "), "{fault:?} at {}: {ran}", call.text);
    Ok(ran)
}

fn a_command_whose_calls_fail_says_so_and_takes_nothing_away() -> Result<()> {
    const OTHER: &str = "203.0.113.77";
    let mark = Mark::new();
    let siege = Siege::lay(&mark.on(Config::lab()))?;
    let granted = || Ok::<_, anyhow::Error>(Status::read()?.grants_of(OTHER.parse()?).len());
    let mut failed = 0;
    for args in [&["allow", OTHER][..], &["revoke", OTHER], &["status"], &["status", "--json"]] {
        siege.world.command(&["allow", OTHER])?;
        for (call, fault) in faults_of(args)? {
            let begins_with = usize::from(args[0] != "allow");
            knockctl(Host::Server, &[if begins_with == 1 { "allow" } else { "revoke" }, OTHER])?;
            let ran = run_faulty(args, &call, fault)?;
            let step = || format!("{fault:?} at {}: {ran}", call.text);
            failed += usize::from(ran.code == 2);
            let ends_with = match args[0] {
                "status" => begins_with,
                _ if ran.code == 0 => 1 - begins_with,
                // It may have been done before what failed.
                _ => granted()?,
            };
            ensure!(granted()? == ends_with, "{}", step());
            siege.look().with_context(step)?;
        }
    }
    ensure!(failed > 10, "only {failed} commands have failed");
    siege.world.command(&["revoke", OTHER])?;
    unload(&siege.lift()?)?;
    mark.wait_for(0)
}

fn an_unload_whose_calls_fail_can_be_made_again() -> Result<()> {
    let (world, mark) = (World::new(Family::V4, None)?, Mark::new());
    let config = mark.on(Config::lab());
    let stand = || start(daemon(&config)?)?.kill();
    stand()?;
    let faults = faults_of(&["unload"])?;
    ensure!(faults.iter().any(|(call, _)| call.is("LINK_DETACH")), "{faults:?}");
    for (call, fault) in faults {
        let step = || format!("{fault:?} at {}", call.text);
        stand().with_context(step)?;
        let ran = run_faulty(&["unload"], &call, fault)?;
        // Either it has taken all away, or the gate goes on standing, or is taken down the next time.
        let again = knockctl(Host::Server, &["unload"])?;
        ensure!(again.code < 2 && !Path::new(PINS).exists(), "{}: {ran}{again}", step());
        world.must_open(Host::Client).with_context(|| format!("{}: there is no gate", step()))?;
        mark.wait_for(0).with_context(step)?;
    }
    Ok(())
}

/// While it sweeps, reloads, and takes an interface in.
fn a_daemon_whose_every_call_fails_for_a_while_goes_on() -> Result<()> {
    /// In which the daemon looks after everything at least once.
    const WHILE: Duration = Duration::from_secs(7);
    let mark = Mark::new();
    let config = mark.on(Config::lab().set("interfaces", "[\"eth0\", \"eth1\", \"late0\"]"));
    let siege = Siege::lay(&config)?;
    let mut daemon = start(daemon(&config)?)?;
    mark.wait_for_programs(2)?;
    let descriptors = leaks::descriptors(daemon.id())?;
    for error in ["ENOMEM", "EPERM"] {
        let lines = daemon.lines.count();
        let said = |daemon: &Background| format!("{error}: {}", daemon.lines.after(lines).join("\n"));
        let tracer = no_bpf_in(daemon.id(), error)?;
        let began = Instant::now();
        Late::FIRST.appear()?;
        daemon.lines.wait_after(lines, "interfaces cannot be followed", TIMEOUT).with_context(|| said(&daemon))?;
        let reload = knockctl(Host::Server, &["reload"])?;
        assert_eq!(reload.code, 2, "{error}: {reload}");
        ensure!(!reload.to_string().contains(FOREIGN), "{error}: {reload}");
        // The kernel needs no daemon to open, nor to close.
        siege.world.knock_open()?;
        siege.world.must_open(Host::Client).context(error)?;
        until("the end of the grant", TIMEOUT, || {
            (siege.world.connect(Host::Client).ok()?.0 == Probe::Silent).then_some(())
        })?;
        pause(Pause::Rest(WHILE.saturating_sub(began.elapsed())));
        ensure!(daemon.runs(), "{}", said(&daemon));
        let followed = said(&daemon).matches("interfaces cannot be followed").count();
        ensure!(followed <= 2, "what goes on is told again and again: {}", said(&daemon));
        drop(tracer);
        // Without anybody's help.
        daemon
            .lines
            .wait_after(lines, "no longer: interfaces cannot be followed", TIMEOUT)
            .with_context(|| said(&daemon))?;
        daemon.lines.wait_after(lines, "late0 (native)", TIMEOUT).with_context(|| said(&daemon))?;
        siege.look().with_context(|| said(&daemon))?;
        // Which takes all grants away.
        assert_gated(&siege.world, Late::FIRST).with_context(|| said(&daemon))?;
        siege.world.command(&["allow", KEPT])?;
        siege.world.command(&["reload"])?;
        siege.look().with_context(|| said(&daemon))?;
        Late::FIRST.vanish()?;
        daemon.lines.wait_after(lines, "late0: it is gone", TIMEOUT).with_context(|| said(&daemon))?;
    }
    mark.wait_for_programs(2)?;
    until("descriptors as before", TIMEOUT, || (leaks::descriptors(daemon.id()).ok()? <= descriptors).then_some(()))?;
    daemon.signal(Signal::SIGTERM)?;
    daemon.wait(TIMEOUT)?;
    unload(&siege.lift()?)?;
    mark.wait_for(0)
}
