//! Directories and files of the gate: for root alone, and nobody else can put his own in their place.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use nix::mount::{MntFlags, umount2};
use tests::harness::{Test, tests};
use tests::lab::{
    Background, Config, Daemon, Family, GATE_STANDS, Host, Mount, NOBODY, PINS, Probe, Ran, TIMEOUT, knockctl,
    knockctl_path, sandbox, until,
};
use tests::story::World;

use super::{assert_fails, assert_says};

/// The tests.
pub fn tests() -> Vec<Test> {
    tests![
        "e2e::paths";
        a_bpffs_that_was_mounted_is_for_root_alone,
        a_missing_bpffs_has_its_mount_command_as_the_remedy,
        pins_in_a_users_directory_are_refused,
        a_users_directory_among_the_pins_is_refused,
        nothing_is_removed_behind_a_users_link,
        a_directory_of_ours_that_was_open_is_shut,
        a_bpffs_for_everybody_is_warned_of,
        modes_do_not_depend_on_the_umask,
        a_group_gets_the_directory_and_nothing_in_it,
        a_users_link_is_not_followed,
        a_users_file_is_not_written,
    ]
}

const BPFFS: &str = "/sys/fs/bpf";
const RUN: &str = "/run/knock";
/// As the remedy has it.
const MOUNT: &str = "mount -t bpf -o mode=700,nosuid,nodev,noexec bpf /sys/fs/bpf";

fn set_mode(path: impl AsRef<Path>, mode: u32) -> Result<()> {
    let path = path.as_ref();
    fs::set_permissions(path, Permissions::from_mode(mode)).with_context(|| path.display().to_string())
}

fn mode(path: impl AsRef<Path>) -> Result<u32> {
    let path = path.as_ref();
    Ok(fs::symlink_metadata(path).with_context(|| path.display().to_string())?.mode() & 0o7777)
}

/// Runs a program as an account without rights.
fn user(words: &[&str]) -> Result<Ran> {
    let mut command = Command::new("setpriv");
    command.args([&format!("--reuid={NOBODY}"), &format!("--regid={NOBODY}"), "--clear-groups"]).args(words);
    Host::Server.run(&mut command)
}

/// A daemon that is to be refused; one that is not is ended, and says nothing of what is expected.
fn refused() -> Result<Command> {
    let mut command = Command::new("timeout");
    command.arg(TIMEOUT.as_secs().to_string()).arg(knockctl_path()?);
    command.args(["run", "--config"]).arg(Config::lab().write("gate.toml")?);
    Ok(command)
}

fn run() -> Result<Ran> {
    Host::Server.run(&mut refused()?)
}

/// A daemon whose parent shell has set something first, and where it keeps its files.
fn daemon_after(shell: &str, config: &Config, places: &[(&str, &str)]) -> Result<Background> {
    let file = config.write("gate.toml")?.display().to_string();
    let mut command = Command::new("sh");
    command.args(["-c", &format!("{shell}; exec \"$0\" run --config \"$1\"")]).arg(knockctl_path()?).arg(file);
    command.envs(places.iter().copied());
    Background::start(Host::Server, command, None)
}

fn standing_after(shell: &str, config: &Config, places: &[(&str, &str)]) -> Result<Background> {
    let daemon = daemon_after(shell, config, places)?;
    daemon.lines.wait_after(0, GATE_STANDS, TIMEOUT)?;
    Ok(daemon)
}

fn a_bpffs_that_was_mounted_is_for_root_alone() -> Result<()> {
    let world = World::new(Family::V4, None)?;
    let _none = Mount::new("tmpfs", BPFFS)?;
    let daemon = Daemon::start(&Config::lab(), None)?;
    let mounts = fs::read_to_string("/proc/self/mounts")?;
    let bpffs = mounts.lines().rfind(|line| line.contains(" /sys/fs/bpf bpf ")).context("no bpffs")?;
    for option in ["nosuid", "nodev", "noexec"] {
        assert!(bpffs.contains(option), "{option}: {bpffs}");
    }
    // The kernel adds the sticky bit.
    assert_eq!(mode(BPFFS)?, 0o1700);
    assert_ne!(user(&["mkdir", "/sys/fs/bpf/mine"])?.code, 0);
    assert_eq!(world.connect(Host::Client)?.0, Probe::Silent);
    drop(daemon);
    umount2(BPFFS, MntFlags::MNT_DETACH)?;
    Ok(())
}

