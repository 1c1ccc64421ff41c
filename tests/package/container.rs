//! The Debian package where no systemd runs, as in a container: it installs, and takes a gate along
//! that somebody started by hand.

use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use tests::harness::{Test, tests};
use tests::lab::{Background, Family, Host, Mount, PINS, Probe, TIMEOUT, until};
use tests::story::World;

use crate::debian::{CONFIG, Package, config, disk, put};

/// The tests.
pub fn tests() -> Vec<Test> {
    tests!["package::container"; a_package_needs_no_systemd]
}

/// Makes the file tree its own root, and does nothing, as process 1.
const BOOT: &str = r#"
mount --make-rprivate /
mount --rbind "$1" "$1"
mount -t proc proc "$1/proc"
mount -t sysfs -o ro sysfs "$1/sys"
mount -t bpf bpf "$1/sys/fs/bpf"
cd "$1"
pivot_root . mnt
umount -l /mnt
exec sleep infinity
"#;

fn a_package_needs_no_systemd() -> Result<()> {
    let world = World::new(Family::V4, None)?;
    let disk = disk()?;
    for device in ["null", "urandom"] {
        Mount::over(format!("/dev/{device}").as_ref(), disk.path().join("dev").join(device))?.forget();
    }
    let (deb, next) = (put(&disk, Package::Deb)?, put(&disk, Package::Next)?);
    let mut command = Command::new("unshare");
    command.args(["--mount", "--pid", "--ipc", "--uts", "--fork", "--kill-child", "sh", "-eu", "-c", BOOT, "boot"]);
    let container = Background::start(
        Host::Server,
        {
            command.arg(disk.path());
            command
        },
        None,
    )?;
    let init = until("the container", TIMEOUT, || init_of(container.id()))?;
    let sh = |line: &str| -> Result<String> {
        let mut command = Command::new("nsenter");
        command.args(["--mount", "--pid", "--net", "--ipc", "--uts", "--target", &init, "--", "sh", "-c", line]);
        command.env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").env("LC_ALL", "C").stdin(Stdio::null());
        let output = command.output().context("nsenter")?;
        let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "{line}: {}\n{said}", output.status);
        Ok(said)
    };
    let port = || -> Result<Probe> { Ok(world.connect(Host::Stranger)?.0) };

    let said = sh(&format!("dpkg -i {deb}"))?;
    assert!(said.contains("nothing is gated yet"), "{said}");
    sh(&format!("umask 077; cat > {CONFIG} <<'END'\n{}END", config().0))?;
    sh("setsid knockctl run > /var/log/gate 2>&1 &")?;
    until("the gate", TIMEOUT, || sh("grep 'the gate stands' /var/log/gate").ok())?;
    assert_eq!(port()?, Probe::Silent);
    let said = sh(&format!("dpkg -i {next}"))?;
    assert!(said.contains("restart `knockctl run`"), "{said}{}", sh("cat /var/log/gate; ls -l /run/knock")?);
    assert_eq!(port()?, Probe::Silent);
    sh("dpkg --remove knock")?;
    assert_eq!(port()?, Probe::Open);
    sh(&format!("test ! -e {PINS} && test ! -e /run/knock && test -e {CONFIG}"))?;
    sh("dpkg --purge knock")?;
    sh("test ! -e /etc/knock && test ! -e /var/lib/knock").map(drop)
}

/// The child that `unshare --fork` has made process 1, once it does nothing.
fn init_of(unshare: u32) -> Option<String> {
    let children = std::fs::read_to_string(format!("/proc/{unshare}/task/{unshare}/children")).ok()?;
    let child = children.split_whitespace().next()?;
    let name = std::fs::read_to_string(format!("/proc/{child}/comm")).ok()?;
    (name.trim() == "sleep").then(|| child.to_owned())
}
