//! A machine: a real systemd as process 1 of namespaces of its own, on one of the lab's hosts.
//!
//! ```no_run
//! # fn main() -> anyhow::Result<()> {
//! use tests::lab::{Host, Lab, Machine, MachineRoot};
//! let _lab = Lab::new()?;
//! // What its disk holds: the host's file tree, in which nothing is enabled. Changes are lost with it.
//! let root = MachineRoot::of_host()?;
//! std::fs::write(root.path().join("etc/systemd/system/hello.service"), "[Service]\nExecStart=/bin/true\n")?;
//! root.enable("hello.service", "multi-user.target")?;
//! // It has the network of the lab's server, whose ports the client and the stranger can try.
//! let machine = Machine::boot(Host::Server, root)?;
//! machine.wait_for("multi-user.target")?;
//! println!("{}", machine.must(&["systemctl", "status", "hello.service"])?);
//! println!("{}", machine.journal("hello.service")?);
//! # Ok(())
//! # }
//! ```
//!
//! `MachineRoot::of(dir)` takes another file tree, such as one made by debootstrap. Packages can be
//! installed before the boot (`chroot`, `dpkg --root`) or in the running machine
//! (`machine.must(&["dpkg", "-i", ..])`, with the file copied below `root.path()`).
//!
//! Processes, mounts, host name and control groups are the machine's own, bpffs is mounted as systemd
//! mounts it, `/proc/sys` and `/sys` are read-only, and it has no devices. When it is dropped, or the
//! sandbox ends, all its processes are killed. A BPF program that it has pinned ends with its bpffs.

mod cgroup;
mod root;

use std::fs::{self, File};
use std::os::fd::AsFd as _;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};
use nix::pty::{OpenptyResult, openpty};
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, ttyname};

use super::host::{Ran, words_to_command};
use super::{BOOT_TIMEOUT, Background, Host, Lines, until};
use cgroup::Cgroup;
pub use root::MachineRoot;

/// A running machine, until it is dropped.
pub struct Machine {
    /// What it writes to its console: the messages of the boot.
    pub console: Lines,
    init: Pid,
    // In the order in which they must go.
    unshare: Background,
    _cgroup: Cgroup,
    root: MachineRoot,
}

impl Machine {
    /// Boots it on a host's network, and does not wait for any unit.
    ///
    /// # Errors
    ///
    /// If there is no systemd, or the kernel lacks what it takes.
    pub fn boot(host: Host, root: MachineRoot) -> Result<Self> {
        let systemd = "lib/systemd/systemd";
        ensure!(root.path().join(systemd).exists(), "no /{systemd} in {} (Debian: systemd)", root.path().display());
        let cgroup = Cgroup::new()?;
        let OpenptyResult { master, slave } = openpty(None, None).context("no pseudo terminal for its console")?;
        // Into the group first: where unshare finds us is the root of the machine's own groups.
        let enter = "echo $$ > \"$1/cgroup.procs\"; shift; exec unshare --mount --pid --ipc --uts --cgroup --fork \
                     --kill-child sh -eu -c \"$@\"";
        let mut command = Command::new("sh");
        command.args(["-eu", "-c", enter, "sh"]).arg(cgroup.path());
        command.args([include_str!("boot.sh"), "boot"]).arg(root.path()).arg(ttyname(slave.as_fd())?);
        let mut unshare = Background::start(host, command, None)?;
        let console = Lines::of(File::from(master), None);
        let init = until("the machine's process 1", BOOT_TIMEOUT, || {
            if !unshare.runs() {
                return Some(None);
            }
            init_of(unshare.id()).map(Some)
        })?;
        // The slave end stays open until here, or the console would end before systemd opens it.
        drop(slave);
        let Some(init) = init else { bail!("the machine does not boot: {}", unshare.lines.after(0).join("\n")) };
        let this = Self { console, init, unshare, _cgroup: cgroup, root };
        until("systemd to answer", BOOT_TIMEOUT, || {
            this.run(&["systemctl", "show", "-p", "Version"]).ok()?.success().ok()
        })
        .with_context(|| this.said())?;
        Ok(this)
    }

    /// Its file tree, which may be changed while it runs.
    #[must_use]
    pub fn root(&self) -> &MachineRoot {
        &self.root
    }

    /// Its process 1, as seen from the sandbox: what to give to `nsenter --target`.
    #[must_use]
    pub fn init(&self) -> i32 {
        self.init.as_raw()
    }

    /// Runs a program in it to its end.
    ///
    /// # Errors
    ///
    /// If it cannot be started.
    pub fn run(&self, words: &[&str]) -> Result<Ran> {
        let name = words.join(" ");
        let target = self.init.to_string();
        let mut command = words_to_command(&["nsenter", "--all", "--target", &target, "--"]);
        let path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
        command.args(words).env_clear().env("PATH", path).env("LC_ALL", "C.UTF-8").stdin(Stdio::null());
        let output = command.output().context("cannot start nsenter (Debian: util-linux)")?;
        Ok(Ran::new(name, &output))
    }

    /// Runs a program in it, which must succeed, and returns what it says.
    ///
    /// # Errors
    ///
    /// If it does not succeed.
    pub fn must(&self, words: &[&str]) -> Result<String> {
        self.run(words)?.success()
    }

    /// Waits until a unit is active.
    ///
    /// # Errors
    ///
    /// If it does not become that, with its status and what the console shows.
    pub fn wait_for(&self, unit: &str) -> Result<()> {
        let is_active = || (self.run(&["systemctl", "is-active", "--quiet", unit]).ok()?.code == 0).then_some(());
        until(unit, BOOT_TIMEOUT, is_active).with_context(|| {
            let status = self.run(&["systemctl", "status", "--no-pager", "--full", unit]);
            format!("{}\n{}", status.map_or_else(|error| error.to_string(), |ran| ran.to_string()), self.said())
        })
    }

    /// A property of a unit, as `systemctl show` has it.
    ///
    /// # Errors
    ///
    /// If systemd does not answer.
    pub fn property(&self, unit: &str, name: &str) -> Result<String> {
        Ok(self.must(&["systemctl", "show", "--value", "-p", name, unit])?.trim().to_owned())
    }

    /// What a unit has logged since the boot.
    ///
    /// # Errors
    ///
    /// If the journal cannot be read.
    pub fn journal(&self, unit: &str) -> Result<String> {
        // What was sent before is in it afterwards.
        self.must(&["journalctl", "--sync"])?;
        self.must(&["journalctl", "--no-pager", "--quiet", "-o", "short-monotonic", "-u", unit])
    }

    fn said(&self) -> String {
        format!("on the console:\n{}", self.console.after(0).join("\n"))
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        // With process 1 all others end. An error means that it has ended.
        let _ = kill(self.init, Signal::SIGKILL);
        let _ = self.unshare.wait(super::TIMEOUT);
    }
}

/// The child that `unshare --fork` has made process 1, once it runs systemd.
fn init_of(unshare: u32) -> Option<Pid> {
    let children = fs::read_to_string(format!("/proc/{unshare}/task/{unshare}/children")).ok()?;
    let child = children.split_whitespace().next()?.parse().ok()?;
    let name = fs::read_to_string(format!("/proc/{child}/comm")).ok()?;
    (name.trim() == "systemd").then_some(Pid::from_raw(child))
}
