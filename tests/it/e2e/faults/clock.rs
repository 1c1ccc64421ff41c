//! Clocks: that on the wall is stepped, and the one that stands still while the machine sleeps is left behind.
//! This machine's own are left alone.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use tests::harness::{Test, ensure_measured, tests};
use tests::lab::{
    Background, Config, Family, Host, Mark, Probe, Ran, TIMEOUT, knockctl, knockctl_path, sandbox, until,
};
use tests::story::World;

use super::{daemon, is_over, start};

/// The tests.
pub fn tests() -> Vec<Test> {
    tests![
        "e2e::faults::clock";
        a_stepped_clock_moves_no_grant,
        sleep_counts_for_grants_in_the_kernel_and_the_daemon,
        a_clock_of_a_namespace_of_its_own_is_seen_through,
    ]
}

/// How long grants last here.
const WINDOW: Duration = Duration::from_secs(3);

/// With a hook that shows when the daemon takes a grant for ended.
fn config(hook: &Path) -> Result<Config> {
    let _ = fs::remove_file(hook);
    let stop = format!("cmd_timeout = \"{}s\"\nstop_command = \"touch {}\"", WINDOW.as_secs(), hook.display());
    Ok(Config::lab().with("cmd_timeout = \"4s\"", &stop))
}

/// Knocks, lets `meanwhile` happen, and sees the grant end when its time is over and not sooner, in the kernel,
/// in `status` and for the daemon.
fn ends_in_time(world: &World, hook: &Path, meanwhile: impl FnOnce() -> Result<()>) -> Result<()> {
    let (knocked, ()) = world.knock_and(|| Ok(()))?;
    meanwhile()?;
    let status = tests::lab::Status::read()?;
    let left = status.grants().first().and_then(|grant| grant["seconds_left"].as_f64()).context("no grant")?;
    assert!(left <= WINDOW.as_secs_f64(), "{left}");
    assert!(!hook.exists(), "it ended at once");
    world.closing(knocked, WINDOW)?;
    until("the stop command", TIMEOUT, || hook.exists().then_some(()))?;
    let ended = knocked.elapsed();
    assert!(ended >= WINDOW, "{ended:?}");
    ensure_measured!(ended < WINDOW + Duration::from_secs(4), "the stop command ran after {ended:?}");
    Ok(fs::remove_file(hook)?)
}

fn a_stepped_clock_moves_no_grant() -> Result<()> {
    let world = World::new(Family::V4, None)?;
    let hook = Path::new(sandbox::DIR).join("stepped");
    let time = Path::new(sandbox::DIR).join("time");
    let step = |to: &str| fs::write(&time, to);
    step("+0")?;
    let mark = Mark::new();
    let mut command = daemon(&mark.on(config(&hook)?))?;
    // What the program `faketime` does, but for the clock on the wall alone, and from a file that may change.
    command.env("LD_PRELOAD", faketime()?).env("FAKETIME_TIMESTAMP_FILE", &time);
    command.env("FAKETIME_NO_CACHE", "1").env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
    let mut daemon = start(command)?;
    let year = |mark: usize| -> Result<i32> {
        world.command(&["reload"])?;
        daemon.lines.wait_after(mark, "the gate stands", TIMEOUT)?;
        let events = fs::read_to_string("/run/knock/events.jsonl")?;
        let last: serde_json::Value = serde_json::from_str(events.lines().last().context("no event")?)?;
        Ok(last["time"].as_str().and_then(|time| time.get(..4)).context("no time")?.parse()?)
    };
    let now = year(0)?;
    for (to, years) in [("+10y", 10), ("-20y", -20), ("+0", 0)] {
        ends_in_time(&world, &hook, || Ok(step(to)?)).context(to)?;
        // The daemon did see another time.
        assert!((year(daemon.lines.count())? - now - years).abs() <= 1, "{to}");
    }
    assert_eq!(world.connect(Host::Stranger)?.0, Probe::Silent);
    daemon.kill()?;
    is_over(world, mark)
}

