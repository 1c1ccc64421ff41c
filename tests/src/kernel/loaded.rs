//! A program that somebody else has loaded, by its number: whatever its maps are called and however they are laid
//! out, it runs on frames, and forgets what it has learned since.

use std::collections::HashSet;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};

use anyhow::{Context as _, Result, ensure};
use aya::maps::{Map, MapData, MapInfo, MapType, RingBuf};
use aya::programs::loaded_programs;

use super::sys;

/// The program and its maps, for as long as this is kept, whoever unloads it meanwhile.
pub struct Loaded {
    program: OwnedFd,
    tables: Vec<Table>,
    events: Vec<RingBuf<MapData>>,
}

/// A map of hashes, and what was in it at first.
struct Table {
    map: MapData,
    key: usize,
    first: HashSet<Vec<u8>>,
}

impl Table {
    fn keys(&self) -> Result<Vec<Vec<u8>>> {
        sys::keys(self.map.fd().as_fd(), self.key).context("the keys of a map")
    }
}

impl Loaded {
    /// That with this number.
    ///
    /// # Errors
    ///
    /// If there is none, or it has no maps.
    pub fn by_id(id: u32) -> Result<Self> {
        let mut programs = loaded_programs().filter_map(Result::ok);
        let info = programs.find(|program| program.id() == id).with_context(|| format!("no program {id}"))?;
        let program = info.fd()?.as_fd().try_clone_to_owned()?;
        let maps = info.map_ids()?.context("the kernel does not name its maps")?;
        ensure!(!maps.is_empty(), "program {id} has no maps");
        let (mut tables, mut events) = (Vec::new(), Vec::new());
        for id in maps {
            let map = MapInfo::from_id(id)?;
            match map.map_type()? {
                MapType::Hash | MapType::LruHash | MapType::PerCpuHash | MapType::LruPerCpuHash => {
                    let (key, map) = (map.key_size() as usize, MapData::from_id(id)?);
                    let mut table = Table { map, key, first: HashSet::new() };
                    table.first = table.keys()?.into_iter().collect();
                    tables.push(table);
                }
                // One for events, one for the trace.
                MapType::RingBuf => events.push(RingBuf::try_from(Map::RingBuf(MapData::from_id(id)?))?),
                _ => {}
            }
        }
        Ok(Self { program, tables, events })
    }

    /// The program.
    #[must_use]
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.program.as_fd()
    }

    /// Takes out of its hashes whatever was not in them at first: attempts and grants, by whatever name.
    ///
    /// # Errors
    ///
    /// If the kernel does not.
    pub fn forget(&self) -> Result<()> {
        for table in &self.tables {
            for key in table.keys()?.iter().filter(|key| !table.first.contains(*key)) {
                sys::remove(table.map.fd().as_fd(), key).context("an element cannot be removed")?;
            }
        }
        Ok(())
    }

    /// How many elements its hashes have that were not in them at first.
    ///
    /// # Errors
    ///
    /// If the kernel does not say.
    pub fn learned(&self) -> Result<usize> {
        let more = |table: &Table| Ok(table.keys()?.iter().filter(|key| !table.first.contains(*key)).count());
        self.tables.iter().map(more).sum()
    }

    /// Takes what it has told of since the last call, and says how many records that were. Nobody else may read them.
    pub fn take_events(&mut self) -> usize {
        let mut count = 0;
        for events in &mut self.events {
            while events.next().is_some() {
                count += 1;
            }
        }
        count
    }
}
