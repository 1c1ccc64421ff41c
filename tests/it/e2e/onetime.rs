//! One-time sequences: used once, whoever lives; the file keeps the rest; the next one follows.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result};
use nix::mount::{MsFlags, mount};
use tests::harness::{Test, tests};
use tests::lab::{Config, Family, Host, Lab, Mount, Probe, Status, TIMEOUT, knockctl, sandbox, until};
use tests::story::World;

use super::assert_says;

/// The tests.
pub fn tests() -> Vec<Test> {
    tests![
        "e2e::onetime";
        a_sequence_opens_once_and_the_next_follows,
        a_used_sequence_is_refused_with_a_dead_daemon_and_stays_used,
        a_file_that_cannot_be_written_keeps_the_door_shut,
        without_a_sequence_the_door_is_shut_and_the_daemon_up,
        unload_marks_what_nobody_has_marked,
        check_warns_of_a_file_that_cannot_be_changed,
    ]
}

/// The steps of the lines in the file, as the client names them.
const LINES: [[&str; 3]; 5] = [
    ["7000/tcp", "8000/udp", "9000/tcp"],
    ["7100/tcp", "8100/udp", "9100/tcp"],
    ["7200/tcp", "8200/tcp", "9200/udp"],
    ["7300/tcp", "8300/tcp", "9300/tcp"],
    ["7400/udp", "8400/tcp", "9400/tcp"],
];

/// The file, in a file system of its own.
struct File {
    folder: PathBuf,
    _mount: Mount,
}

impl File {
    fn new(lines: &[[&str; 3]]) -> Result<Self> {
        let folder = Path::new(sandbox::DIR).join("once");
        fs::create_dir_all(&folder)?;
        let file = Self { _mount: Mount::new("tmpfs", &folder)?, folder };
        let lines: Vec<_> = lines.iter().map(|steps| steps.join(", ").replace("/udp", ":udp")).collect();
        fs::write(file.path(), format!("# of the lab\n{}\n", lines.join("\n")))?;
        fs::set_permissions(file.path(), fs::Permissions::from_mode(0o600))?;
        Ok(file)
    }

    fn path(&self) -> PathBuf {
        self.folder.join("door.once")
    }

    fn text(&self) -> String {
        fs::read_to_string(self.path()).unwrap_or_default()
    }

    fn used(&self) -> usize {
        self.text().lines().filter(|line| line.starts_with("# used ")).count()
    }

    /// The lab's config with this file for the door that opens.
    fn config(&self) -> Config {
        let old = "sequence = [\"7000/tcp\", \"8000/udp\", \"9000/tcp\"]\n";
        Config::lab().with(old, &format!("one_time_sequences = {:?}\n", self.path())).set("cmd_timeout", "\"60s\"")
    }

    fn make_read_only(&self, yes: bool) -> Result<()> {
        let flags = if yes { MsFlags::MS_REMOUNT | MsFlags::MS_RDONLY } else { MsFlags::MS_REMOUNT };
        Ok(mount(None::<&str>, &self.folder, None::<&str>, flags, None::<&str>)?)
    }
}

/// Knocks by a line of the file.
fn knock(world: &World, line: usize) -> Result<()> {
    world.knock(&LINES[line], Duration::ZERO)
}

/// Knocks by a line, which must open nothing.
fn knock_in_vain(world: &World, line: usize) -> Result<()> {
    knock(world, line)?;
    assert_eq!(world.connect(Host::Client)?.0, Probe::Silent, "line {line}");
    assert!(Status::read()?.grants().is_empty(), "line {line}");
    Ok(())
}

/// Knocks by a line, which must open; then the grant is taken away.
fn knock_and_revoke(world: &World, line: usize) -> Result<()> {
    knock(world, line)?;
    world.must_open(Host::Client).with_context(|| format!("line {line}"))?;
    world.revoke()
}

