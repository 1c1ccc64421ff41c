//! Pins that are not ours, or not of this version; no bpffs at all.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result};
use aya::maps::{Array, HashMap, MapData};
use tests::harness::{Test, tests};
use tests::lab::strace::Trace;
use tests::lab::{
    Background, Config, Daemon, Family, Host, Mount, PINS, Probe, Ran, TIMEOUT, knockctl, knockctl_path, until,
};
use tests::story::World;

use super::{assert_fails, assert_says};

/// The tests.
pub fn tests() -> Vec<Test> {
    tests![
        "e2e::pins";
        pins_of_another_layout_are_refused,
        a_map_of_another_shape_is_refused,
        a_pin_that_is_no_map_is_refused,
        unload_removes_what_was_refused,
        a_missing_bpffs_is_mounted,
        a_bpffs_that_cannot_be_written_is_named,
        pins_without_a_daemon_are_enough,
        pins_are_not_opened_anew_for_each_look,
    ]
}

fn run() -> Result<Ran> {
    let file = Config::lab().write("gate.toml")?.display().to_string();
    knockctl(Host::Server, &["run", "--config", &file])
}

/// A gate whose daemon is gone.
fn standing() -> Result<World> {
    let mut world = World::new(Family::V4, None)?;
    world.gate()?.kill()?;
    Ok(world)
}

fn pins_of_another_layout_are_refused() -> Result<()> {
    let world = standing()?;
    let map = aya::maps::Map::Array(MapData::from_pin(format!("{PINS}/LAYOUT"))?);
    // The version, and the oldest that may read its grants.
    let mut layout = Array::<_, u64>::try_from(map)?;
    layout.set(0, 999, 0)?;
    layout.set(1, 999, 0)?;
    assert_fails(&run()?, &["layout 999", "knockctl unload"]);
    for args in [&["status"][..], &["allow", "192.0.2.7"], &["revoke", "192.0.2.7"]] {
        assert_fails(&knockctl(Host::Server, args)?, &["layout 999"]);
    }
    // The gate that stands is left alone.
    assert_eq!(world.connect(Host::Client)?.0, Probe::Silent);
    Ok(())
}

/// Puts another map in the place of a pin.
fn replace(pin: &str) -> Result<()> {
    let map = HashMap::<MapData, u32, u32>::create(16, 0)?;
    let path = format!("{PINS}/{pin}");
    fs::remove_file(&path)?;
    map.pin(&path)?;
    Ok(())
}

fn a_map_of_another_shape_is_refused() -> Result<()> {
    for pin in ["GRANTS", "ATTEMPTS", "WATCH", "COUNTERS", "EVENTS", "TOKENS", "LAYOUT"] {
        let world = standing()?;
        replace(pin)?;
        assert_fails(&run()?, &[pin, "knockctl unload"]);
        assert_eq!(world.connect(Host::Client)?.0, Probe::Silent, "{pin}");
    }
    Ok(())
}

fn a_pin_that_is_no_map_is_refused() -> Result<()> {
    let world = standing()?;
    // A link, where a map should be.
    fs::remove_file(format!("{PINS}/GRANTS"))?;
    fs::rename(format!("{PINS}/links/eth1"), format!("{PINS}/GRANTS"))?;
    assert_fails(&run()?, &["GRANTS", "knockctl unload"]);
    assert_eq!(world.connect(Host::Client)?.0, Probe::Silent);
    Ok(())
}

fn unload_removes_what_was_refused() -> Result<()> {
    let world = standing()?;
    replace("GRANTS")?;
    assert_fails(&run()?, &["knockctl unload"]);
    assert_says(&knockctl(Host::Server, &["unload"])?, 0, &[]);
    assert!(!std::path::Path::new(PINS).exists());
    world.must_open(Host::Client)?;
    let _daemon = Daemon::start(&Config::lab(), None)?;
    assert_eq!(world.connect(Host::Client)?.0, Probe::Silent);
    Ok(())
}

