//! What the service manager is told, on a real `$NOTIFY_SOCKET`.

use std::fs;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use nix::sys::signal::Signal;
use tests::harness::{Test, ensure_measured, tests};
use tests::lab::{Background, Config, Family, Host, PINS, Probe, TIMEOUT, knockctl, knockctl_path};
use tests::story::World;

use super::assert_says;

/// The tests.
pub fn tests() -> Vec<Test> {
    tests![
        "e2e::notify";
        ready_is_said_when_the_gate_stands,
        an_abstract_socket_is_told_as_well,
        a_reload_is_announced_and_ended,
        a_failed_reload_is_ended_too_and_says_why,
        a_gate_on_no_interface_is_never_said_to_stand,
        the_watchdog_hears_of_a_loop_that_turns_and_of_no_other,
        a_failed_start_is_never_ready,
    ]
}

/// The manager's side of the protocol.
pub(super) struct Manager {
    socket: UnixDatagram,
    name: String,
}

impl Manager {
    pub(super) fn new() -> Result<Self> {
        let name = "/run/knock/notify".to_owned();
        let _ = fs::remove_file(&name);
        Self::on(UnixDatagram::bind(&name)?, name)
    }

    /// `@NAME` is a name without a file.
    fn without_file() -> Result<Self> {
        let socket = UnixDatagram::bind_addr(&SocketAddr::from_abstract_name("knock-notify")?)?;
        Self::on(socket, "@knock-notify".to_owned())
    }

    fn on(socket: UnixDatagram, name: String) -> Result<Self> {
        socket.set_read_timeout(Some(TIMEOUT))?;
        Ok(Self { socket, name })
    }

    pub(super) fn start(&self, config: &Config, variables: &[(&str, &str)]) -> Result<Background> {
        let mut command = Command::new(knockctl_path()?);
        command.args(["run", "--config"]).arg(config.write("gate.toml")?).env("NOTIFY_SOCKET", &self.name);
        Background::start(
            Host::Server,
            {
                command.envs(variables.iter().copied());
                command
            },
            None,
        )
    }

    /// The next message, as its lines.
    pub(super) fn next(&self) -> Result<Vec<String>> {
        let mut buffer = [0; 4096];
        let length = self.socket.recv(&mut buffer).context("no message")?;
        Ok(String::from_utf8(buffer[..length].to_vec())?.lines().map(str::to_owned).collect())
    }

    /// The next message, which must begin with a line; its status.
    fn expect(&self, first: &str) -> Result<String> {
        let lines = self.next()?;
        assert_eq!(lines[0], first, "{lines:?}");
        Ok(lines.iter().find_map(|line| line.strip_prefix("STATUS=")).unwrap_or_default().to_owned())
    }

    fn is_silent(&self, time: Duration) -> Result<bool> {
        self.socket.set_read_timeout(Some(time))?;
        let silent = self.next().is_err();
        self.socket.set_read_timeout(Some(TIMEOUT))?;
        Ok(silent)
    }
}

fn ready_is_said_when_the_gate_stands() -> Result<()> {
    let world = World::new(Family::V4, None)?;
    world.must_open(Host::Client)?;
    let manager = Manager::new()?;
    let mut daemon = manager.start(&Config::lab(), &[])?;
    let status = manager.expect("READY=1")?;
    // At once: this is the moment in which the network may come up.
    assert_eq!(world.connect(Host::Client)?.0, Probe::Silent);
    assert_says(&knockctl(Host::Server, &["status"])?, 0, &[&format!("process {}", daemon.id())]);
    assert!(status.contains("the gate stands") && status.contains("eth0"), "{status}");
    assert!(manager.is_silent(Duration::from_secs(1))?);
    daemon.signal(Signal::SIGTERM)?;
    let status = manager.expect("STOPPING=1")?;
    assert!(status.contains("the gate goes on standing"), "{status}");
    assert!(daemon.wait(TIMEOUT)?.success());
    assert_eq!(world.connect(Host::Client)?.0, Probe::Silent);
    Ok(())
}

fn an_abstract_socket_is_told_as_well() -> Result<()> {
    let _world = World::new(Family::V4, None)?;
    // Such a name belongs to a network namespace.
    let manager = Host::Server.enter(Manager::without_file)?;
    let _daemon = manager.start(&Config::lab(), &[])?;
    manager.expect("READY=1")?;
    Ok(())
}

/// Microseconds since the boot, without suspend.
fn monotonic() -> Result<u128> {
    let now = nix::time::clock_gettime(nix::time::ClockId::CLOCK_MONOTONIC)?;
    Ok(Duration::from(now).as_micros())
}

