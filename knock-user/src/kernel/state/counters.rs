//! Counters, and what the log may tell of denials.

use std::os::fd::AsFd as _;

use anyhow::{Result, bail};
use aya::maps::{Map, MapData, PerCpuArray, PerCpuValues};
use aya::util::nr_cpus;
use knock_common::abi::counter::Counter;
use knock_common::abi::layout::name;

use super::State;
use crate::kernel::sys;

impl State {
    /// Counters, summed up over the CPUs, in the order of [`Counter::ALL`].
    ///
    /// # Errors
    ///
    /// If the pin cannot be read.
    pub fn counters(&self) -> Result<Vec<(Counter, u64)>> {
        let cpus = nr_cpus().map_err(|(_, error)| error)?;
        let values = self.kept.with(&self.paths.map(name::COUNTERS), Map::PerCpuArray, |map| {
            let Map::PerCpuArray(map) = map else { bail!("no array") };
            Ok(sys::read_per_cpu(map.fd().as_fd(), Counter::COUNT as u32, cpus)?)
        })?;
        Ok(Counter::ALL.iter().copied().zip(values.chunks(cpus).map(|values| values.iter().sum())).collect())
    }

    /// Lets every CPU tell of `count` more denials.
    ///
    /// # Errors
    ///
    /// Of bpf(2).
    pub fn refill_tokens(&self, count: u64) -> Result<()> {
        let cpus = nr_cpus().map_err(|(_, error)| error)?;
        let values = PerCpuValues::try_from(vec![count; cpus])?;
        self.kept.with(&self.paths.map(name::TOKENS), Map::PerCpuArray, |map| {
            let mut array: PerCpuArray<&mut MapData, u64> = map.try_into()?;
            Ok(array.set(0, values, 0)?)
        })
    }
}
