//! Full disks: for the log, for the run-time files, for one-time sequences.

use std::fs::{self, File};
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use nix::mount::{MsFlags, mount};
use tests::harness::{Test, tests};
use tests::lab::{Config, Daemon, Family, Host, Mark, Mount, Probe, Status, TIMEOUT, knockctl, sandbox, until};
use tests::story::World;

use super::is_over;
use crate::e2e::assert_says;

/// The tests.
pub fn tests() -> Vec<Test> {
    tests![
        "e2e::faults::disk";
        a_full_disk_for_the_log_costs_lines_only,
        a_full_run_directory_costs_events_only,
        a_full_run_directory_keeps_no_gate_down,
        a_run_directory_without_room_for_a_file_keeps_no_gate_down,
        a_trial_that_cannot_be_noted_is_not_taken_for_confirmed,
        a_full_disk_for_one_time_sequences_shuts_the_door,
    ]
}

/// A small disk, which can be filled.
struct Disk {
    folder: PathBuf,
    _mount: Option<Mount>,
}

impl Disk {
    fn new(name: &str) -> Result<Self> {
        let folder = Path::new(sandbox::DIR).join(name);
        fs::create_dir_all(&folder)?;
        let guard = Mount::new("tmpfs", &folder)?;
        let disk = Self { folder, _mount: Some(guard) };
        disk.shrink()?;
        Ok(disk)
    }

    fn shrink(&self) -> Result<()> {
        self.set("size=256k")
    }

    /// Other options.
    fn set(&self, options: &str) -> Result<()> {
        Ok(mount(None::<&str>, &self.folder, None::<&str>, MsFlags::MS_REMOUNT, Some(options))?)
    }

    /// Fills it to the last octet.
    fn fill(&self) -> Result<()> {
        let mut file = File::create(self.folder.join("filler"))?;
        while file.write(&[0; 4096]).is_ok_and(|written| written > 0) {}
        assert!(file.write(b"x").is_err(), "not full");
        Ok(())
    }

    fn free(&self) -> Result<()> {
        Ok(fs::remove_file(self.folder.join("filler"))?)
    }
}

/// Opens and closes, which makes events.
fn use_it(world: &World) -> Result<()> {
    world.knock_open()?;
    world.must_open(Host::Client)?;
    world.revoke()?;
    assert_eq!(world.connect(Host::Client)?.0, Probe::Silent);
    Ok(())
}

fn a_full_disk_for_the_log_costs_lines_only() -> Result<()> {
    let disk = Disk::new("logdisk")?;
    let log = disk.folder.join("log");
    let read = || String::from_utf8_lossy(&fs::read(&log).unwrap_or_default()).into_owned();
    let mut world = World::new(Family::V4, None)?;
    let mark = Mark::new();
    let config = mark.on(Config::lab().set("log", &format!("{log:?}")));
    world.daemon = Some(Daemon::begin(&config, None)?);
    until("the log", TIMEOUT, || read().contains("the gate stands").then_some(()))?;
    disk.fill()?;
    // The last page of the file may still have room.
    for _ in 0..40 {
        use_it(&world)?;
        if world.gate()?.after(0).iter().any(|line| line.contains("lines are lost")) {
            break;
        }
    }
    world.gate()?.wait_after(0, "lines are lost until it can be written")?;
    use_it(&world)?;
    world.command(&["reload"])?;
    use_it(&world)?;
    let told = world.gate()?.after(0).iter().filter(|line| line.contains("lines are lost")).count();
    assert_eq!(told, 1, "{:?}", world.gate()?.after(0));
    disk.free()?;
    use_it(&world)?;
    until("the lost lines", TIMEOUT, || {
        read().contains("lines are lost: this file could not be written").then_some(())
    })
    .with_context(read)?;
    // One line may have been cut off, and none goes on in another.
    let is_one = |line: &str| line.starts_with("[2") || line.starts_with("  ") || "[2".starts_with(line);
    assert!(read().lines().all(|line| is_one(line) && line.matches("[20").count() <= 1), "{}", read());
    // The one line that says that a gate stands is in the file alone.
    is_over(world, mark)
}

