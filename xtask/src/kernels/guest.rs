//! A guest: an emulated machine with another kernel and this host's file tree, which it can read and not
//! change. It has no network.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use super::emulator::Emulator;
use super::fetch::Files;
use super::image;
use crate::{paths, shell};

/// The line with which a guest ends: what its commands came to.
const END: &str = "commands in the guest came to ";

/// The longest that one may take, in seconds.
const LIMIT: &str = "4800";

/// What a guest is to do.
pub struct Guest<'a> {
    emulator: &'a Emulator,
    files: &'a Files,
    job: String,
}

impl<'a> Guest<'a> {
    /// A guest with a kernel, and nothing to do yet.
    pub fn new(emulator: &'a Emulator, files: &'a Files) -> Self {
        let modules = shell::quote(&files.modules().display().to_string());
        let here = shell::quote(&paths::workspace().join("tests").display().to_string());
        let release = &files.release;
        let job = format!(
            "export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root TERM=dumb
mkdir -p /dev/pts /dev/shm
mount -t devpts devpts /dev/pts
mount -t tmpfs shm /dev/shm
mount -t bpf bpf /sys/fs/bpf
mount -t cgroup2 cgroup /sys/fs/cgroup
ip link set lo up
mkdir -p /lib/modules/{release}
mount --bind {modules} /lib/modules/{release}
worst=0
modprobe -a veth tun dummy bonding 8021q || worst=$?
cd {here}
uname -srm
"
        );
        Self { emulator, files, job }
    }

    /// Sets an environment variable.
    pub fn variable(&mut self, name: &str, value: impl AsRef<Path>) -> &mut Self {
        let value = shell::quote(&value.as_ref().display().to_string());
        self.job += &format!("export {name}={value}\n");
        self
    }

    /// Adds a command. The next follows whatever becomes of it.
    pub fn run(&mut self, command: &Command) {
        self.job += &format!("{} || worst=$?\n", shell::display(command));
    }

    /// Boots it and prints what it says until it ends.
    ///
    /// An error if one of its commands fails, or it does not come to its end.
    pub fn boot(mut self) -> Result<()> {
        self.job += &format!("echo '{END}'$worst\nsync\necho o > /proc/sysrq-trigger\nsleep 60\n");
        let image = image::make(self.files, &self.job)?;
        // `timeout` ends it also when we are gone: it dies with its standard output.
        let emulator = self.emulator.command();
        let mut qemu = shell::command("timeout");
        qemu.args(["--kill-after=5", LIMIT]).arg(emulator.get_program()).args(emulator.get_args());
        qemu.envs(emulator.get_envs().filter_map(|(name, value)| Some((name, value?)))).args(accelerator());
        qemu.args(["-smp", "2", "-m", "2048", "-nodefaults", "-no-reboot", "-display", "none", "-serial", "stdio"]);
        qemu.arg("-kernel").arg(&self.files.image).arg("-initrd").arg(image);
        qemu.args(["-append", "console=ttyS0 quiet panic=-1 loglevel=3"]);
        qemu.args(["-fsdev", "local,id=host,path=/,security_model=none,readonly=on,multidevs=remap"]);
        qemu.args(["-device", "virtio-9p-pci,fsdev=host,mount_tag=host"]);
        let mut child =
            qemu.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().context("cannot start the emulator")?;
        let mut end = None;
        let out = BufReader::new(child.stdout.take().context("no standard output")?);
        for line in out.split(b'\n') {
            let line = line?;
            let line = String::from_utf8_lossy(&line);
            let line = line.trim_end_matches('\r');
            match line.strip_prefix(END) {
                Some(code) => end = Some(code.trim().to_owned()),
                None => println!("{line}"),
            }
        }
        let status = child.wait()?;
        fs::remove_dir_all(self.files.root.join("first"))?;
        match end.as_deref() {
            Some("0") => Ok(()),
            Some(code) => bail!("a command in the guest ended with {code}"),
            None => bail!("the guest did not come to its end: {status}"),
        }
    }
}

/// By the processor where it can, else in software, which takes ten times as long: on one thread, because with
/// several a kernel that changes its own code (static keys) now and then dies in QEMU 7.2.
fn accelerator() -> [&'static str; 4] {
    let flags = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let can = flags.split_whitespace().any(|flag| flag == "vmx" || flag == "svm");
    let may = fs::OpenOptions::new().read(true).write(true).open("/dev/kvm").is_ok();
    if can && may { ["-accel", "kvm", "-cpu", "host"] } else { ["-accel", "tcg,thread=single", "-cpu", "max"] }
}
