//! One-time sequences that the kernel has seen used.

use anyhow::Result;
use aya::maps::{HashMap, Map, MapData, MapError};
use knock_common::abi::layout::name;
use knock_common::abi::used::Used;

use super::{State, was_there};
use crate::kernel::pod::Plain;

impl State {
    /// The same for the used one-time sequences.
    fn with_used<R>(&self, work: impl FnOnce(HashMap<&mut MapData, u64, Plain<Used>>) -> Result<R>) -> Result<R> {
        self.kept.with(&self.paths.map(name::SPENT), Map::HashMap, |map| work(map.try_into()?))
    }

    /// One-time sequences that were used and are not yet forgotten: key and use, the oldest first.
    ///
    /// # Errors
    ///
    /// Of bpf(2).
    pub fn used(&self) -> Result<Vec<(u64, Used)>> {
        let mut entries = self.with_used(|map| {
            let entry = |item: Result<(u64, Plain<Used>), MapError>| item.map(|(key, used)| (key, used.0));
            Ok(map.iter().map(entry).collect::<Result<Vec<_>, _>>()?)
        })?;
        entries.sort_by_key(|(key, used)| (used.at, *key));
        Ok(entries)
    }

    /// Forgets that one-time sequences were used: their files say so by now, and no door has them.
    ///
    /// # Errors
    ///
    /// Of bpf(2).
    pub fn forget_used(&self, keys: &[u64]) -> Result<()> {
        self.with_used(|mut map| keys.iter().try_for_each(|key| was_there(map.remove(key)).map(drop)))
    }
}
