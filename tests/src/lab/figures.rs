//! What a process, and the maps that it has open, take.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use super::{Host, TIMEOUT, knockctl_path, sandbox, until};

/// The CPU time that the threads of a process have had, those that have ended left out.
///
/// # Errors
///
/// If there is no such process.
pub fn cpu_time(process: u32) -> Result<Duration> {
    let mut nanoseconds = 0;
    for thread in fs::read_dir(format!("/proc/{process}/task"))? {
        // Its first field; utime and stime of proc_pid_stat(5) are counted in ticks, between which short work falls.
        let Ok(times) = fs::read_to_string(thread?.path().join("schedstat")) else { continue };
        nanoseconds += times.split_whitespace().next().context("no CPU time")?.parse::<u64>()?;
    }
    Ok(Duration::from_nanos(nanoseconds))
}

/// A figure of `/proc/PID/status` in KiB: `VmRSS`, `VmHWM`.
///
/// # Errors
///
/// If there is no such process, or no such figure.
pub fn memory(process: u32, figure: &str) -> Result<u64> {
    let status = fs::read_to_string(format!("/proc/{process}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix(figure)?.strip_prefix(':'));
    Ok(line.context("no such figure")?.trim().trim_end_matches(" kB").parse()?)
}

/// What the kernel charges for each map that a process has open, in octets, by the map's number.
///
/// # Errors
///
/// If there is no such process.
pub fn maps(process: u32) -> Result<BTreeMap<u32, u64>> {
    let mut maps = BTreeMap::new();
    for entry in fs::read_dir(format!("/proc/{process}/fdinfo"))? {
        // A descriptor may be closed by now.
        let Ok(text) = fs::read_to_string(entry?.path()) else { continue };
        let number = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)?.trim().parse::<u64>().ok());
        if let (Some(id), Some(octets)) = (number("map_id:"), number("memlock:")) {
            maps.insert(u32::try_from(id)?, octets);
        }
    }
    Ok(maps)
}

/// Waits until a daemon has loaded its standby program, which has maps of its own.
///
/// # Errors
///
/// If it loads none.
pub fn wait_for_spare(process: u32) -> Result<()> {
    until("the standby program", TIMEOUT, || (programs(process).ok()?.len() > 1).then_some(()))
}

/// The programs that a process has open, by their numbers.
fn programs(process: u32) -> Result<BTreeSet<u32>> {
    let mut programs = BTreeSet::new();
    for entry in fs::read_dir(format!("/proc/{process}/fdinfo"))? {
        // A descriptor may be closed by now.
        let Ok(text) = fs::read_to_string(entry?.path()) else { continue };
        programs.extend(text.lines().find_map(|line| line.strip_prefix("prog_id:")?.trim().parse::<u32>().ok()));
    }
    Ok(programs)
}

/// What a run of `knockctl` took.
#[derive(Clone, Debug)]
pub struct Took {
    /// Its standard output.
    pub stdout: String,
    /// From its start to its end.
    pub time: Duration,
    /// The most memory that it had, in KiB, as far as it was seen.
    pub peak: u64,
}

/// Runs `knockctl` on the server, which must succeed, and measures it.
///
/// # Errors
///
/// If it does not succeed.
pub fn measured(args: &[&str]) -> Result<Took> {
    let path = std::path::Path::new(sandbox::DIR).join("measured.out");
    let mut command = Command::new(knockctl_path()?);
    command.args(args).stdin(Stdio::null()).stdout(fs::File::create(&path)?).stderr(Stdio::inherit());
    let start = Instant::now();
    let mut child = Host::Server.spawn(&mut command)?;
    let mut peak = 0;
    let status = loop {
        // Its memory has gone before its end is known.
        peak = memory(child.id(), "VmHWM").unwrap_or(0).max(peak);
        if let Some(status) = child.try_wait()? {
            break status;
        }
        if start.elapsed() > 4 * TIMEOUT {
            child.kill()?;
            child.wait()?;
            anyhow::bail!("knockctl {args:?} does not come to an end");
        }
        std::thread::sleep(Duration::from_millis(2));
    };
    let time = start.elapsed();
    ensure!(status.success(), "knockctl {args:?}: {status}");
    Ok(Took { stdout: fs::read_to_string(path)?, time, peak })
}
