//! Hooks: commands of a door, run by the daemon, bounded, and undone whatever ends the grant.

use std::fs;
use std::net::{Ipv6Addr, SocketAddr, SocketAddrV6};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use nix::net::if_::if_nametoindex;
use tests::harness::{Test, ensure_measured, tests};
use tests::lab::{
    Config, Daemon, Family, Host, PATIENCE, PINS, Pause, Probe, Status, TIMEOUT, connect, ip, knockctl, knockctl_path,
    pause, sandbox, send_udp, until,
};
use tests::story::World;

use super::assert_says;

/// The tests.
pub fn tests() -> Vec<Test> {
    tests![
        "e2e::hooks";
        a_hook_runs_after_the_kernel_has_opened,
        a_hook_is_told_of_everything_in_both_families,
        a_hook_is_told_of_the_interface_of_a_link_local_source,
        a_door_without_a_service_only_runs_its_hooks,
        a_name_that_is_shell_syntax_is_refused,
        a_hook_that_hangs_is_killed_with_its_children,
        a_hook_that_fails_is_told_of,
        a_flood_is_bounded_and_the_gate_goes_on,
        a_stop_command_runs_once_when_the_grant_expires,
        a_stop_command_runs_once_for_a_revoke,
        a_stop_command_runs_once_for_a_close_door,
        a_grant_that_ends_without_a_daemon_is_undone_by_the_next,
        a_daemon_killed_while_a_stop_command_runs_does_not_run_it_twice,
        a_restart_undoes_nothing,
        a_reload_without_the_door_keeps_what_is_owed,
        a_lost_table_is_undone,
        unload_undoes_everything,
        on_exit_detach_undoes_everything,
    ]
}

/// What the hooks of a test write.
struct Log(PathBuf);

impl Log {
    fn new() -> Self {
        let path = Path::new(sandbox::DIR).join("hooks.log");
        let _ = fs::remove_file(&path);
        Self(path)
    }

    fn path(&self) -> String {
        self.0.display().to_string()
    }

    fn lines(&self) -> Vec<String> {
        fs::read_to_string(&self.0).unwrap_or_default().lines().map(str::to_owned).collect()
    }

    /// Waits for so many lines, and a while whether there come more.
    fn wait(&self, lines: usize) -> Result<Vec<String>> {
        let enough = || (self.lines().len() >= lines).then_some(());
        until(&format!("{lines} lines of hooks"), TIMEOUT, enough)?;
        std::thread::sleep(Duration::from_millis(300));
        Ok(self.lines())
    }
}

/// The lab's config with a start and a stop command for the door that opens, for a minute.
fn hooked(start: &str, stop: &str) -> Config {
    let window = "cmd_timeout = \"60s\"";
    Config::lab().with(
        "cmd_timeout = \"4s\"\n",
        &format!("{window}\nstart_command = '''{start}'''\nstop_command = '''{stop}'''\n"),
    )
}

/// The same with commands that write `+ IP` and `- IP`.
fn plus_minus(log: &Log) -> Config {
    let log = log.path();
    hooked(&format!("echo + %IP% >> {log}"), &format!("echo - %IP% >> {log}"))
}

const PLUS: &str = "+ 192.0.2.2";
const MINUS: &str = "- 192.0.2.2";

/// A lab whose client has knocked, and whose start command has run.
fn opened(config: &Config, log: &Log) -> Result<World> {
    let world = World::guarded(Family::V4, config)?;
    world.knock_open()?;
    assert_eq!(log.wait(1)?, [PLUS]);
    Ok(world)
}

fn a_hook_runs_after_the_kernel_has_opened() -> Result<()> {
    let log = Log::new();
    let knockctl = knockctl_path()?.display().to_string();
    let path = log.path();
    let start =
        format!("{knockctl} status --json | grep -c '\"source\":\"%IP%\"' >> {path}; sleep 3; echo slow >> {path}");
    let mut world = World::guarded(Family::V4, &hooked(&start, "true"))?;
    for family in Family::ALL {
        world.family = family;
        world.knock_open()?;
        world.must_open(Host::Client).context("while the hook still runs")?;
    }
    let mut lines = log.wait(4)?;
    lines.sort();
    assert_eq!(lines, ["1", "1", "slow", "slow"]);
    Ok(())
}

