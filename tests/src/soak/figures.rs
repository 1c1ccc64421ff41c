//! What a gate takes.

use std::collections::BTreeSet;

use anyhow::{Result, ensure};

use crate::lab::figures::memory;
use crate::lab::leaks::{Mark, descriptors};

/// What the daemon and the kernel hold for the gate.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Figures {
    /// The daemon's resident memory, in KiB.
    pub rss: u64,
    /// What of it no file backs: of the rest, parts of the program come and go as they are called.
    pub own: u64,
    /// Its descriptors.
    pub descriptors: usize,
    /// Programs in the kernel.
    pub programs: usize,
    /// Maps in the kernel.
    pub maps: usize,
}

/// By how many KiB the daemon may be larger after a while: an allocator keeps what it was given.
const SLACK: u64 = 4 * 1024;

impl Figures {
    /// Of the daemon with this id, and of the programs that use a grant table with one of the marks.
    ///
    /// # Errors
    ///
    /// If there is no such daemon.
    pub fn of(daemon: u32, marks: &[Mark]) -> Result<Self> {
        let ours: BTreeSet<u32> = aya::maps::loaded_maps()
            .filter_map(Result::ok)
            .filter(|map| map.name_as_str() == Some("GRANTS"))
            .filter(|map| marks.iter().any(|mark| mark.0 == map.max_entries()))
            .map(|map| map.id())
            .collect();
        let (mut programs, mut maps) = (0, ours.clone());
        for program in aya::programs::loaded_programs().filter_map(Result::ok) {
            let ids = program.map_ids()?.unwrap_or_default();
            if ids.iter().any(|id| ours.contains(id)) {
                programs += 1;
                maps.extend(ids);
            }
        }
        Ok(Self {
            rss: memory(daemon, "VmRSS")?,
            own: memory(daemon, "RssAnon")?,
            descriptors: descriptors(daemon)?,
            programs,
            maps: maps.len(),
        })
    }

    /// Checks that these are not above the others.
    ///
    /// # Errors
    ///
    /// With what has grown.
    pub fn not_above(&self, before: &Self) -> Result<()> {
        let what = || format!("grown: {}", before.to(self));
        ensure!(self.own <= before.own + SLACK && self.descriptors <= before.descriptors, what());
        ensure!(self.programs <= before.programs && self.maps <= before.maps, what());
        ensure!(self.programs > 0 && self.maps > 0, "there is no gate");
        Ok(())
    }

    /// From these to those, in words.
    #[must_use]
    pub fn to(&self, after: &Self) -> String {
        let mib = |kib: u64| kib as f64 / 1024.0;
        format!(
            "RSS {:.1} -> {:.1} MiB, of it no file's {:.1} -> {:.1}, descriptors {} -> {}, programs {} -> {}, maps {} -> {}",
            mib(self.rss),
            mib(after.rss),
            mib(self.own),
            mib(after.own),
            self.descriptors,
            after.descriptors,
            self.programs,
            after.programs,
            self.maps,
            after.maps
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_grows_is_told() {
        let before = Figures { rss: 10_240, own: 2048, descriptors: 30, programs: 1, maps: 20 };
        assert!(before.not_above(&before).is_ok());
        for after in [
            Figures { own: 2049 + SLACK, ..before },
            Figures { descriptors: 31, ..before },
            Figures { programs: 2, ..before },
            Figures { maps: 21, ..before },
        ] {
            assert!(after.not_above(&before).unwrap_err().to_string().starts_with("grown: RSS 10.0 -> "));
        }
    }
}
