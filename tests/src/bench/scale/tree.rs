//! A program and the processes that it has started.

use std::fs;

use anyhow::{Context as _, Result};

use crate::bench::peers::children;

/// What they took.
#[derive(Clone, Copy, Default, Debug)]
pub struct Tree {
    /// Seconds of CPU time, with those that have ended.
    pub cpu: f64,
    /// MiB, with each page divided among those that have it.
    pub memory: f64,
}

impl Tree {
    /// Of this process.
    ///
    /// # Errors
    ///
    /// If it is not there.
    pub fn of(process: u32) -> Result<Self> {
        let mut sum = one(process)?;
        // Those that have just ended are nobody any more.
        for child in children(process).into_iter().filter_map(|child| one(child).ok()) {
            sum.cpu += child.cpu;
            sum.memory += child.memory;
        }
        Ok(sum)
    }
}

fn one(process: u32) -> Result<Tree> {
    /// `USER_HZ`, which is this on all that we run on.
    const TICKS: f64 = 100.0;
    let stat = fs::read_to_string(format!("/proc/{process}/stat"))?;
    // Behind the name, which may hold anything: utime, stime, cutime and cstime are the fields 14 to 17.
    let (_, fields) = stat.rsplit_once(')').context("no name")?;
    let times = fields.split_whitespace().skip(11).take(4).map(str::parse::<f64>);
    let ticks: f64 = times.sum::<Result<f64, _>>()?;
    let rollup = fs::read_to_string(format!("/proc/{process}/smaps_rollup"))?;
    let line = rollup.lines().find_map(|line| line.strip_prefix("Pss:")).context("no Pss")?;
    let memory: f64 = line.trim().trim_end_matches(" kB").parse()?;
    Ok(Tree { cpu: ticks / TICKS, memory: memory / 1024.0 })
}
