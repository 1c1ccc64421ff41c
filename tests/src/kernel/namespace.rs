//! Where a thread's programs run: on one CPU, in a network namespace of its own with the interfaces of
//! [`crate::links`], on which frames of `BPF_PROG_TEST_RUN` come. Of these `lo` alone is up.

use std::fs;
use std::io::Write as _;
use std::net::IpAddr;
use std::process::{Command, Stdio};
use std::thread;

use anyhow::{Context as _, Result, ensure};
use nix::sched::{CloneFlags, CpuSet, sched_getaffinity, sched_setaffinity, unshare};
use nix::unistd::Pid;

use crate::links;

/// Moves this thread into a new network namespace that has these addresses. Every other address is
/// "reached" by `lo` as well, where nobody answers, so that connections to them can be made up.
///
/// # Errors
///
/// If the kernel does not. It takes root.
pub fn enter_network(addresses: &[IpAddr]) -> Result<()> {
    unshare(CloneFlags::CLONE_NEWNET).context("no network namespace")?;
    // A host without IPv6 may hand that down.
    for which in ["all", "default", "lo"] {
        fs::write(format!("/proc/sys/net/ipv6/conf/{which}/disable_ipv6"), "0").context("this kernel has no IPv6")?;
    }
    let [one, other] = links::PORTS;
    let mut lines =
        format!("link set lo up\nlink add port{one} index {one} type veth peer name port{other} index {other}\n");
    for address in addresses {
        // Without a look for doubles, or an address is there a moment later only.
        let (bits, flag) = if address.is_ipv4() { (32, "") } else { (128, "nodad") };
        lines += &format!("addr add {address}/{bits} dev lo {flag}\n");
    }
    lines += "route add 0.0.0.0/0 dev lo\nroute add ::/0 dev lo\n";
    let mut ip = Command::new("ip").args(["-batch", "-"]).stdin(Stdio::piped()).spawn().context("ip (iproute2)")?;
    ip.stdin.take().context("its standard input is piped")?.write_all(lines.as_bytes())?;
    ensure!(ip.wait()?.success(), "ip failed on:\n{lines}");
    Ok(())
}

/// Keeps this thread on one CPU, for what is counted per CPU: on that with this number among those
/// that the process may use.
///
/// # Errors
///
/// If the kernel does not.
pub fn stay_on_cpu(number: usize) -> Result<()> {
    let this = Pid::from_raw(0);
    let allowed = sched_getaffinity(this)?;
    let mut usable = (0..CpuSet::count()).filter(|cpu| allowed.is_set(*cpu).unwrap_or(false));
    let mut one = CpuSet::new();
    one.set(usable.nth(number).with_context(|| format!("there is no CPU number {number}"))?)?;
    sched_setaffinity(this, &one).context("cannot stay on a CPU")
}

/// Does `work` on a thread with a network of its own, whose host has these addresses, on one CPU.
///
/// # Errors
///
/// If there is no such network, or of `work`.
pub fn alone<T: Send>(addresses: &[IpAddr], work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
    let inside = move || {
        enter_network(addresses)?;
        stay_on_cpu(0)?;
        work()
    };
    match thread::scope(|scope| scope.spawn(inside).join()) {
        Ok(result) => result,
        Err(panic) => std::panic::resume_unwind(panic),
    }
}