fn a_full_run_directory_costs_events_only() -> Result<()> {
    let mut world = World::new(Family::V4, None)?;
    let gate = Mark::new();
    world.daemon = Some(Daemon::start(&gate.on(Config::lab()), None)?);
    let disk = Disk { folder: "/run/knock".into(), _mount: None };
    disk.shrink()?;
    disk.fill()?;
    let mark = world.gate()?.mark();
    for _ in 0..30 {
        use_it(&world)?;
        if world.gate()?.after(mark).iter().any(|line| line.contains("events.jsonl")) {
            break;
        }
    }
    world.gate()?.wait_after(mark, "events.jsonl: ")?;
    (0..3).try_for_each(|_| use_it(&world))?;
    let told = world.gate()?.after(mark).iter().filter(|line| line.contains("events.jsonl")).count();
    assert_eq!(told, 1, "once, and not for each event: {:?}", world.gate()?.after(mark));
    // It cannot say how a reload went, but makes it.
    let lines = world.gate()?.mark();
    world.gate()?.hang_up()?;
    world.gate()?.wait_after(lines, "the gate stands")?;
    use_it(&world)?;
    disk.free()?;
    use_it(&world)?;
    // What was cut off does not spoil what comes behind it.
    until("events again", TIMEOUT, || {
        let ran = knockctl(Host::Server, &["events", "--json"]).ok()?;
        let lines: Vec<_> = ran.stdout.lines().collect();
        let sound = lines.iter().all(|line| serde_json::from_str::<serde_json::Value>(line).is_ok());
        (ran.code == 0 && sound && lines.last()?.contains("2222/tcp")).then_some(())
    })
    .with_context(|| fs::read_to_string("/run/knock/events.jsonl").unwrap_or_default())?;
    assert_says(&knockctl(Host::Server, &["reload"])?, 0, &["reloaded"]);
    assert!(Status::read()?.daemon().is_some());
    is_over(world, gate)
}

/// A gate whose first daemon finds no room under /run; `free` makes some.
fn first_start(group: u32, free: impl FnOnce() -> Result<()>, mut world: World) -> Result<()> {
    let gate = Mark::new();
    let config = gate.on(Config::lab().option("status_group", &group.to_string()));
    world.daemon = Some(Daemon::start(&config, None)?);
    let said = world.gate()?.after(0);
    for path in ["/run/knock/daemon.", "/run/knock/interfaces.json"] {
        let told = said.iter().filter(|line| line.contains(path) && line.contains("No space left on device")).count();
        assert_eq!(told, 1, "{path}: {said:#?}");
    }
    assert_eq!(world.connect(Host::Client)?.0, Probe::Silent);
    use_it(&world)?;
    let id = world.gate()?.id();
    // Two readers of events would be one too many; where not even the lock can be taken, it is said.
    if Path::new("/run/knock/daemon.pid").exists() {
        let file = config.write("second.toml")?.display().to_string();
        assert_says(&knockctl(Host::Server, &["run", "--config", &file])?, 2, &["/run/knock/daemon.pid"]);
    }
    let before = world.gate()?.mark();
    free()?;
    until("the word of the daemon", TIMEOUT, || (Status::read().ok()?.daemon()? == u64::from(id)).then_some(()))?;
    until("the rest", TIMEOUT, || {
        let names = ["interfaces.json", "status.sock", "daemon.pid"];
        names.iter().all(|name| Path::new("/run/knock").join(name).exists()).then_some(())
    })?;
    world.gate()?.wait_after(before, "no longer: ")?;
    use_it(&world)?;
    assert_says(&knockctl(Host::Server, &["events"])?, 0, &["OPEN SESAME"]);
    assert_says(&knockctl(Host::Server, &["reload"])?, 0, &["by the daemon"]);
    let file = config.write("second.toml")?.display().to_string();
    assert_says(&knockctl(Host::Server, &["run", "--config", &file])?, 2, &["already running", &id.to_string()]);
    is_over(world, gate)
}