fn a_missing_bpffs_has_its_mount_command_as_the_remedy() -> Result<()> {
    let world = World::new(Family::V4, None)?;
    let _none = Mount::new("tmpfs", BPFFS)?;
    let file = Config::lab().write("gate.toml")?;
    let mut command = Command::new("setpriv");
    command.args(["--bounding-set=-sys_admin", "--inh-caps=-all"]).arg(knockctl_path()?);
    let ran = Host::Server.run(command.args(["run", "--config"]).arg(file))?;
    assert_fails(&ran, &["is not a BPF file system", &format!("`{MOUNT}`")]);
    Host::Server.must(&["sh", "-c", MOUNT])?;
    let _daemon = Daemon::start(&Config::lab(), None)?;
    // The kernel adds the sticky bit.
    assert_eq!(mode(BPFFS)?, 0o1700);
    assert_eq!(world.connect(Host::Client)?.0, Probe::Silent);
    umount2(BPFFS, MntFlags::MNT_DETACH)?;
    Ok(())
}

/// Not even a user who could make files beside them gets at the pins.
fn assert_out_of_reach(world: &World) -> Result<()> {
    for words in [&["rm", "-rf", PINS][..], &["mv", PINS, "/sys/fs/bpf/away"], &["ls", PINS], &["chmod", "777", PINS]] {
        assert_ne!(user(words)?.code, 0, "{words:?}");
    }
    assert_eq!(mode(PINS)?, 0o700);
    assert_eq!(world.connect(Host::Client)?.0, Probe::Silent);
    Ok(())
}

fn pins_in_a_users_directory_are_refused() -> Result<()> {
    let world = World::new(Family::V4, None)?;
    set_mode(BPFFS, 0o1777)?;
    let remedy = format!("rm -r {PINS}");
    user(&["mkdir", "-m", "0777", PINS])?.success()?;
    assert_fails(&run()?, &[PINS, &format!("the user {NOBODY}"), &format!("`{remedy}`")]);
    // Not by commands either: what is there may be nobody's gate.
    for args in [&["reload"][..], &["unload"], &["allow", "192.0.2.7"]] {
        let ran = knockctl(Host::Server, args)?;
        assert_eq!(ran.code, 2, "{ran}");
    }
    assert_eq!(fs::read_dir(PINS)?.count(), 0);
    Host::Server.must(&["sh", "-c", &remedy])?;
    // A link, to a place where he can do what he wants.
    user(&["mkdir", "-m", "0777", "/sys/fs/bpf/his"])?.success()?;
    user(&["ln", "-s", "/sys/fs/bpf/his", PINS])?.success()?;
    assert_fails(&run()?, &[PINS, "a symbolic link", &format!("`rm {PINS}`")]);
    Host::Server.must(&["rm", PINS])?;
    // A directory above, which is his.
    let ran = Host::Server.run(refused()?.env("KNOCK_PINS", "/sys/fs/bpf/his/knock"))?;
    assert_fails(&ran, &["/sys/fs/bpf/his", &format!("the user {NOBODY}")]);
    world.must_open(Host::Client)?;
    let _daemon = Daemon::start(&Config::lab(), None)?;
    assert_out_of_reach(&world)
}

fn a_users_directory_among_the_pins_is_refused() -> Result<()> {
    let world = World::new(Family::V4, None)?;
    set_mode(BPFFS, 0o755)?;
    for name in ["rules", "links", "next", "GRANTS"] {
        fs::create_dir(PINS)?;
        set_mode(PINS, 0o777)?;
        let path = format!("{PINS}/{name}");
        user(&["mkdir", "-m", "0777", &path])?.success()?;
        assert_fails(&run()?, &[&path, &format!("the user {NOBODY}"), &format!("`rm -r {path}`")]);
        world.must_open(Host::Client)?;
        Host::Server.must(&["rm", "-r", PINS])?;
    }
    Ok(())
}

fn nothing_is_removed_behind_a_users_link() -> Result<()> {
    let world = World::new(Family::V4, None)?;
    let victim = Path::new("/run/victim");
    fs::create_dir(victim)?;
    fs::write(victim.join("file"), "root's")?;
    set_mode(BPFFS, 0o1777)?;
    user(&["mkdir", PINS])?.success()?;
    for name in ["rules", "links", "next"] {
        user(&["ln", "-s", "/run/victim", &format!("{PINS}/{name}")])?.success()?;
    }
    assert_fails(&knockctl(Host::Server, &["unload"])?, &[PINS, &format!("`rm -r {PINS}`")]);
    assert_eq!(fs::read_to_string(victim.join("file"))?, "root's");
    Host::Server.must(&["rm", "-r", PINS])?;
    assert_eq!(fs::read_to_string(victim.join("file"))?, "root's");
    drop(world);
    Ok(())
}

