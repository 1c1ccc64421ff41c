//! The sandbox: namespaces of one's own for mounts, processes, and the network, with an empty
//! `/run` and an empty bpffs. All that is made inside ends with it, and it ends with the process
//! that asked for it, SIGKILL included.
//!
//! Three processes of one program: the outermost waits, and takes what it started with it when it
//! ends; the init (process 1 of the sandbox) mounts and reaps; the innermost is the program.

use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, ExitStatus};
use std::{env, fs, process};

use anyhow::{Context, Result, bail, ensure};
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use nix::sys::prctl;
use nix::sys::signal::{SigSet, Signal};
use nix::sys::wait::{WaitStatus, wait};
use nix::unistd::{Pid, geteuid};

pub use super::dir::DIR;
use super::{Mount, accounts};

/// Which of the three processes this is. Remove it to start a sandbox within the sandbox.
pub const STAGE: &str = "KNOCK_SANDBOX";
/// The process id of the outermost, for the init.
const OUTERMOST: &str = "KNOCK_SANDBOX_OUTERMOST";
/// The process id of the init, as seen from outside.
const INIT: &str = "KNOCK_SANDBOX_INIT";
/// What on a host of its own would be /var/lib/knock.
pub const STATE: &str = "/run/state/knock";

/// Goes into the sandbox: returns in the innermost process only.
///
/// # Errors
///
/// If there can be none. It takes root.
pub fn enter() -> Result<()> {
    match env::var(STAGE).ok().as_deref() {
        None => process::exit(outermost()?),
        Some("init") => process::exit(init().context("sandbox")?),
        // Only the init makes that directory; nothing may ever be mounted outside of a sandbox.
        Some(_) => ensure!(Path::new(DIR).is_dir(), "{STAGE} is set, but this is no sandbox: unset it"),
    }
    Ok(())
}

/// The process id of the sandbox's init, as seen from outside: what to give to `nsenter --target`.
#[must_use]
pub fn outside_id() -> Option<u32> {
    env::var(INIT).ok()?.parse().ok()
}

/// Starts the init in new namespaces, and waits for it. Returns its exit code.
fn outermost() -> Result<i32> {
    ensure!(geteuid().is_root(), "the lab takes root, for its network namespaces and BPF programs: run it with sudo");
    let spaces = CloneFlags::CLONE_NEWNS | CloneFlags::CLONE_NEWPID | CloneFlags::CLONE_NEWNET;
    unshare(spaces | CloneFlags::CLONE_NEWIPC)
        .context("no namespaces for the lab; in a container, run it with --privileged")?;
    let mut init = itself("init")?.env(OUTERMOST, process::id().to_string()).spawn()?;
    // Ctrl-C goes to every process of the terminal. The innermost decides what it means.
    SigSet::from(Signal::SIGINT).thread_block()?;
    Ok(code(init.wait()?))
}

/// This program once more, with the same arguments.
fn itself(stage: &str) -> Result<Command> {
    let mut command = Command::new(env::current_exe()?);
    command.args(env::args_os().skip(1)).env(STAGE, stage);
    Ok(command)
}

/// Process 1 of the sandbox: the end of this one is the end of all. Returns the program's exit code.
fn init() -> Result<i32> {
    ensure!(process::id() == 1, "{STAGE} is set, but this is no sandbox: unset it");
    prctl::set_pdeathsig(Signal::SIGKILL)?;
    // /proc is still the one from outside. If the outermost has ended before we asked for its
    // signal, somebody else is our parent by now.
    let parent = own_status("PPid")?;
    ensure!(env::var(OUTERMOST).is_ok_and(|id| id == parent), "the program that started it has ended");
    let outside_id = own_status("Pid")?;
    mounts()?;
    let home = Path::new(DIR).join("home");
    let mut program = itself("inside")?;
    program.env(INIT, outside_id).env("TMPDIR", DIR).env("HOME", home).env("KNOCK_STATE_DIR", STATE);
    let program = program.spawn()?;
    let program = Pid::from_raw(i32::try_from(program.id())?);
    loop {
        match wait()? {
            WaitStatus::Exited(id, code) if id == program => return Ok(code),
            WaitStatus::Signaled(id, signal, _) if id == program => return Ok(128 + signal as i32),
            // Somebody's orphan.
            _ => {}
        }
    }
}

/// A field of /proc/self/status.
fn own_status(field: &str) -> Result<String> {
    let status = fs::read_to_string("/proc/self/status")?;
    let value = status.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
    Ok(value.with_context(|| format!("no {field} in /proc/self/status"))?.trim().to_owned())
}

/// A file tree of one's own where programs leave things behind.
fn mounts() -> Result<()> {
    mount(None::<&str>, "/", None::<&str>, MsFlags::MS_REC | MsFlags::MS_PRIVATE, None::<&str>)
        .context("cannot take the mounts apart from the host's")?;
    Mount::new("proc", "/proc")?.forget();
    Mount::new("tmpfs", "/run")?.forget();
    for dir in [DIR, "/run/netns", "/run/sshd", "/run/knock", "/run/state"] {
        fs::create_dir(dir).with_context(|| format!("cannot make {dir}"))?;
    }
    let bpffs = Path::new("/sys/fs/bpf");
    if !bpffs.is_dir() {
        bail!("this kernel has no {}: it is too old for the gate, or has no BPF", bpffs.display());
    }
    Mount::with("bpf", bpffs, "mode=0700")?.forget();
    accounts::replace(Path::new(DIR))
}

/// An exit code as a shell has it.
fn code(status: ExitStatus) -> i32 {
    status.code().or(status.signal().map(|signal| 128 + signal)).unwrap_or(-1)
}