fn a_reload_is_announced_and_ended() -> Result<()> {
    let world = World::new(Family::V4, None)?;
    let manager = Manager::new()?;
    let daemon = manager.start(&Config::lab(), &[])?;
    manager.expect("READY=1")?;
    for by_command in [false, true] {
        let before = monotonic()?;
        if by_command {
            assert_says(&knockctl(Host::Server, &["reload"])?, 0, &["reloaded"]);
        } else {
            daemon.signal(Signal::SIGHUP)?;
        }
        let lines = manager.next()?;
        assert_eq!(lines[0], "RELOADING=1", "{lines:?}");
        let time = lines[1].strip_prefix("MONOTONIC_USEC=").with_context(|| format!("{lines:?}"))?.parse()?;
        assert!((before..=monotonic()?).contains(&time), "{before} {time}");
        let status = manager.expect("READY=1")?;
        assert!(status.contains("the gate stands"), "{status}");
        assert_eq!(world.connect(Host::Client)?.0, Probe::Silent);
    }
    Ok(())
}

fn a_failed_reload_is_ended_too_and_says_why() -> Result<()> {
    let world = World::new(Family::V4, None)?;
    let manager = Manager::new()?;
    let daemon = manager.start(&Config::lab(), &[])?;
    manager.expect("READY=1")?;
    // The line itself is secret: others may ask systemd for the status.
    Config::lab().with("\"9000/tcp\"", "\"9000/tpc\"").write("gate.toml")?;
    daemon.signal(Signal::SIGHUP)?;
    manager.expect("RELOADING=1")?;
    let lines = manager.next()?;
    assert_eq!((&*lines[0], lines.len()), ("READY=1", 2), "{lines:?}");
    assert!(lines[1].starts_with("STATUS=reload failed: ") && lines[1].contains("gate.toml:"), "{lines:?}");
    assert!(!lines[1].contains("8000"), "{lines:?}");
    assert_eq!(world.connect(Host::Client)?.0, Probe::Silent);
    // The next one is as it should be.
    Config::lab().write("gate.toml")?;
    daemon.signal(Signal::SIGHUP)?;
    manager.expect("RELOADING=1")?;
    assert!(manager.expect("READY=1")?.contains("the gate stands"));
    Ok(())
}

fn a_gate_on_no_interface_is_never_said_to_stand() -> Result<()> {
    let world = World::new(Family::V4, None)?;
    let manager = Manager::new()?;
    let slip = Config::lab().set("interfaces", "[\"eht0\"]");
    let daemon = manager.start(&slip, &[])?;
    // Ready it is: the boot must not wait for an interface that may come later.
    let why = "NOTHING IS PROTECTED: eht0 is not there (did you mean eth0? there are eth0, eth1, lo)";
    assert_eq!(manager.expect("READY=1")?, format!("on no interface: {why}"));
    world.must_open(Host::Client)?;
    Config::lab().write("gate.toml")?;
    daemon.signal(Signal::SIGHUP)?;
    manager.expect("RELOADING=1")?;
    assert!(manager.expect("READY=1")?.contains("the gate stands"));
    // And back again: that is refused.
    slip.write("gate.toml")?;
    daemon.signal(Signal::SIGHUP)?;
    manager.expect("RELOADING=1")?;
    let status = manager.expect("READY=1")?;
    assert!(status.starts_with("reload failed: ") && status.contains("did you mean eth0?"), "{status}");
    assert!(status.ends_with("the gate goes on as it was") && status.contains("--force"), "{status}");
    assert_eq!(world.connect(Host::Client)?.0, Probe::Silent);
    Ok(())
}

fn the_watchdog_hears_of_a_loop_that_turns_and_of_no_other() -> Result<()> {
    let _world = World::new(Family::V4, None)?;
    let manager = Manager::new()?;
    let daemon = manager.start(&Config::lab(), &[("WATCHDOG_USEC", "1000000")])?;
    // The loop turns before it is ready, and may say so first.
    let start = Instant::now();
    while manager.next()?[0] != "READY=1" {}
    for _ in 0..4 {
        assert_eq!(manager.next()?, ["WATCHDOG=1"]);
    }
    let took = start.elapsed();
    assert!(took > Duration::from_millis(1200), "{took:?}");
    ensure_measured!(took < Duration::from_secs(15), "{took:?}");
    daemon.signal(Signal::SIGSTOP)?;
    while !manager.is_silent(Duration::from_secs(1))? {}
    assert!(manager.is_silent(Duration::from_secs(2))?);
    daemon.signal(Signal::SIGCONT)?;
    assert_eq!(manager.next()?, ["WATCHDOG=1"]);
    // Another process's watchdog is none of ours.
    drop(daemon);
    let _other = manager.start(&Config::lab(), &[("WATCHDOG_USEC", "1000000"), ("WATCHDOG_PID", "1")])?;
    while manager.next()?[0] != "READY=1" {}
    assert!(manager.is_silent(Duration::from_secs(3))?);
    Ok(())
}

fn a_failed_start_is_never_ready() -> Result<()> {
    let world = World::new(Family::V4, None)?;
    let manager = Manager::new()?;
    for config in [Config::lab().with("9001/tcp", "99001/tcp"), Config::lab().option("mode", "\"nativ\"")] {
        let mut daemon = manager.start(&config, &[])?;
        assert_eq!(daemon.wait(TIMEOUT)?.code(), Some(2));
        assert!(manager.is_silent(Duration::from_millis(100))?);
        assert!(!std::path::Path::new(PINS).exists());
        world.must_open(Host::Client)?;
    }
    Ok(())
}