/// Sequences left, as `status` says; a door that is shut has no steps.
fn left() -> Result<u64> {
    let status = Status::read()?;
    let door = &status.0["doors"][0];
    assert_eq!(door["steps"] == 0, door["sequences_left"] == 0, "{door}");
    Ok(door["sequences_left"].as_u64().expect("a number"))
}

fn wait_left(number: u64) -> Result<()> {
    until(&format!("{number} sequences left"), TIMEOUT, || (left().ok()? == number).then_some(()))
}

fn a_sequence_opens_once_and_the_next_follows() -> Result<()> {
    let file = File::new(&LINES)?;
    let mut world = World::guarded(Family::V4, &file.config())?;
    assert_eq!(left()?, 5);
    for (line, family) in Family::ALL.into_iter().cycle().take(4).enumerate() {
        world.family = family;
        let mark = world.gate()?.mark();
        knock_and_revoke(&world, line)?;
        let left = LINES.len() - line - 1;
        world.gate()?.wait_after(mark, &format!("opencloseSSH: {left} one-time sequences left in "))?;
        wait_left(left as u64)?;
        // By nobody, over neither family.
        for family in Family::ALL {
            world.family = family;
            knock_in_vain(&world, line)?;
        }
    }
    let text = file.text();
    let lines: Vec<_> = text.lines().collect();
    assert_eq!((lines.len(), file.used()), (6, 4), "{text}");
    assert_eq!((lines[0], lines[5]), ("# of the lab", "7400:udp, 8400/tcp, 9400/tcp"));
    assert!(lines[1].contains(" by 192.0.2.2: 7000/tcp") && lines[2].contains(" by 2001:db8:"), "{text}");
    assert_eq!(fs::metadata(file.path())?.permissions().mode() & 0o777, 0o600);
    let said = world.gate()?.after(0).join("\n");
    assert!(!said.contains("7400") && !said.contains("9400"), "{said}");
    assert_says(&knockctl(Host::Server, &["status"])?, 0, &["1 one-time sequence left"]);
    let config = world.gate()?.config().display().to_string();
    assert_says(&knockctl(Host::Server, &["check", &config])?, 0, &["1 sequence left"]);
    // The kernel forgets what the file says.
    let empty =
        || knockctl(Host::Server, &["status", "--json"]).ok().and_then(|_| noted().ok()).filter(|noted| *noted == 0);
    until("the kernel's notes to go", TIMEOUT, empty)?;
    Ok(())
}

/// How many uses the kernel has noted.
fn noted() -> Result<usize> {
    let state = knock_user::kernel::State::open(&knock_user::paths::Paths::default())?;
    Ok(state.used()?.len())
}

fn a_used_sequence_is_refused_with_a_dead_daemon_and_stays_used() -> Result<()> {
    let file = File::new(&LINES)?;
    let mut world = World::guarded(Family::V4, &file.config())?;
    let config = world.gate()?.config().display().to_string();
    world.gate()?.kill()?;
    knock_and_revoke(&world, 0)?;
    knock_in_vain(&world, 0)?;
    assert_eq!(Status::read()?.counter("grant_spent"), 1);
    assert_eq!((file.used(), noted()?), (0, 1));
    // A reload without a daemon marks it, and goes on with the next.
    world.command(&["reload", "--config", &config])?;
    assert_eq!((file.used(), left()?), (1, 4));
    knock_in_vain(&world, 0)?;
    knock_and_revoke(&world, 1)?;
    knock_in_vain(&world, 1)?;
    assert_eq!(file.used(), 1);
    // So does the next daemon.
    world.start(&file.config())?;
    assert_eq!((file.used(), left()?), (2, 3));
    knock_in_vain(&world, 0)?;
    knock_in_vain(&world, 1)?;
    until("the kernel's notes to go", TIMEOUT, || noted().ok().filter(|noted| *noted == 0))?;
    knock_in_vain(&world, 1)?;
    knock_and_revoke(&world, 2)?;
    wait_left(2)
}

