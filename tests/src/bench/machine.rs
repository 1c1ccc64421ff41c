//! The machine that the figures are of.

use std::fs;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

/// What it is, and what else it does.
#[derive(Clone, Serialize, Deserialize, Debug)]
pub struct Machine {
    /// The processor's name.
    pub cpu: String,
    /// How many of them there are.
    pub cpus: usize,
    /// Memory in MiB.
    pub memory_mib: u64,
    /// The kernel's version.
    pub kernel: String,
    /// The load over the last minute before the first round.
    pub load: f64,
}

impl Machine {
    /// True if it is the same one, as far as figures go.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        let of = |machine: &Self| (machine.cpu.clone(), machine.cpus, machine.kernel.clone());
        of(self) == of(other)
    }

    /// This one.
    ///
    /// # Errors
    ///
    /// If /proc does not say.
    pub fn here() -> Result<Self> {
        let read = |path: &str| fs::read_to_string(path).with_context(|| path.to_owned());
        let field = |text: &str, name: &str| {
            let line = text.lines().find(|line| line.starts_with(name))?;
            Some(line.split_once(':')?.1.trim().to_owned())
        };
        let memory = field(&read("/proc/meminfo")?, "MemTotal").context("no MemTotal in /proc/meminfo")?;
        let load = read("/proc/loadavg")?;
        Ok(Self {
            cpu: field(&read("/proc/cpuinfo")?, "model name").unwrap_or_else(|| std::env::consts::ARCH.to_owned()),
            cpus: std::thread::available_parallelism()?.get(),
            memory_mib: memory.trim_end_matches(" kB").parse::<u64>()? / 1024,
            kernel: read("/proc/sys/kernel/osrelease")?.trim().to_owned(),
            load: load.split(' ').next().context("/proc/loadavg is empty")?.parse()?,
        })
    }
}
