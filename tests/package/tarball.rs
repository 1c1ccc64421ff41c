//! The tarball: a program without dependencies, and instructions that hold.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use tests::harness::{Test, tests};
use tests::lab::{Background, Family, Host, PINS, Probe, TIMEOUT, sandbox};
use tests::story::World;

use crate::debian::{CONFIG, Debian, Package, UNIT, config, put};

/// The tests.
pub fn tests() -> Vec<Test> {
    tests!["package::tarball"; the_program_needs_no_other_file, its_instructions_hold]
}

/// Unpacks it, and says where.
fn unpack() -> Result<PathBuf> {
    let dir = PathBuf::from(sandbox::DIR).join("tarball");
    fs::create_dir_all(&dir)?;
    let path = Package::Tarball.path()?;
    let status = Command::new("tar").arg("-xzf").arg(&path).arg("-C").arg(&dir).status()?;
    ensure!(status.success(), "tar -x {}: {status}", path.display());
    let inside = fs::read_dir(&dir)?.next().context("an empty tarball")??;
    Ok(inside.path())
}

/// Alone in an empty root it runs the gate, resolves names and knocks.
fn the_program_needs_no_other_file() -> Result<()> {
    let world = World::new(Family::V4, None)?;
    let empty = PathBuf::from(sandbox::DIR).join("empty");
    fs::create_dir_all(empty.join("etc"))?;
    fs::copy(unpack()?.join("knockctl"), empty.join("knockctl"))?;
    fs::write(empty.join("etc/hosts"), "192.0.2.1 gatehost\n")?;
    // What is named there first is not to be had, and must not be looked for.
    fs::write(empty.join("etc/nsswitch.conf"), "hosts: resolve mymachines files dns\n")?;
    for dir in ["sys/fs/bpf", "run/knock", "proc", "sys"] {
        fs::create_dir_all(empty.join(dir))?;
    }
    let _mounts =
        [tests::lab::Mount::new("proc", empty.join("proc"))?, tests::lab::Mount::new("bpf", empty.join("sys/fs/bpf"))?];
    fs::write(empty.join("gate.toml"), &config().0)?;
    fs::set_permissions(empty.join("gate.toml"), std::os::unix::fs::PermissionsExt::from_mode(0o600))?;
    let chroot = |words: &[&str]| {
        let mut command = Command::new("/usr/sbin/chroot");
        command.arg(&empty).arg("/knockctl").args(words).env_clear();
        command
    };
    let daemon = Background::start(Host::Server, chroot(&["run", "--config", "/gate.toml"]), None)?;
    daemon.lines.wait_after(0, tests::lab::GATE_STANDS, TIMEOUT)?;
    assert_eq!(world.connect(Host::Client)?.0, Probe::Silent);
    let knocks = ["knock", "gatehost", "7000/tcp", "8000/udp", "9000/tcp"];
    Host::Client.run(&mut chroot(&knocks))?.success()?;
    assert_eq!(world.connect(Host::Client)?.0, Probe::Open);
    assert_eq!(world.connect(Host::Stranger)?.0, Probe::Silent);
    Host::Server.run(&mut chroot(&["unload"]))?.success().map(drop)
}

/// What README-INSTALL tells to type: it installs, and removes without trace.
fn its_instructions_hold() -> Result<()> {
    let debian = Debian::boot()?;
    let before = debian.must("find /etc /usr | sort")?;
    let tarball = put(debian.machine.root(), Package::Tarball)?;
    debian.must(&format!("mkdir /srv/knock && tar -xzf {tarball} -C /srv/knock --strip-components=1"))?;
    let readme = debian.must("cat /srv/knock/README-INSTALL")?;
    for page in ["README.md", "SECURITY.md", "docs/rules.md", "CONTACT"] {
        assert!(debian.has(&format!("/srv/knock/{page}"))? && readme.contains(page), "{page}");
    }
    let blocks = blocks(&readme);
    let [install, service, remove] = &*blocks else { panic!("{} blocks in\n{readme}", blocks.len()) };
    let run = |block: &String| debian.must(&format!("set -eu; umask 022; cd /srv/knock\n{block}"));
    run(install)?;
    run(service)?;
    debian.configure(&config())?;
    debian.must(&format!("systemctl start {UNIT}"))?;
    debian.gates()?;
    debian.world.knock_open()?;
    assert_eq!((debian.port(Host::Client)?, debian.port(Host::Stranger)?), (Probe::Open, Probe::Silent));
    run(remove)?;
    assert_eq!(debian.port(Host::Stranger)?, Probe::Open);
    assert!(!debian.has(PINS)? && !debian.has(CONFIG)?);
    let after = debian.must("find /etc /usr -not -type d | sort")?;
    let new: Vec<_> = after.lines().filter(|line| !before.lines().any(|old| old == *line)).collect();
    assert_eq!(new, [""; 0]);
    Ok(())
}

/// The indented parts of a text, each of lines that follow one another.
fn blocks(text: &str) -> Vec<String> {
    let mut blocks = vec![String::new()];
    for line in text.lines() {
        match (line.strip_prefix("    "), blocks.last_mut()) {
            (Some(code), Some(block)) => *block += &format!("{code}\n"),
            (None, Some(block)) if !block.is_empty() => blocks.push(String::new()),
            _ => {}
        }
    }
    blocks.retain(|block| !block.is_empty());
    blocks
}
