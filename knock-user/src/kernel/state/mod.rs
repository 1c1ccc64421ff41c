//! Typed views on the pinned maps: what `status`, `allow`, `revoke` and the daemon work on, with or
//! without a daemon.

mod attempts;
mod counters;
pub(super) mod flows;
mod grants;
mod lockouts;
mod rules;
mod source_text;
mod used;

pub use attempts::AttemptEntry;
pub use grants::{Allowed, GrantEntry, Swept};
pub use lockouts::LockoutEntry;
pub use source_text::{format_network, format_site, format_source, format_source_as};

use std::fs::File;

use anyhow::{Context as _, Result, anyhow, bail};
use aya::maps::{HashMap, Map, MapData, MapError};
use knock_common::abi::grant::{Grant, GrantKey};
use knock_common::abi::layout::name;

use super::interfaces::report::{self, InterfaceState};
use super::pins;
use super::pins::kept::{KeptMaps, PinId};
use super::pins::layouts::Layout;
use super::pins::swap;
use super::pod::{InMap, Plain};
use super::privilege::need_root;
use crate::paths::Paths;

/// The pinned state of a gate, opened by its pins.
pub struct State {
    paths: Paths,
    grants: HashMap<MapData, Plain<GrantKey>, Plain<Grant>>,
    /// The pins of the layout and of the grants, as they were opened.
    opened: [Option<PinId>; 2],
    /// All other maps, once they are asked for.
    kept: KeptMaps,
    _held: Option<File>,
}

/// The pins that say of what layout all is, and where the grants are.
fn main_pins(paths: &Paths) -> [Option<PinId>; 2] {
    [name::LAYOUT, name::GRANTS].map(|name| PinId::of(&paths.map(name)).ok())
}

impl State {
    /// Opens the pins.
    ///
    /// # Errors
    ///
    /// Nothing loaded, not root, or pins of another layout.
    pub fn open(paths: &Paths) -> Result<Self> {
        Self::prepare(paths)?;
        Self::opened(paths, None)
    }

    /// The same to change grants: until it is dropped, no reload moves them to another table.
    ///
    /// # Errors
    ///
    /// As [`Self::open`].
    pub fn open_to_change(paths: &Paths) -> Result<Self> {
        Self::prepare(paths)?;
        let held = swap::lock(paths)?;
        Self::opened(paths, Some(held))
    }

    fn prepare(paths: &Paths) -> Result<()> {
        need_root()?;
        pins::need_own(paths)?;
        if !Self::exists(paths) && !paths.next().exists() {
            if paths.links().read_dir().is_ok_and(|mut links| links.next().is_some()) {
                let grants = paths.map(name::GRANTS);
                bail!("{}: somebody removed this pin; the gate still stands: restart the daemon", grants.display());
            }
            bail!("nothing is loaded: start the gate with `knockctl run`");
        }
        swap::recover(paths)
    }

    fn opened(paths: &Paths, held: Option<File>) -> Result<Self> {
        let opened = main_pins(paths);
        Layout::of(paths)?.need_ours(paths)?;
        let path = paths.map(name::GRANTS);
        let map = Map::HashMap(MapData::from_pin(&path).with_context(|| path.display().to_string())?);
        Ok(Self { paths: paths.clone(), grants: map.try_into()?, opened, kept: KeptMaps::default(), _held: held })
    }

    /// True if the pins are still those that were opened, and no change of the gate is under way.
    #[must_use]
    pub fn is_current(&self) -> bool {
        !self.paths.next().exists() && main_pins(&self.paths) == self.opened
    }

    /// Works on a table that makes room by itself.
    pub fn lru<K: InMap, V: aya::Pod, R>(
        &self,
        name: &str,
        work: impl FnOnce(HashMap<&mut MapData, Plain<K>, V>) -> Result<R>,
    ) -> Result<R> {
        self.kept.with(&self.paths.map(name), Map::LruHashMap, |map| work(map.try_into()?))
    }

    /// True if there are pins to open.
    #[must_use]
    pub fn exists(paths: &Paths) -> bool {
        paths.map(name::GRANTS).exists()
    }

    /// The interfaces that have the gate, and those that should have it.
    ///
    /// # Errors
    ///
    /// If the pins or the interfaces cannot be listed.
    pub fn interfaces(&self) -> Result<Vec<InterfaceState>> {
        report::read(&self.paths)
    }
}

/// Whether a removal found something. What is not there aya tells as an error of the system call.
pub fn was_there(removed: Result<(), MapError>) -> Result<bool> {
    match removed {
        Ok(()) => Ok(true),
        Err(MapError::KeyNotFound) => Ok(false),
        Err(MapError::SyscallError(error)) if error.io_error.raw_os_error() == Some(libc::ENOENT) => Ok(false),
        Err(error) => Err(anyhow!(error)),
    }
}