fn a_hook_is_told_of_everything_in_both_families() -> Result<()> {
    let log = Log::new();
    let words = "$KNOCK_IP $KNOCK_DOOR $KNOCK_SERVICE $KNOCK_EVENT $KNOCK_FAMILY $KNOCK_PREFIX";
    let say =
        |which: &str| format!("echo \"{which} %IP% %DOOR% %SERVICE% {words} $(env | wc -l) $(pwd)\" >> {}", log.path());
    let config = hooked(&say("4"), "true")
        .with("[doors.closeSSH]", &format!("start_command_6 = '''{}'''\n[doors.closeSSH]", say("6")));
    let config = config.with("seq_timeout", "grant_prefix_v6 = 64\nseq_timeout");
    let mut world = World::guarded(Family::V4, &config)?;
    for (number, family) in Family::ALL.into_iter().enumerate() {
        world.family = family;
        world.knock_open()?;
        log.wait(number + 1)?;
    }
    let (four, six) = ("192.0.2.2", world.address(Host::Client).to_string());
    let prefix = six.split("::").next().unwrap_or_default();
    let both = "opencloseSSH ssh2";
    // KNOCK_*, PATH, LANG, and PWD of the shell itself.
    assert_eq!(
        log.lines(),
        [
            format!("4 {four} {both} {four} {both} opened 4 {four}/32 9 /"),
            format!("6 {six} {both} {six} {both} opened 6 {prefix}::/64 9 /"),
        ]
    );
    Ok(())
}

fn a_hook_is_told_of_the_interface_of_a_link_local_source() -> Result<()> {
    let log = Log::new();
    let knockctl = knockctl_path()?.display().to_string();
    // As `status` writes the grant, and as a program takes it.
    let start = format!(
        "{knockctl} status --json | grep -o '\"source\":\"%IP%\"' >> {0}; echo $KNOCK_IP $KNOCK_PREFIX >> {0}; \
         {knockctl} explain %IP% 2222 | grep -o 'rule 8' >> {0}",
        log.path()
    );
    let stop = format!("echo - %IP% >> {}", log.path());
    let mut world = World::new(Family::V6, None)?;
    let (server, client): (Ipv6Addr, _) = ("fe80::51".parse()?, "fe80::52");
    for (host, address) in [(Host::Server, server.to_string()), (Host::Client, client.to_owned())] {
        ip(host, "link set eth0 addrgenmode none\naddr flush dev eth0 scope link\n")?;
        ip(host, &format!("addr add {address}/64 dev eth0 nodad\n"))?;
    }
    world.start(&hooked(&start, &stop))?;
    let link = Host::Client.enter(|| Ok(if_nametoindex("eth0")?))?;
    let to = |port: u16| SocketAddr::from(SocketAddrV6::new(server, port, 0, link));
    connect(Host::Client, to(7000), PATIENCE)?;
    send_udp(Host::Client, to(8000), b"knock")?;
    connect(Host::Client, to(9000), PATIENCE)?;
    let source = format!("{client}%eth0");
    let told = [format!("\"source\":\"{source}\""), format!("{source} {source}/128"), "rule 8".to_owned()];
    assert_eq!(log.wait(3)?, told);
    world.gate()?.wait_after(0, &format!("explain {source} 2222"))?;
    world.command(&["revoke", &source])?;
    assert_eq!(log.wait(4)?[3], format!("- {source}"));
    world.gate()?.wait_after(0, &format!("{source}: opencloseSSH: the grant has ended"))?;
    Ok(())
}