fn faketime() -> Result<String> {
    let found = Host::Server.must(&["sh", "-c", "ls /usr/lib/*/faketime/libfaketime.so.1"])?;
    Ok(found.lines().next().context("no libfaketime; install it (Debian: faketime)")?.to_owned())
}

/// A program whose clocks are ahead of the machine's.
fn ahead(clock: &str, seconds: u32, command: &Command) -> Command {
    let mut ahead = Command::new("unshare");
    ahead.args(["--time", "--fork", "--kill-child", &format!("--{clock}"), &seconds.to_string(), "--"]);
    ahead.arg(command.get_program()).args(command.get_args());
    ahead
}

/// The clocks of the program as its process sees them, to see that they are what the test is about.
fn is_ahead(clock: &str, seconds: u32) -> Result<()> {
    let mut command = Command::new("cat");
    command.arg("/proc/self/timens_offsets");
    let offsets = Host::Server.run(&mut ahead(clock, seconds, &command))?.success()?;
    let found = offsets.lines().find(|line| line.starts_with(clock)).context("no such clock")?;
    ensure!(found.split_whitespace().nth(1) == Some(&*seconds.to_string()), "{offsets}");
    Ok(())
}

/// After a machine has slept, the clock that stood still meanwhile is behind that which did not. The same is seen
/// by a process for which the former is ahead: what depends on it is wrong by a day.
fn sleep_counts_for_grants_in_the_kernel_and_the_daemon() -> Result<()> {
    const DAY: u32 = 86_400;
    let world = World::new(Family::V4, None)?;
    is_ahead("monotonic", DAY)?;
    let hook = Path::new(sandbox::DIR).join("slept");
    let _daemon = start(ahead("monotonic", DAY, &daemon(&config(&hook)?)?))?;
    ends_in_time(&world, &hook, || Ok(()))?;
    let mut allow = Command::new(knockctl_path()?);
    allow.args(["allow", "192.0.2.2", "--for", "2s"]);
    ends_after(&world, &Host::Server.run(&mut ahead("monotonic", DAY, &allow))?)?;
    // The kernel's side: it asks for no other clock.
    let programs = Host::Server.must(&["bpftool", "net", "show", "dev", "eth0"])?;
    let id = programs.split_whitespace().skip_while(|word| *word != "id").nth(1).context("no program on eth0")?;
    let code = Host::Server.must(&["bpftool", "prog", "dump", "xlated", "id", id])?;
    ensure!(code.contains("bpf_ktime_get_boot_ns"), "{code}");
    for clock in ["bpf_ktime_get_ns", "bpf_ktime_get_coarse_ns", "bpf_ktime_get_tai_ns", "bpf_jiffies64"] {
        assert!(!code.contains(clock), "{clock}");
    }
    Ok(())
}

fn ends_after(world: &World, allowed: &Ran) -> Result<()> {
    let began = Instant::now();
    ensure!(allowed.code == 0, "{allowed}");
    world.must_open(Host::Client)?;
    until("the end of the grant", Duration::from_secs(4), || {
        (world.connect(Host::Client).ok()?.0 == Probe::Silent).then_some(())
    })?;
    assert!(began.elapsed() > Duration::from_millis(1500), "{:?}", began.elapsed());
    Ok(())
}

/// In a container that was moved here from another machine, the boot time is another one than the kernel's.
fn a_clock_of_a_namespace_of_its_own_is_seen_through() -> Result<()> {
    const DAY: u32 = 86_400;
    let world = World::new(Family::V4, None)?;
    is_ahead("boottime", DAY)?;
    let hook = Path::new(sandbox::DIR).join("moved");
    let _daemon: Background = start(ahead("boottime", DAY, &daemon(&config(&hook)?)?))?;
    ends_in_time(&world, &hook, || Ok(()))?;
    let mut allow = Command::new(knockctl_path()?);
    allow.args(["allow", "192.0.2.2", "--for", "2s"]);
    ends_after(&world, &Host::Server.run(&mut ahead("boottime", DAY, &allow))?)?;
    let ran = knockctl(Host::Server, &["status"])?;
    assert_eq!(ran.code, 0, "{ran}");
    Ok(())
}
