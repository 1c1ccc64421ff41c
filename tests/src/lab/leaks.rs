//! What a gate leaves in the kernel.

use std::collections::BTreeSet;

use anyhow::Result;

use super::{Config, TIMEOUT, until};

/// A size of the grant table that no other gate of this machine has: by it, its tables are known among
/// those of everybody.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Mark(pub u32);

impl Mark {
    /// A new one.
    #[must_use]
    pub fn new() -> Self {
        Self(fastrand::u32(20_000..60_000))
    }

    /// The config with it.
    #[must_use]
    pub fn on(self, config: Config) -> Config {
        config.option("max_grants", &self.0.to_string())
    }

    /// How many grant tables of this size there are. Each program holds its own, each descriptor and each pin
    /// too: where there is none, there is no program of ours.
    ///
    /// # Errors
    ///
    /// If the maps cannot be listed.
    pub fn tables(self) -> Result<usize> {
        Ok(self.ids().len())
    }

    /// The programs that hold such a table, by their ids.
    #[must_use]
    pub fn programs(self) -> BTreeSet<u32> {
        let tables = self.ids();
        // Without those that have gone since they were listed.
        let programs = aya::programs::loaded_programs().filter_map(Result::ok);
        let holds = |maps: Option<Vec<u32>>| maps.is_some_and(|maps| maps.iter().any(|map| tables.contains(map)));
        programs.filter(|program| program.map_ids().is_ok_and(holds)).map(|program| program.id()).collect()
    }

    /// Waits until there are so many programs, and returns them.
    ///
    /// # Errors
    ///
    /// If there are others all the time.
    pub fn wait_for_programs(self, count: usize) -> Result<BTreeSet<u32>> {
        until(&format!("{count} programs"), TIMEOUT, || Some(self.programs()).filter(|ids| ids.len() == count))
    }

    fn ids(self) -> Vec<u32> {
        let maps = aya::maps::loaded_maps().filter_map(Result::ok);
        let own = maps.filter(|map| map.name_as_str() == Some("GRANTS") && map.max_entries() == self.0);
        own.map(|map| map.id()).collect()
    }

    /// Waits until there are so many: the kernel frees them some time after their end.
    ///
    /// # Errors
    ///
    /// If there are others all the time.
    pub fn wait_for(self, tables: usize) -> Result<()> {
        let what = format!("{tables} grant tables of {}", self.0);
        until(&what, TIMEOUT, || (self.tables().ok()? == tables).then_some(()))
    }
}

impl Default for Mark {
    fn default() -> Self {
        Self::new()
    }
}

/// How many descriptors a process has open.
///
/// # Errors
///
/// If there is no such process.
pub fn descriptors(process: u32) -> Result<usize> {
    Ok(std::fs::read_dir(format!("/proc/{process}/fd"))?.count())
}