fn a_full_run_directory_keeps_no_gate_down() -> Result<()> {
    let world = World::new(Family::V4, None)?;
    let disk = Disk { folder: "/run/knock".into(), _mount: None };
    disk.shrink()?;
    disk.fill()?;
    first_start(4242, || disk.free(), world)
}

fn a_run_directory_without_room_for_a_file_keeps_no_gate_down() -> Result<()> {
    let world = World::new(Family::V4, None)?;
    let disk = Disk { folder: "/run/knock".into(), _mount: None };
    disk.set("nr_inodes=1")?;
    first_start(4242, || disk.set("nr_inodes=1000"), world)
}

fn a_trial_that_cannot_be_noted_is_not_taken_for_confirmed() -> Result<()> {
    let world = World::new(Family::V4, None)?;
    let disk = Disk { folder: "/run/knock".into(), _mount: None };
    disk.set("nr_inodes=1")?;
    let mut daemon = Daemon::start_with(&Config::lab(), &["--trial", "5s"])?;
    daemon.wait_after(0, "the trial is not seen by `knockctl confirm`: /run/knock/trial.json")?;
    assert_eq!(daemon.wait()?.code(), Some(2));
    daemon.wait_after(0, "the trial was not confirmed")?;
    assert!(!Path::new(tests::lab::PINS).exists());
    world.must_open(Host::Client)?;
    // One that can be noted in time is confirmed as ever.
    let daemon = Daemon::start_with(&Config::lab(), &["--trial", "120s"])?;
    disk.set("nr_inodes=1000")?;
    until("the note", TIMEOUT, || Path::new("/run/knock/trial.json").exists().then_some(()))?;
    until("the daemon's word", TIMEOUT, || Status::read().ok()?.daemon())?;
    assert_says(&knockctl(Host::Server, &["confirm"])?, 0, &["confirmed"]);
    drop(daemon);
    Ok(())
}

fn a_full_disk_for_one_time_sequences_shuts_the_door() -> Result<()> {
    let disk = Disk::new("oncedisk")?;
    let file = disk.folder.join("door.once");
    let before = "7000/tcp, 8000/udp, 9000/tcp\n7100/udp, 8100/udp, 9100/udp\n";
    fs::write(&file, before)?;
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600))?;
    let old = "sequence = [\"7000/tcp\", \"8000/udp\", \"9000/tcp\"]\n";
    let mark = Mark::new();
    let config = Config::lab().with(old, &format!("one_time_sequences = {file:?}\n")).set("cmd_timeout", "\"60s\"");
    let config = mark.on(config);
    let mut world = World::new(Family::V4, None)?;
    world.daemon = Some(Daemon::start(&config, None)?);
    disk.fill()?;
    world.knock_open()?;
    world.must_open(Host::Client)?;
    world.gate()?.wait_after(0, "a used sequence cannot be marked: ")?;
    world.revoke()?;
    for _ in 0..2 {
        world.knock_open()?;
        assert_eq!(world.connect(Host::Client)?.0, Probe::Silent);
        world.gate()?.kill()?;
        world.daemon = Some(Daemon::start(&config, None)?);
    }
    assert_eq!(fs::read_to_string(&file)?, before);
    disk.free()?;
    until("the mark", TIMEOUT, || fs::read_to_string(&file).ok()?.starts_with("# used ").then_some(()))?;
    world.knock_open()?;
    assert_eq!(world.connect(Host::Client)?.0, Probe::Silent);
    let next = |world: &World| world.knock(&["7100/udp", "8100/udp", "9100/udp"], Duration::ZERO);
    until("the next sequence", TIMEOUT, || {
        next(&world).ok()?;
        (world.connect(Host::Client).ok()?.0 == Probe::Open).then_some(())
    })?;
    world.revoke()?;
    is_over(world, mark)
}
