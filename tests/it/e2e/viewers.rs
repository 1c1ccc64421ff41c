//! `options.status_group`: its members see what `knockctl status` shows, and nothing else.

use std::fs;
use std::io::{self, Read as _};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use anyhow::{Context, Result, ensure};
use nix::sys::ptrace;
use nix::sys::signal::Signal;
use nix::sys::wait::{WaitPidFlag, waitpid};
use nix::unistd::Pid;
use tests::harness::{Test, tests};
use tests::lab::grants::fill;
use tests::lab::{
    Config, Family, GATE_STANDS, Host, NOBODY, PINS, Probe, Ran, TIMEOUT, knockctl, knockctl_as_nobody, until,
};
use tests::story::World;

use super::notify::Manager;
use super::{assert_fails, assert_says};

/// The tests.
pub fn tests() -> Vec<Test> {
    tests![
        "e2e::viewers";
        a_member_of_the_group_sees_the_status,
        who_is_no_member_sees_nothing,
        a_member_can_read_no_map_and_change_nothing,
        without_the_option_nobody_is_answered,
        a_dead_daemon_answers_nobody_and_its_successor_does,
        many_who_do_not_read_keep_nobody_waiting,
        one_user_does_not_take_the_place_of_others,
        a_status_that_takes_for_ever_to_read_holds_nothing_else_up,
        who_asks_without_end_for_a_million_grants_keeps_the_daemon_from_nothing,
    ]
}

/// A group that has no name.
const GROUP: u32 = 4242;
const SOCKET: &str = "/run/knock/status.sock";
/// The primary group and the others of an account without rights.
type Groups<'a> = (u32, &'a [u32]);
const MEMBER: Groups<'_> = (NOBODY, &[77, GROUP]);
const STRANGER: Groups<'_> = (NOBODY, &[77]);

fn config() -> Config {
    Config::lab().option("status_group", &GROUP.to_string())
}

/// A program under such an account.
fn run(account: Groups<'_>, words: &[&str]) -> Result<Ran> {
    let mut command = Command::new("setpriv");
    command.arg(format!("--reuid={NOBODY}")).arg(format!("--regid={}", account.0));
    let groups: Vec<_> = account.1.iter().map(u32::to_string).collect();
    command.arg(format!("--groups={}", groups.join(","))).args(["--inh-caps=-all", "--bounding-set=-all"]);
    Host::Server.run(command.args(words))
}

/// `knockctl` under it.
fn ctl(account: Groups<'_>, args: &[&str]) -> Result<Ran> {
    let program = knockctl_as_nobody()?.get_program().to_string_lossy().into_owned();
    run(account, &[&[&*program], args].concat())
}

fn a_member_of_the_group_sees_the_status() -> Result<()> {
    let world = World::guarded(Family::V4, &config())?;
    for member in [MEMBER, (GROUP, &[77])] {
        let ran = ctl(member, &["status"])?;
        assert_says(&ran, 0, &["eth0", "native", "ssh2", "2222/tcp", "opencloseSSH", "no grants"]);
    }
    // All that root sees, but for what goes on meanwhile.
    let read = |text: &str| -> Result<serde_json::Value> { Ok(serde_json::from_str(text)?) };
    let (mine, roots) = (ctl(MEMBER, &["status", "--json"])?, knockctl(Host::Server, &["status", "--json"])?);
    let (mine, roots) = (read(&mine.success()?)?, read(&roots.success()?)?);
    let keys = |value: &serde_json::Value| value.as_object().map(|map| map.keys().cloned().collect::<Vec<_>>());
    assert_eq!(keys(&mine), keys(&roots));
    for key in ["interfaces", "services", "doors", "daemon", "deny", "grants"] {
        assert_eq!(mine[key], roots[key], "{key}");
    }
    // It follows what happens, and holds no sequence.
    world.knock_open()?;
    let seen = || ctl(MEMBER, &["status"]).ok().filter(|ran| ran.stdout.contains("192.0.2.2  ssh2"));
    let ran = until("the grant", TIMEOUT, seen)?;
    let json = ctl(MEMBER, &["status", "--json"])?;
    for port in ["7000", "8000", "9000", "7001", "9001"] {
        assert!(!ran.stdout.contains(port) && !json.stdout.contains(port), "{port}: {ran}{json}");
    }
    Ok(())
}

