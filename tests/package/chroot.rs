//! The Debian package in a chroot, where images are made: the host's gate is none of its business.

use std::process::Command;

use anyhow::Result;
use tests::harness::{Test, tests};
use tests::lab::{Family, Host, Mount, PINS, Probe};
use tests::story::World;

use crate::debian::{Package, disk, put};

/// The tests.
pub fn tests() -> Vec<Test> {
    tests!["package::chroot"; a_purge_in_a_chroot_leaves_the_hosts_gate_alone]
}

fn a_purge_in_a_chroot_leaves_the_hosts_gate_alone() -> Result<()> {
    let mut world = World::new(Family::V4, None)?;
    world.gate()?;
    let disk = disk()?;
    let deb = put(&disk, Package::Deb)?;
    // The host's, as whoever makes an image has them there.
    let mut mounts = vec![Mount::new("proc", disk.path().join("proc"))?];
    for (from, to) in
        [("/sys", "sys"), ("/sys/fs/bpf", "sys/fs/bpf"), ("/run/knock", "run/knock"), ("/dev/null", "dev/null")]
    {
        if to.starts_with("run") {
            std::fs::create_dir_all(disk.path().join(to))?;
        }
        mounts.push(Mount::over(from.as_ref(), disk.path().join(to))?);
    }
    let chroot = |words: &[&str]| -> Result<String> {
        let mut command = Command::new("chroot");
        command.arg(disk.path()).args(words).env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
        Host::Server.run(&mut command)?.success()
    };
    chroot(&["dpkg", "-i", &deb])?;
    // It sees the gate, and could take it down.
    chroot(&["test", "-e", PINS])?;
    chroot(&["dpkg", "--purge", "knock"])?;
    assert!(world.gate()?.runs());
    assert_eq!(world.connect(Host::Stranger)?.0, Probe::Silent);
    // The mounts end last first.
    while let Some(mount) = mounts.pop() {
        drop(mount);
    }
    Ok(())
}