fn a_door_without_a_service_only_runs_its_hooks() -> Result<()> {
    let log = Log::new();
    let door = format!(
        "[doors.light]\nsequence = [\"5000/tcp\", \"4000/tcp\"]\ncmd_timeout = \"2s\"\nstart_command = \"echo on %SERVICE% >> {0}\"\nstop_command = \"echo off >> {0}\"\n\n[doors.closeSSH]",
        log.path()
    );
    let mut world = World::new(Family::V4, None)?;
    let daemon = Daemon::start(&Config::lab().with("[doors.closeSSH]", &door), None)?;
    world.knock(&["5000/tcp", "4000/tcp"], Duration::ZERO)?;
    daemon.wait_after(0, "light: OPEN SESAME")?;
    assert_eq!(log.wait(1)?, ["on light"]);
    assert_eq!(world.connect(Host::Client)?.0, Probe::Silent);
    assert_says(&knockctl(Host::Server, &["status"])?, 0, &["light", "192.0.2.2"]);
    assert_eq!(log.wait(2)?, ["on light", "off"]);
    daemon.wait_after(0, "192.0.2.2: light: command timeout")?;
    // A grant by hand is for what is protected.
    let allowed = world.command(&["allow", "203.0.113.9"])?;
    assert!(allowed.contains("ssh2") && !allowed.contains("light"), "{allowed}");
    // Its grants can be taken away as any other.
    world.knock(&["5000/tcp", "4000/tcp"], Duration::ZERO)?;
    log.wait(3)?;
    assert!(world.command(&["revoke", "192.0.2.2", "--service", "light"])?.contains("light: revoked"));
    assert_eq!(log.wait(4)?[2..], ["on light", "off"]);
    world.daemon = Some(daemon);
    Ok(())
}

fn a_name_that_is_shell_syntax_is_refused() -> Result<()> {
    let _world = World::new(Family::V4, None)?;
    let config =
        hooked("echo %DOOR%", "true").with("[doors.opencloseSSH]", "[doors.\"$(reboot)\"]").write("bad.toml")?;
    let ran = knockctl(Host::Server, &["check", &config.display().to_string()])?;
    assert_says(&ran, 1, &["doors.$(reboot)", "a name that hooks cannot be given"]);
    Ok(())
}

fn a_hook_that_hangs_is_killed_with_its_children() -> Result<()> {
    let log = Log::new();
    let start = format!("trap '' TERM; sleep 7777 & echo $! >> {}; echo hanging; wait; sleep 7777", log.path());
    let config = hooked(&start, "true").option("hook_timeout", "\"1s\"").option("max_hooks", "2");
    let world = World::guarded(Family::V4, &config)?;
    world.knock_open()?;
    let child = log.wait(1)?.remove(0);
    let stat = PathBuf::from(format!("/proc/{child}/stat"));
    assert!(stat.exists());
    let daemon = world.daemon.as_ref().expect("it was started");
    daemon.wait_after(0, "opencloseSSH: command says: hanging")?;
    daemon.wait_after(0, "opencloseSSH: command took too long and was killed")?;
    until("the end of its child", TIMEOUT, || (!stat.exists()).then_some(()))?;
    world.must_open(Host::Client)?;
    Ok(())
}