fn who_is_no_member_sees_nothing() -> Result<()> {
    let _world = World::guarded(Family::V4, &config())?;
    for args in [&["status"][..], &["status", "--json"], &["status", "--watch"], &[]] {
        assert_fails(&ctl(STRANGER, args)?, &["not root", "sudo", "options.status_group", "become a member"]);
    }
    assert_says(&ctl(MEMBER, &["status"])?, 0, &["ssh2"]);
    Ok(())
}

/// All pins, with the folders that they are in.
fn pins(folder: &Path, found: &mut Vec<PathBuf>) -> Result<()> {
    found.push(folder.to_owned());
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() { pins(&path, found)? } else { found.push(path) }
    }
    Ok(())
}

fn assert_pins_are_for_root_alone() -> Result<()> {
    let mut found = Vec::new();
    pins(Path::new(PINS), &mut found)?;
    assert!(found.len() > 15, "{found:?}");
    for path in found {
        let (mode, is_shut) = (fs::metadata(&path)?.permissions().mode(), if path.is_dir() { 0o700 } else { 0o600 });
        assert_eq!(mode & 0o7777, is_shut, "{}: {mode:o}", path.display());
    }
    Ok(())
}

fn a_member_can_read_no_map_and_change_nothing() -> Result<()> {
    let mut world = World::guarded(Family::V4, &config())?;
    assert_pins_are_for_root_alone()?;
    for pin in ["rules/PORTS", "rules/DOORS", "GRANTS", "ATTEMPTS", "SPENT"] {
        let dump = format!("{PINS}/{pin}");
        Host::Server.must(&["bpftool", "map", "dump", "pinned", &dump])?;
        let ran = run(MEMBER, &["bpftool", "map", "dump", "pinned", &dump])?;
        assert!(ran.code != 0 && ran.stdout.is_empty(), "{ran}");
    }
    // By number it takes more than a pin.
    for words in [&["bpftool", "map", "list"][..], &["bpftool", "map", "dump", "name", "PORTS"]] {
        let ran = run(MEMBER, words)?;
        assert!(ran.code != 0, "{ran}");
    }
    for file in ["/run/knock/events.jsonl", &world.gate()?.config().display().to_string()] {
        assert_ne!(run(MEMBER, &["cat", file])?.code, 0, "{file}");
    }
    for args in [&["allow", "192.0.2.7"][..], &["revoke", "--all"], &["unload"], &["reload"], &["unlock", "--all"]] {
        assert_fails(&ctl(MEMBER, args)?, &["not root"]);
    }
    assert_fails(&ctl(MEMBER, &["explain", "192.0.2.2", "2222"])?, &["not root"]);
    assert_eq!(world.connect(Host::Client)?.0, Probe::Silent);
    Ok(())
}

fn without_the_option_nobody_is_answered() -> Result<()> {
    let mut world = World::guarded(Family::V4, &Config::lab())?;
    assert_pins_are_for_root_alone()?;
    assert!(!Path::new(SOCKET).exists());
    assert_fails(&ctl(MEMBER, &["status"])?, &["not root", "sudo"]);
    // A reload begins it, changes it, and ends it.
    let reload = |config: &Config| -> Result<()> {
        config.write("gate.toml")?;
        knockctl(Host::Server, &["reload"])?.success().map(drop)
    };
    reload(&config())?;
    assert_says(&ctl(MEMBER, &["status"])?, 0, &["ssh2"]);
    reload(&Config::lab().option("status_group", "77"))?;
    assert_says(&ctl(STRANGER, &["status"])?, 0, &["ssh2"]);
    assert_fails(&ctl((NOBODY, &[GROUP]), &["status"])?, &["become a member"]);
    reload(&Config::lab())?;
    assert!(!Path::new(SOCKET).exists());
    assert_fails(&ctl(MEMBER, &["status"])?, &["not root", "sudo"]);
    reload(&config())?;
    assert!(world.gate()?.terminate()?.success());
    assert!(!Path::new(SOCKET).exists());
    assert_pins_are_for_root_alone()
}