fn a_directory_of_ours_that_was_open_is_shut() -> Result<()> {
    let world = World::new(Family::V4, None)?;
    set_mode(BPFFS, 0o1777)?;
    for path in [PINS, &format!("{PINS}/rules"), &format!("{PINS}/links")] {
        fs::create_dir(path)?;
        set_mode(path, 0o777)?;
    }
    set_mode(RUN, 0o755)?;
    fs::create_dir_all(sandbox::STATE)?;
    set_mode(sandbox::STATE, 0o755)?;
    let hooked = Config::lab().with("cmd_timeout = \"4s\"", "cmd_timeout = \"4s\"\nstart_command = \"/bin/true\"");
    let daemon = Daemon::start(&hooked, None)?;
    for path in [PINS, &format!("{PINS}/rules"), &format!("{PINS}/links"), RUN, sandbox::STATE] {
        assert_eq!(mode(path)?, 0o700, "{path}");
        let told = daemon.after(0).iter().filter(|line| line.contains(&format!("{path}: mode 0"))).count();
        assert_eq!(told, 1, "{path}: {:?}", daemon.after(0));
    }
    assert_out_of_reach(&world)
}

fn a_bpffs_for_everybody_is_warned_of() -> Result<()> {
    let world = World::new(Family::V4, None)?;
    let file = Config::lab().unpublished().write("gate.toml")?.display().to_string();
    let check = || knockctl(Host::Server, &["check", &file]);
    set_mode(BPFFS, 0o700)?;
    assert!(!check()?.success()?.contains(BPFFS));
    set_mode(BPFFS, 0o1777)?;
    let said = check()?.success()?;
    assert!(said.contains("/sys/fs/bpf: mode 1777") && said.contains("help: chmod 0700 /sys/fs/bpf"), "{said}");
    // What is ours there is out of reach all the same.
    let _daemon = Daemon::start(&Config::lab(), None)?;
    assert_out_of_reach(&world)
}

/// Every file and directory below one, with its mode.
fn modes(folder: &str) -> Result<Vec<(String, u32)>> {
    let mut found = vec![(folder.to_owned(), mode(folder)?)];
    for entry in fs::read_dir(folder)? {
        let path = entry?.path().display().to_string();
        if fs::symlink_metadata(&path)?.is_dir() {
            found.extend(modes(&path)?);
        } else {
            found.push((path.clone(), mode(&path)?));
        }
    }
    Ok(found)
}

fn modes_do_not_depend_on_the_umask() -> Result<()> {
    let config = Config::lab().with("cmd_timeout = \"4s\"", "cmd_timeout = \"4s\"\nstart_command = \"/bin/true\"");
    for umask in ["000", "022", "077", "777"] {
        let world = World::new(Family::V4, None)?;
        set_mode("/run/lab", 0o755)?;
        let _daemon = standing_after(&format!("umask {umask}"), &config, &[])?;
        world.knock_open()?;
        assert_says(&knockctl(Host::Server, &["reload"])?, 0, &["reloaded"]);
        let all = [modes(PINS)?, modes(RUN)?, modes(sandbox::STATE)?].concat();
        assert!(all.len() > 25, "{all:?}");
        for (path, mode) in all {
            let wanted = if Path::new(&path).is_dir() { 0o700 } else { 0o600 };
            assert_eq!(mode, wanted, "{path} under {umask}: {mode:o}");
        }
        world.command(&["unload"])?;
        fs::remove_dir_all(sandbox::STATE)
            .or_else(|error| if Path::new(sandbox::STATE).exists() { Err(error) } else { Ok(()) })?;
    }
    Ok(())
}

fn a_group_gets_the_directory_and_nothing_in_it() -> Result<()> {
    const GROUP: u32 = 4242;
    let mut world = World::guarded(Family::V4, &Config::lab().option("status_group", &GROUP.to_string()))?;
    let shown = || -> Result<(u32, u32, u32)> {
        let about = fs::metadata(RUN)?;
        Ok((about.uid(), about.gid(), about.mode() & 0o7777))
    };
    assert_eq!(shown()?, (0, GROUP, 0o750));
    for (path, mode) in modes(RUN)? {
        assert!(path == RUN || path.ends_with("/status.sock") || mode == 0o600, "{path}: {mode:o}");
    }
    // A reload gives it to another, and to nobody.
    for (group, wanted) in [(Some(77), (0, 77, 0o750)), (None, (0, 77, 0o700)), (Some(GROUP), (0, GROUP, 0o750))] {
        let config = Config::lab();
        group.map_or(config.clone(), |group| config.option("status_group", &group.to_string())).write("gate.toml")?;
        assert_says(&knockctl(Host::Server, &["reload"])?, 0, &["reloaded"]);
        assert_eq!(shown()?, wanted);
    }
    // One that is refused leaves it as it is.
    Config::lab().with("9001/tcp", "99001/tcp").write("gate.toml")?;
    assert_eq!(knockctl(Host::Server, &["reload"])?.code, 2);
    assert_eq!(shown()?, (0, GROUP, 0o750));
    // By a bare signal it cannot be given to another: the daemon has given up the right. It can be passed through then.
    Config::lab().option("status_group", "77").write("gate.toml")?;
    let mark = world.gate()?.mark();
    world.gate()?.hang_up()?;
    world.gate()?.wait_after(mark, "/run/knock: cannot be given to the group 77")?;
    until("the mode", TIMEOUT, || (shown().ok()? == (0, GROUP, 0o711)).then_some(()))
}