fn a_missing_bpffs_is_mounted() -> Result<()> {
    let world = World::new(Family::V4, None)?;
    let _none = Mount::new("tmpfs", "/sys/fs/bpf")?;
    let daemon = Daemon::start(&Config::lab(), None)?;
    assert_eq!(world.connect(Host::Client)?.0, Probe::Silent);
    drop(daemon);
    // What the daemon has mounted.
    nix::mount::umount2("/sys/fs/bpf", nix::mount::MntFlags::MNT_DETACH)?;
    Ok(())
}

fn a_bpffs_that_cannot_be_written_is_named() -> Result<()> {
    use nix::mount::{MsFlags, mount};
    let world = World::new(Family::V4, None)?;
    let _over = Mount::over(Path::new("/sys/fs/bpf"), "/sys/fs/bpf")?;
    let read_only = MsFlags::MS_REMOUNT | MsFlags::MS_BIND | MsFlags::MS_RDONLY;
    mount(None::<&str>, "/sys/fs/bpf", None::<&str>, read_only, None::<&str>)?;
    assert_fails(&run()?, &[PINS, "Read-only"]);
    world.must_open(Host::Client)?;
    Ok(())
}

fn pins_without_a_daemon_are_enough() -> Result<()> {
    let world = standing()?;
    assert_says(&knockctl(Host::Server, &["status"])?, 0, &["eth0", "ssh2"]);
    world.command(&["allow", "192.0.2.2"])?;
    world.must_open(Host::Client)?;
    world.revoke()?;
    assert_eq!(world.connect(Host::Client)?.0, Probe::Silent);
    Ok(())
}

/// How often each pin of a map was opened, once tables were looked through so many times.
fn openings(trace: &Trace, looks: usize) -> Result<BTreeMap<String, usize>> {
    let calls = until("looks through tables", 4 * TIMEOUT, || {
        let calls = trace.calls().ok()?;
        (calls.iter().filter(|call| call.is("MAP_LOOKUP_BATCH")).count() >= looks).then_some(calls)
    })?;
    let mut openings = BTreeMap::new();
    for call in calls.iter().filter(|call| call.is("OBJ_GET") && !call.text.contains("/links/")) {
        let name = call.text.split('"').nth(1).with_context(|| call.text.clone())?;
        *openings.entry(name.to_owned()).or_default() += 1;
    }
    Ok(openings)
}

fn pins_are_not_opened_anew_for_each_look() -> Result<()> {
    const LOOKS: usize = 30;
    /// To load a standby program, each pin is looked at once more.
    const MOST: usize = 3;
    let mut world = World::guarded(Family::V4, &Config::lab())?;
    // While there are grants, the daemon looks through them each second.
    world.command(&["allow", "192.0.2.9", "--for", "1h"])?;
    let trace = Trace::new();
    let tracer = trace.attach(world.gate()?.id())?;
    let opened = openings(&trace, LOOKS)?;
    assert!(opened.values().all(|times| *times <= MOST), "the daemon has opened {opened:#?}");
    drop(tracer);

    // The same of a command that goes on; and it sees when a pin is another map.
    let mut watch = Command::new(knockctl_path()?);
    watch.args(["status", "--watch=1"]);
    let trace = Trace::new();
    let (watch, _input) = Background::talk(Host::Server, trace.of(&watch))?;
    let shown = || watch.lines.after(0).iter().filter(|line| line.contains("192.0.2.9")).count();
    until("five rounds", TIMEOUT, || (shown() >= 5).then_some(()))?;
    let opened = openings(&trace, LOOKS)?;
    assert!(opened.len() > 3 && opened.values().all(|times| *times <= 1), "the command has opened {opened:#?}");
    Config::lab().option("max_grants", "77").write("gate.toml")?;
    assert_says(&knockctl(Host::Server, &["reload"])?, 0, &["reloaded"]);
    world.command(&["allow", "192.0.2.10"])?;
    watch.lines.wait_after(0, "192.0.2.10", TIMEOUT).map(drop)
}