fn a_dead_daemon_answers_nobody_and_its_successor_does() -> Result<()> {
    let mut world = World::guarded(Family::V4, &config())?;
    world.gate()?.kill()?;
    assert_fails(&ctl(MEMBER, &["status"])?, &["not root", "sudo", "does not run"]);
    world.start(&config())?;
    assert_says(&ctl(MEMBER, &["status"])?, 0, &["ssh2"]);
    world.gate()?.kill()?;
    assert_says(&knockctl(Host::Server, &["unload"])?, 0, &[]);
    assert!(!Path::new(SOCKET).exists());
    Ok(())
}

fn many_who_do_not_read_keep_nobody_waiting() -> Result<()> {
    let world = World::guarded(Family::V4, &config())?;
    let connect = || UnixStream::connect(SOCKET).context("the socket");
    let idle = (0..200).map(|_| connect()).collect::<Result<Vec<_>>>()?;
    // The gate and the daemon's other work go on.
    world.knock_open()?;
    world.must_open(Host::Client)?;
    assert_says(&knockctl(Host::Server, &["reload"])?, 0, &["reloaded"]);
    drop(idle);
    let seen = || ctl(MEMBER, &["status"]).ok().filter(|ran| ran.code == 0);
    until("an answer", TIMEOUT, seen).map(drop)
}

fn one_user_does_not_take_the_place_of_others() -> Result<()> {
    let _world = World::guarded(Family::V4, &config())?;
    // More than the socket takes before somebody reads.
    fill("ssh2", 0..10_000, 3600)?;
    let ask = || -> Result<UnixStream> {
        let mut stream = UnixStream::connect(SOCKET).context("the socket")?;
        let mut first = [0];
        stream.read_exact(&mut first).context("an answer, if only a short one")?;
        Ok(stream)
    };
    // All of root, who reads no further.
    let idle = (0..20).map(|_| ask()).collect::<Result<Vec<_>>>()?;
    assert_says(&ctl(MEMBER, &["status"])?, 0, &["ssh2"]);
    drop(idle);
    Ok(())
}

fn a_status_that_takes_for_ever_to_read_holds_nothing_else_up() -> Result<()> {
    let _world = World::new(Family::V4, None)?;
    let manager = Manager::new()?;
    let daemon = manager.start(&config(), &[("WATCHDOG_USEC", "100000")])?;
    while manager.next()?[0] != "READY=1" {}
    // The thread that reads it stands still, and goes on when this one lets it.
    let reader = until("the thread that reads the status", TIMEOUT, || thread_of(daemon.id(), "viewers"))?;
    ptrace::seize(reader, ptrace::Options::empty()).context("ptrace(2)")?;
    ptrace::interrupt(reader)?;
    waitpid(reader, Some(WaitPidFlag::__WALL))?;
    let mut viewer = UnixStream::connect(SOCKET).context("the socket")?;
    let (turns, is_over) = (AtomicUsize::new(0), AtomicBool::new(false));
    let hear = || count_turns(&manager, &turns, &is_over);
    let work = || -> Result<()> {
        // More than were on their way.
        until("the watchdog's messages", TIMEOUT, || (turns.load(Ordering::Relaxed) > 50).then_some(()))?;
        let mark = daemon.lines.count();
        fill("ssh2", 0..1, 1)?;
        daemon.lines.wait_after(mark, "ssh2: expired", TIMEOUT)?;
        daemon.signal(Signal::SIGHUP)?;
        daemon.lines.wait_after(mark, GATE_STANDS, TIMEOUT)?;
        Ok(())
    };
    thread::scope(|scope| {
        let heard = scope.spawn(hear);
        let worked = work();
        is_over.store(true, Ordering::Relaxed);
        let heard = heard.join().unwrap_or_else(|_| Err(anyhow::anyhow!("a panic")));
        worked.and(heard)
    })?;
    // The status that was asked for comes in the end.
    ptrace::detach(reader, None)?;
    let mut first = [0];
    viewer.read_exact(&mut first).context("no answer")
}

