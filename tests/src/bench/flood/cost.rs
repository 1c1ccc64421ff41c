//! CPU time per packet: of the thread that sends, in which the kernel also receives, and of the guard's program.

use std::process::Command;
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use nix::time::{ClockId, clock_gettime};
use nix::unistd::gettid;

use crate::kernel::stay_on_cpu;
use crate::lab::figures::cpu_time;
use crate::lab::{Host, Volley};

/// The number of the last CPU: interrupts and whatever else starts early prefer the first.
pub fn cpu() -> Result<usize> {
    Ok(thread::available_parallelism()?.get() - 1)
}

/// Lets this thread have that CPU before all others, as what an interrupt brings would.
pub fn come_first() -> Result<()> {
    stay_on_cpu(cpu()?)?;
    let output = Command::new("chrt").args(["--fifo", "--pid", "1", &gettid().to_string()]).output();
    let output = output.context("cannot start chrt (Debian: util-linux)")?;
    ensure!(output.status.success(), "chrt: {}", String::from_utf8_lossy(&output.stderr).trim());
    Ok(())
}

/// Sends all packets a few times, as fast as they go. Microseconds for each.
pub fn cost(program: Option<u32>, volley: &Volley, times: usize) -> Result<f64> {
    let of_program = || program.map_or(Ok(Duration::ZERO), cpu_time);
    let before = of_program()?;
    let sent = Host::Client.enter(|| {
        come_first()?;
        let start = own_time()?;
        (0..times).try_for_each(|_| volley.send_here())?;
        Ok(own_time()? - start)
    })?;
    // What has been told of them and not been read yet.
    thread::sleep(Duration::from_millis(50));
    let spent = sent + (of_program()? - before);
    Ok(spent.as_secs_f64() * 1e6 / (volley.count() * times) as f64)
}

/// The CPU time of this thread, with what the kernel did for others in it (softirqs).
fn own_time() -> Result<Duration> {
    Ok(clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID)?.into())
}
