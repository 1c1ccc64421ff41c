//! What the daemon may do once the gate stands, and that it is enough.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use tests::harness::{Test, tests};
use tests::lab::{
    Background, Config, Family, GATE_STANDS, Host, PINS, Probe, TIMEOUT, knockctl, knockctl_path, sandbox, until,
};
use tests::story::World;

use super::{assert_fails, assert_says};

/// The tests.
pub fn tests() -> Vec<Test> {
    tests![
        "e2e::privileges";
        a_daemon_keeps_what_a_reload_needs_and_no_more,
        a_daemon_with_hooks_passes_on_what_it_does_not_use,
        a_hook_gets_nothing_that_the_start_alone_needs,
        a_config_of_another_user_can_be_read_again,
        who_lacks_a_capability_is_told_which,
        a_user_with_the_capabilities_needs_not_be_root,
    ]
}

/// CAP_BPF (39), CAP_PERFMON (38), CAP_NET_ADMIN (12).
const NEEDED: u64 = 1 << 39 | 1 << 38 | 1 << 12;
const DAC_OVERRIDE: u64 = 1 << 1;
const CHOWN: u64 = 1;
const NET_RAW: u64 = 1 << 13;

/// A set of a process: `Eff`, `Prm`, `Inh`, `Bnd` or `Amb`.
fn set(process: u32, name: &str) -> Result<u64> {
    let status = fs::read_to_string(format!("/proc/{process}/status"))?;
    let head = format!("Cap{name}:");
    let value = status.lines().find_map(|line| line.strip_prefix(&head)).context("no capabilities")?;
    Ok(u64::from_str_radix(value.trim(), 16)?)
}

fn sets(process: u32) -> Result<[u64; 5]> {
    Ok([set(process, "Eff")?, set(process, "Prm")?, set(process, "Bnd")?, set(process, "Inh")?, set(process, "Amb")?])
}

fn a_daemon_keeps_what_a_reload_needs_and_no_more() -> Result<()> {
    let mut world = World::guarded(Family::V4, &Config::lab().set("interfaces", "[\"eth*\", \"late0\"]"))?;
    let id = world.gate()?.id();
    assert_eq!(sets(id)?, [NEEDED, NEEDED, NEEDED, 0, 0]);
    // It is enough to swap the rules, to take in an interface, and to let it go.
    Config::lab().set("interfaces", "[\"eth*\", \"late0\"]").set("cmd_timeout", "\"9s\"").write("gate.toml")?;
    assert_says(&knockctl(Host::Server, &["reload"])?, 0, &["reloaded"]);
    Host::Server.must(&["ip", "link", "add", "late0", "type", "veth", "peer", "name", "late1"])?;
    let has_gate = || knockctl(Host::Server, &["status"]).ok()?.stdout.contains("late0").then_some(());
    until("the gate on late0", TIMEOUT, has_gate)?;
    Host::Server.must(&["ip", "link", "del", "late0"])?;
    world.knock_open()?;
    world.must_open(Host::Client)?;
    assert_eq!(sets(id)?, [NEEDED, NEEDED, NEEDED, 0, 0]);
    Config::lab().option("on_exit", "\"detach\"").write("gate.toml")?;
    assert_says(&knockctl(Host::Server, &["reload"])?, 0, &["reloaded"]);
    assert!(world.gate()?.terminate()?.success());
    assert!(!Path::new(PINS).exists());
    Ok(())
}

fn a_daemon_with_hooks_passes_on_what_it_does_not_use() -> Result<()> {
    let mut world = World::new(Family::V4, None)?;
    let own = sets(std::process::id())?;
    let hooks = || Config::lab().with("cmd_timeout = \"4s\"", "cmd_timeout = \"4s\"\nstart_command = \"/bin/true\"");
    world.start(&hooks())?;
    let id = world.gate()?.id();
    assert_eq!(sets(id)?, [NEEDED, own[1] & !CHOWN, own[2], own[3] & !CHOWN, own[4] & !CHOWN]);
    // Without hooks they go; with them again, there is a word.
    Config::lab().write("gate.toml")?;
    assert_says(&knockctl(Host::Server, &["reload"])?, 0, &["reloaded"]);
    assert_eq!(sets(id)?, [NEEDED, NEEDED, NEEDED, 0, 0]);
    let mark = world.gate()?.mark();
    hooks().write("gate.toml")?;
    assert_says(&knockctl(Host::Server, &["reload"])?, 0, &["reloaded"]);
    world.gate()?.wait_after(mark, "hooks run with the few capabilities")?;
    Ok(())
}