fn a_users_link_is_not_followed() -> Result<()> {
    let world = World::new(Family::V4, None)?;
    for path in ["/run/open", "/run/victim"] {
        fs::create_dir(path)?;
    }
    set_mode("/run/open", 0o1777)?;
    user(&["ln", "-s", "/run/victim", "/run/open/link"])?.success()?;
    user(&["mkdir", "/run/open/his"])?.success()?;
    let hooked = Config::lab().with("cmd_timeout = \"4s\"", "cmd_timeout = \"4s\"\nstart_command = \"/bin/true\"");
    for (place, why) in [
        ("/run/open/link", "a symbolic link"),
        ("/run/open/link/below", "the user 65534"),
        ("/run/open/his", "the user 65534"),
        ("/run/open/his/below", "the user 65534"),
    ] {
        let mut daemon = daemon_after("true", &hooked, &[("KNOCK_RUN_DIR", place)])?;
        assert_eq!(daemon.wait(TIMEOUT)?.code(), Some(2), "{place}");
        daemon.lines.wait_after(0, why, TIMEOUT)?;
        assert!(!Path::new(PINS).exists(), "{place}");
        world.must_open(Host::Client)?;
        // Stop commands that cannot be noted are no reason for a host without a gate.
        let daemon = standing_after("true", &hooked, &[("KNOCK_STATE_DIR", place)])?;
        daemon.lines.wait_after(0, why, TIMEOUT)?;
        drop(daemon);
        world.command(&["unload"])?;
    }
    assert_eq!(fs::read_dir("/run/victim")?.count() + fs::read_dir("/run/open/his")?.count(), 0);
    // Root's own link is as good as the directory.
    symlink("/run/victim", "/run/roots")?;
    let daemon = standing_after("true", &hooked, &[("KNOCK_RUN_DIR", "/run/roots/below")])?;
    assert_eq!(mode("/run/victim/below")?, 0o700);
    drop(daemon);
    Ok(())
}

fn a_users_file_is_not_written() -> Result<()> {
    let world = World::new(Family::V4, None)?;
    let victim = Path::new("/run/victim");
    fs::write(victim, "root's\n")?;
    set_mode(victim, 0o644)?;
    // From a time when the directory was everybody's.
    set_mode(RUN, 0o777)?;
    let names =
        ["daemon.pid", "daemon.json", "daemon.json-new", "interfaces.json-new", "events.jsonl", "trial.json-new"];
    for (index, name) in names.iter().enumerate() {
        let path = format!("{RUN}/{name}");
        match index % 3 {
            0 => user(&["ln", "-s", "/run/victim", &path])?,
            1 => user(&["mkfifo", "-m", "0666", &path])?,
            _ => user(&["sh", "-c", &format!("umask 0; echo a line of a stranger > {path}")])?,
        }
        .success()?;
    }
    let file = Config::lab().write("gate.toml")?.display().to_string();
    let mut command = Command::new(knockctl_path()?);
    command.args(["run", "--trial", "60s", "--config", &file]);
    let daemon = Background::start(Host::Server, command, None)?;
    daemon.lines.wait_after(0, GATE_STANDS, TIMEOUT)?;
    world.knock_open()?;
    assert_says(&knockctl(Host::Server, &["confirm"])?, 0, &["confirmed"]);
    assert_eq!(fs::read_to_string(victim)?, "root's\n");
    for (path, mode) in modes(RUN)? {
        let about = fs::symlink_metadata(&path)?;
        let is_ours = about.uid() == 0 && !about.is_symlink() && mode & 0o077 == 0;
        ensure!(is_ours || path.contains("-new"), "{path}: {mode:o}, of {}", about.uid());
    }
    let said = knockctl(Host::Server, &["events"])?.success()?;
    assert!(said.contains("OPEN SESAME") && !said.contains("of a stranger"), "{said}");
    Ok(())
}