fn a_file_that_cannot_be_written_keeps_the_door_shut() -> Result<()> {
    let file = File::new(&LINES)?;
    let mut world = World::guarded(Family::V4, &file.config())?;
    file.make_read_only(true)?;
    knock_and_revoke(&world, 0)?;
    world.gate()?.wait_after(0, "error: opencloseSSH: ")?;
    world.gate()?.wait_after(0, "a used sequence cannot be marked: ")?;
    let shut = |world: &World| -> Result<()> {
        knock_in_vain(world, 0)?;
        knock_in_vain(world, 1)?;
        assert_eq!((file.used(), noted()?), (0, 1));
        Ok(())
    };
    shut(&world)?;
    world.command(&["reload"])?;
    shut(&world)?;
    world.gate()?.kill()?;
    shut(&world)?;
    world.start(&file.config())?;
    shut(&world)?;
    let complaints = world.gate()?.after(0).iter().filter(|line| line.contains("cannot be marked")).count();
    assert!((1..=2).contains(&complaints), "told, and not with every attempt: {complaints}");
    file.make_read_only(false)?;
    wait_left(4)?;
    knock_in_vain(&world, 0)?;
    knock_and_revoke(&world, 1)
}

fn without_a_sequence_the_door_is_shut_and_the_daemon_up() -> Result<()> {
    let file = File::new(&LINES[..1])?;
    let mut world = World::guarded(Family::V6, &file.config())?;
    knock_and_revoke(&world, 0)?;
    world.gate()?.wait_after(0, "no one-time sequence left in ")?;
    wait_left(0)?;
    for line in 0..LINES.len() {
        knock_in_vain(&world, line)?;
    }
    assert!(world.gate()?.runs());
    assert_says(&knockctl(Host::Server, &["status"])?, 0, &["shut: no one-time sequence left"]);
    // The other door still works.
    world.command(&["allow", &world.address(Host::Client).to_string()])?;
    world.knock(&tests::story::CLOSE, Duration::ZERO)?;
    assert_eq!(world.connect(Host::Client)?.0, Probe::Silent);
    // It starts like that, too.
    world.gate()?.terminate()?;
    world.start(&file.config())?;
    assert_eq!(left()?, 0);
    fs::write(file.path(), format!("{}{}\n{}\n", file.text(), LINES[0].join(","), LINES[3].join(",")))?;
    let said = world.command(&["reload"])?;
    assert!(said.contains("reloaded"), "{said}");
    assert_eq!(left()?, 1);
    knock_in_vain(&world, 0)?;
    knock_and_revoke(&world, 3)
}

fn unload_marks_what_nobody_has_marked() -> Result<()> {
    let file = File::new(&LINES)?;
    let mut world = World::guarded(Family::V4, &file.config())?;
    world.gate()?.kill()?;
    knock_and_revoke(&world, 0)?;
    let said = world.command(&["unload"])?;
    assert!(said.contains("one-time sequence of line 2 used by 192.0.2.2"), "{said}");
    assert_eq!(file.used(), 1);
    world.start(&file.config())?;
    knock_in_vain(&world, 0)?;
    knock_and_revoke(&world, 1)
}

fn check_warns_of_a_file_that_cannot_be_changed() -> Result<()> {
    let _lab = Lab::new()?;
    let file = File::new(&LINES)?;
    let config = file.config().write("gate.toml")?.display().to_string();
    let check = || knockctl(Host::Server, &["check", &config]);
    let ran = check()?;
    assert!(ran.code == 0 && !ran.stdout.contains("cannot be changed"), "{ran}");
    file.make_read_only(true)?;
    let words =
        ["door.once: cannot be changed: Read-only file system", "the door will shut after its next use", "move"];
    assert_says(&check()?, 0, &words);
    file.make_read_only(false)
}