/// Under what the unit gives. The group of the status gets its directory all the same.
fn a_hook_gets_nothing_that_the_start_alone_needs() -> Result<()> {
    let world = World::new(Family::V4, None)?;
    let said = Path::new(sandbox::DIR).join("capabilities");
    let hook = format!("start_command = \"grep ^CapEff: /proc/self/status > {0}.new; mv {0}.new {0}\"", said.display());
    let config = Config::lab().with("cmd_timeout = \"4s\"", &format!("cmd_timeout = \"4s\"\n{hook}"));
    let config = config.option("status_group", "77").write("gate.toml")?.display().to_string();
    let bounding = "--bounding-set=-all,+bpf,+perfmon,+net_admin,+net_raw,+chown";
    let daemon = with(&["--no-new-privs", bounding, "--inh-caps=-all"], &["run", "--config", &config])?;
    let daemon = Background::start(Host::Server, daemon, None)?;
    daemon.lines.wait_after(0, GATE_STANDS, TIMEOUT)?;
    world.knock_open()?;
    let text = until("the hook", TIMEOUT, || fs::read_to_string(&said).ok())?;
    let capabilities = text.trim().strip_prefix("CapEff:").context("capabilities")?.trim();
    assert_eq!(u64::from_str_radix(capabilities, 16)?, NEEDED | NET_RAW);
    let about = fs::metadata("/run/knock")?;
    assert_eq!((about.mode() & 0o7777, about.uid(), about.gid()), (0o750, 0, 77));
    fs::remove_file(said)?;
    Ok(())
}

fn a_config_of_another_user_can_be_read_again() -> Result<()> {
    let _world = World::new(Family::V4, None)?;
    let path = Config::lab().write("gate.toml")?;
    chown(&path, Some(65534), Some(65534))?;
    let mut command = Command::new(knockctl_path()?);
    command.args(["run", "--config"]).arg(&path);
    let daemon = Background::start(Host::Server, command, None)?;
    daemon.lines.wait_after(0, GATE_STANDS, TIMEOUT)?;
    assert_eq!(sets(daemon.id())?, [NEEDED | DAC_OVERRIDE, NEEDED | DAC_OVERRIDE, NEEDED | DAC_OVERRIDE, 0, 0]);
    assert_says(&knockctl(Host::Server, &["reload"])?, 0, &["reloaded"]);
    fs::remove_file(path)?;
    Ok(())
}

/// `knockctl` under setpriv.
fn with(privileges: &[&str], args: &[&str]) -> Result<Command> {
    let mut command = Command::new("setpriv");
    command.args(privileges).arg(knockctl_path()?).args(args);
    Ok(command)
}

fn who_lacks_a_capability_is_told_which() -> Result<()> {
    let _world = World::new(Family::V4, None)?;
    let path = Config::lab().write("gate.toml")?.display().to_string();
    let run = ["run", "--config", &path];
    for (bounding, missing) in [
        ("-all,+bpf,+perfmon", "without CAP_NET_ADMIN: "),
        ("-all,+net_admin,+perfmon", "without CAP_BPF: "),
        ("-all,+net_admin", "without CAP_BPF, CAP_PERFMON: "),
    ] {
        let bounding = format!("--bounding-set={bounding}");
        let ran = Host::Server.run(&mut with(&[&bounding, "--inh-caps=-all"], &run)?)?;
        assert_says(&ran, 2, &["knockctl: root, but ", missing]);
        assert!(!Path::new(PINS).exists());
    }
    let ran = Host::Server.run(&mut with(&["--reuid=65534", "--clear-groups"], &["status"])?)?;
    assert_fails(&ran, &["not root, and without CAP_BPF, CAP_PERFMON, CAP_NET_ADMIN: run it with sudo"]);
    Ok(())
}

fn a_user_with_the_capabilities_needs_not_be_root() -> Result<()> {
    const USER: u32 = 65534;
    let world = World::new(Family::V4, None)?;
    // Places of its own, as a unit with User= would give it.
    let (pins, run, config) = ("/sys/fs/bpf/user", "/run/knock/user", Config::lab().write("gate.toml")?);
    for dir in [pins, run] {
        fs::create_dir(dir)?;
        chown(dir, Some(USER), Some(USER))?;
    }
    chown(&config, Some(USER), Some(USER))?;
    for dir in ["/sys/fs/bpf", "/run/knock", "/run/lab"] {
        fs::set_permissions(dir, fs::Permissions::from_mode(0o755))?;
    }
    let capabilities = "+bpf,+perfmon,+net_admin";
    let (inheritable, ambient) = (format!("--inh-caps={capabilities}"), format!("--ambient-caps={capabilities}"));
    let privileges = ["--reuid=65534", "--regid=65534", "--clear-groups", &inheritable, &ambient];
    let config = config.display().to_string();
    let places = |command: &mut Command| {
        command.env("KNOCK_PINS", format!("{pins}/knock")).env("KNOCK_RUN_DIR", run).env("KNOCK_STATE_DIR", run);
    };
    let mut command = with(&privileges, &["run", "--config", &config])?;
    places(&mut command);
    let mut daemon = Background::start(Host::Server, command, None)?;
    daemon.lines.wait_after(0, GATE_STANDS, TIMEOUT)?;
    assert_eq!(sets(daemon.id())?[..2], [NEEDED, NEEDED]);
    assert_eq!(world.connect(Host::Client)?.0, Probe::Silent);
    let mut reload = with(&privileges, &["reload"])?;
    places(&mut reload);
    assert_says(&Host::Server.run(&mut reload)?, 0, &["reloaded"]);
    ensure!(daemon.terminate()?.success());
    let mut unload = with(&privileges, &["unload"])?;
    places(&mut unload);
    assert_says(&Host::Server.run(&mut unload)?, 0, &["taken off"]);
    world.must_open(Host::Client)?;
    fs::remove_file(config)?;
    Ok(())
}
