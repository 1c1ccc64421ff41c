//! The lab itself, without a gate: what the other tests take for granted.

use std::path::Path;
use std::process::Command;

use anyhow::Result;
use tests::harness::{Test, tests};
use tests::lab::{
    Background, Family, Flood, Host, Lab, PATIENCE, PINS, Probe, SSH_PORT, Session, Sshd, accepted, connect, must_open,
};

/// The tests.
pub fn tests() -> Vec<Test> {
    tests![
        "e2e::lab";
        without_a_gate_everybody_connects,
        a_session_echoes_and_outlives_its_server,
        a_port_that_drops_is_silent,
        a_flood_notices_an_open_port,
        a_program_ends_with_its_guard,
        a_lab_leaves_nothing_to_the_next,
    ]
}

fn without_a_gate_everybody_connects() -> Result<()> {
    let _lab = Lab::new()?;
    let _sshd = Sshd::start()?;
    for family in Family::ALL {
        let server = family.address(Host::Server);
        for host in [Host::Client, Host::Stranger] {
            must_open(host, (server, SSH_PORT).into())?;
            assert_eq!(connect(host, (server, 7000).into(), PATIENCE)?.0, Probe::Refused);
        }
    }
    Ok(())
}

fn a_session_echoes_and_outlives_its_server() -> Result<()> {
    let _lab = Lab::new()?;
    let sshd = Sshd::start()?;
    let mut sessions = Family::ALL.map(Session::open);
    drop(sshd);
    for session in &mut sessions {
        let session = session.as_mut().map_err(|error| anyhow::anyhow!("{error:#}"))?;
        session.echo()?;
        session.echo()?;
    }
    Ok(())
}

fn a_port_that_drops_is_silent() -> Result<()> {
    let _lab = Lab::new()?;
    for (family, option) in [(Family::V4, "-4"), (Family::V6, "-6")] {
        let client = family.address(Host::Client).to_string();
        Host::Server.must(&["ip", option, "route", "add", "blackhole", &client])?;
        let server = (family.address(Host::Server), 7000).into();
        assert_eq!(connect(Host::Client, server, PATIENCE)?.0, Probe::Silent);
        assert_eq!(connect(Host::Stranger, server, PATIENCE)?.0, Probe::Refused);
    }
    Ok(())
}

fn a_flood_notices_an_open_port() -> Result<()> {
    let _lab = Lab::new()?;
    let server = Family::V4.address(Host::Server);
    let closed = Flood::start(Host::Stranger, (server, SSH_PORT).into()).stop()?;
    assert_eq!(closed.opened, 0, "{closed:?}");
    let _sshd = Sshd::start()?;
    let before = accepted(Host::Server)?;
    let flood = Flood::start(Host::Stranger, (server, SSH_PORT).into());
    tests::lab::until("a connection", tests::lab::TIMEOUT, || (accepted(Host::Server).ok()? > before).then_some(()))?;
    let open = flood.stop()?;
    assert!(open.sent > 0 && open.opened > 0, "{open:?}");
    Ok(())
}

fn a_program_ends_with_its_guard() -> Result<()> {
    let _lab = Lab::new()?;
    let mut command = Command::new("sleep");
    command.arg("1000");
    let mut sleep = Background::start(Host::Client, command, None)?;
    assert!(sleep.runs());
    let process = format!("/proc/{}", sleep.id());
    assert!(Path::new(&process).exists());
    drop(sleep);
    assert!(!Path::new(&process).exists());
    Ok(())
}

fn a_lab_leaves_nothing_to_the_next() -> Result<()> {
    let mounts = || std::fs::read_to_string("/proc/self/mountinfo");
    let processes = || Host::Server.path().exists();
    // The first namespace of all lets `ip` mount the folder of their names once more, to share it.
    drop(Lab::new()?);
    let before = mounts()?;
    {
        let _lab = Lab::new()?;
        let mut command = Command::new("sh");
        // The guard knows of the shell only.
        command.args(["-c", "sleep 1000 & echo started >&2; wait"]);
        let shell = Background::start(Host::Server, command, None)?;
        shell.lines.wait_after(0, "started", tests::lab::TIMEOUT)?;
        assert!(processes());
    }
    assert!(!processes());
    assert_eq!(mounts()?, before);
    assert_eq!(names("/run/knock")?, [""; 0]);
    assert!(!Path::new(PINS).exists());
    assert_eq!(super::sandbox::processes_named("sleep")?, [0; 0]);
    Ok(())
}

fn names(dir: &str) -> Result<Vec<String>> {
    let entries = std::fs::read_dir(dir)?.collect::<Result<Vec<_>, _>>()?;
    Ok(entries.iter().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect())
}