fn a_hook_that_fails_is_told_of() -> Result<()> {
    let config = hooked("/nonexistent/program %IP%", "echo gone; exit 7").set("cmd_timeout", "\"1s\"");
    let world = World::guarded(Family::V4, &config)?;
    world.knock_open()?;
    world.must_open(Host::Client)?;
    let daemon = world.daemon.as_ref().expect("it was started");
    for text in [
        "opencloseSSH: running command: /nonexistent/program 192.0.2.2",
        "opencloseSSH: command says: /bin/sh: ",
        "opencloseSSH: command returned non-zero status code (127)",
        "192.0.2.2: opencloseSSH: command timeout",
        "opencloseSSH: running command: echo gone; exit 7",
        "opencloseSSH: command says: gone",
        "opencloseSSH: command returned non-zero status code (7)",
    ] {
        daemon.wait_after(0, text)?;
    }
    let events = || knockctl(Host::Server, &["events", "--json"]);
    until("the events", TIMEOUT, || events().ok()?.stdout.contains("status code (7)").then_some(()))?;
    let events = events()?.stdout;
    let hook = events.lines().find(|line| line.contains("running command: echo gone")).unwrap_or_default();
    let hook: serde_json::Value = serde_json::from_str(hook)?;
    assert_eq!(
        (&hook["event"], &hook["source"], &hook["door"], &hook["service"]),
        (&"hook".into(), &"192.0.2.2".into(), &"opencloseSSH".into(), &"ssh2".into())
    );
    Ok(())
}

fn a_flood_is_bounded_and_the_gate_goes_on() -> Result<()> {
    let config = hooked("yes flood", "true").option("hook_timeout", "\"3s\"");
    let mut world = World::guarded(Family::V4, &config)?;
    world.knock_open()?;
    // The daemon is not kept from its other work.
    let mark = world.gate()?.mark();
    world.connect(Host::Stranger)?;
    let begun = Instant::now();
    world.gate()?.wait_after(mark, "did not knock: ")?;
    ensure_measured!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
    let daemon = world.gate()?;
    daemon.wait_after(0, "bytes left out")?;
    daemon.wait_after(0, "was killed")?;
    let lines = daemon.after(0).iter().filter(|line| line.contains("command says: flood")).count();
    assert!((1000..3000).contains(&lines), "16 KiB of lines, not {lines}");
    Ok(())
}

fn a_stop_command_runs_once_when_the_grant_expires() -> Result<()> {
    let log = Log::new();
    let mut world = opened(&plus_minus(&log).set("cmd_timeout", "\"3s\""), &log)?;
    // It is extended, and nothing runs.
    world.knock_open()?;
    world.gate()?.wait_after(0, "(extended)")?;
    let begun = Instant::now();
    assert_eq!(log.wait(2)?, [PLUS, MINUS]);
    assert!(begun.elapsed() > Duration::from_secs(1), "not before the end");
    pause(Pause::NoOtherHook);
    assert_eq!(log.lines(), [PLUS, MINUS]);
    Ok(())
}

fn a_stop_command_runs_once_for_a_revoke() -> Result<()> {
    let log = Log::new();
    let world = opened(&plus_minus(&log), &log)?;
    world.revoke()?;
    let begun = Instant::now();
    assert_eq!(log.wait(2)?, [PLUS, MINUS]);
    ensure_measured!(begun.elapsed() < Duration::from_secs(4), "the stop command ran after {:?}", begun.elapsed());
    // Revoked and opened again before anybody looked.
    world.knock_open()?;
    log.wait(3)?;
    world.revoke()?;
    world.knock_open()?;
    assert_eq!(log.wait(5)?[2..], [PLUS, MINUS, PLUS]);
    Ok(())
}

fn a_stop_command_runs_once_for_a_close_door() -> Result<()> {
    let log = Log::new();
    let config = plus_minus(&log).with(
        "action = \"close\"",
        &format!("action = \"close\"\nstart_command = 'echo closed %IP% >> {}'", log.path()),
    );
    let world = opened(&config, &log)?;
    world.knock(&tests::story::CLOSE, Duration::ZERO)?;
    assert_eq!(log.wait(3)?, [PLUS, MINUS, "closed 192.0.2.2"]);
    // Every completion of the close door runs its command, whether or not there was a grant.
    world.knock(&tests::story::CLOSE, Duration::ZERO)?;
    assert_eq!(log.wait(4)?[3], "closed 192.0.2.2");
    Ok(())
}