/// Counts the turns of the daemon's loop, by the watchdog's messages, until it is over.
fn count_turns(manager: &Manager, turns: &AtomicUsize, is_over: &AtomicBool) -> Result<()> {
    while !is_over.load(Ordering::Relaxed) {
        let lines = manager.next()?;
        turns.fetch_add(usize::from(lines[0] == "WATCHDOG=1"), Ordering::Relaxed);
    }
    Ok(())
}

/// A thread of a process, by its name.
fn thread_of(process: u32, name: &str) -> Option<Pid> {
    let threads = fs::read_dir(format!("/proc/{process}/task")).ok()?.flatten();
    let is_it = |path: &Path| fs::read_to_string(path.join("comm")).is_ok_and(|comm| comm.trim() == name);
    let path = threads.map(|entry| entry.path()).find(|path| is_it(path))?;
    path.file_name()?.to_str()?.parse().ok().map(Pid::from_raw)
}

fn who_asks_without_end_for_a_million_grants_keeps_the_daemon_from_nothing() -> Result<()> {
    const COUNT: u32 = 1_000_000;
    let _world = World::new(Family::V4, None)?;
    let manager = Manager::new()?;
    let room = (COUNT + 16).to_string();
    let daemon = manager.start(&config().option("max_grants", &room), &[("WATCHDOG_USEC", "100000")])?;
    while manager.next()?[0] != "READY=1" {}
    fill("ssh2", 0..COUNT, 3600)?;
    let (turns, is_over, asked) = (AtomicUsize::new(0), AtomicBool::new(false), AtomicUsize::new(0));
    let hear = || count_turns(&manager, &turns, &is_over);
    let ask = || -> Result<()> {
        while !is_over.load(Ordering::Relaxed) {
            let before = turns.load(Ordering::Relaxed);
            let mut stream = UnixStream::connect(SOCKET).context("the socket")?;
            let mut first = [0];
            stream.read_exact(&mut first).context("no answer")?;
            let meanwhile = turns.load(Ordering::Relaxed) - before;
            if asked.fetch_add(1, Ordering::Relaxed) == 0 {
                println!("[figures] viewers: {meanwhile} turns of the loop while a million grants were read");
            }
            let length = io::copy(&mut stream, &mut io::sink())?;
            ensure!(length > 100 * u64::from(COUNT), "{length} octets are not the status of a million grants");
        }
        Ok(())
    };
    let work = || -> Result<()> {
        until("the first answer", 4 * TIMEOUT, || (asked.load(Ordering::Relaxed) > 0).then_some(()))?;
        let mark = daemon.lines.count();
        fill("ssh2", COUNT..COUNT + 8, 1)?;
        daemon.lines.wait_after(mark, "ssh2: expired", 4 * TIMEOUT)?;
        assert_says(&knockctl(Host::Server, &["reload"])?, 0, &["reloaded"]);
        let mark = daemon.lines.count();
        fill("ssh2", COUNT..COUNT + 8, 1)?;
        daemon.lines.wait_after(mark, "ssh2: expired", 4 * TIMEOUT)?;
        until("another answer", 4 * TIMEOUT, || (asked.load(Ordering::Relaxed) > 1).then_some(()))
    };
    thread::scope(|scope| {
        let (heard, asked) = (scope.spawn(hear), scope.spawn(ask));
        let worked = work();
        is_over.store(true, Ordering::Relaxed);
        let joined = |thread: thread::ScopedJoinHandle<'_, Result<()>>| {
            thread.join().unwrap_or_else(|_| Err(anyhow::anyhow!("a panic")))
        };
        // What was asked says most of why other things were late.
        joined(asked)?;
        worked?;
        joined(heard)
    })
}