fn a_grant_that_ends_without_a_daemon_is_undone_by_the_next() -> Result<()> {
    let log = Log::new();
    let config = plus_minus(&log);
    let mut world = opened(&config, &log)?;
    world.gate()?.kill()?;
    world.revoke()?;
    // Without a daemon a door opens as well.
    world.family = Family::V6;
    world.knock_open()?;
    world.must_open(Host::Client)?;
    assert_eq!(log.lines(), [PLUS]);
    world.start(&config)?;
    let mut lines = log.wait(3)?;
    lines[1..].sort();
    assert_eq!(lines, [PLUS.to_owned(), format!("+ {}", world.address(Host::Client)), MINUS.to_owned()]);
    Ok(())
}

fn a_daemon_killed_while_a_stop_command_runs_does_not_run_it_twice() -> Result<()> {
    let log = Log::new();
    let path = log.path();
    let config =
        hooked(&format!("echo + %IP% >> {path}"), &format!("echo begun >> {path}; sleep 2; echo - %IP% >> {path}"));
    let mut world = opened(&config, &log)?;
    world.revoke()?;
    log.wait(2)?;
    world.gate()?.kill()?;
    world.start(&config)?;
    assert_eq!(log.wait(3)?, [PLUS, "begun", MINUS]);
    pause(Pause::NoOtherSlowHook);
    assert_eq!(log.lines().len(), 3);
    Ok(())
}

fn a_restart_undoes_nothing() -> Result<()> {
    let log = Log::new();
    let config = plus_minus(&log);
    let mut world = opened(&config, &log)?;
    assert!(world.gate()?.terminate()?.success());
    world.start(&config)?;
    world.gate()?.kill()?;
    world.start(&config)?;
    pause(Pause::NoOtherHook);
    assert_eq!(log.lines(), [PLUS]);
    world.revoke()?;
    assert_eq!(log.wait(2)?, [PLUS, MINUS]);
    Ok(())
}

fn a_reload_without_the_door_keeps_what_is_owed() -> Result<()> {
    let log = Log::new();
    let mut world = opened(&plus_minus(&log), &log)?;
    Config::lab().set("cmd_timeout", "\"60s\"").write("gate.toml")?;
    world.command(&["reload"])?;
    world.must_open(Host::Client)?;
    pause(Pause::NoOtherHook);
    assert_eq!(log.lines(), [PLUS]);
    world.revoke()?;
    assert_eq!(log.wait(2)?, [PLUS, MINUS]);
    world.gate()?;
    Ok(())
}

/// As after a reboot: neither pins nor run-time files, but the state directory.
fn a_lost_table_is_undone() -> Result<()> {
    let log = Log::new();
    let config = plus_minus(&log);
    let mut world = opened(&config, &log)?;
    world.gate()?.kill()?;
    fs::remove_dir_all(PINS)?;
    world.start(&config)?;
    assert_eq!(log.wait(2)?, [PLUS, MINUS]);
    assert_eq!(Status::read()?.grants().len(), 0);
    Ok(())
}

fn unload_undoes_everything() -> Result<()> {
    let log = Log::new();
    let config = plus_minus(&log);
    let mut world = opened(&config, &log)?;
    // With a daemon, and without one.
    for kill in [false, true] {
        if kill {
            world.gate()?.kill()?;
        }
        let said = world.command(&["unload"])?;
        assert!(said.contains("opencloseSSH: running command: echo - 192.0.2.2"), "{said}");
        assert_eq!(log.lines(), [PLUS, MINUS]);
        assert!(!Path::new(sandbox::STATE).exists());
        let _ = fs::remove_file(&log.0);
        world.start(&config)?;
        world.knock_open()?;
        log.wait(1)?;
    }
    Ok(())
}

fn on_exit_detach_undoes_everything() -> Result<()> {
    let log = Log::new();
    let config = plus_minus(&log).option("on_exit", "\"detach\"");
    let mut world = opened(&config, &log)?;
    assert!(world.gate()?.terminate()?.success());
    assert_eq!(log.lines(), [PLUS, MINUS]);
    Ok(())
}
