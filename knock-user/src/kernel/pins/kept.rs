//! Pinned maps that are opened once, and not anew for each look.

use std::cell::RefCell;
use std::collections::HashMap;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use aya::maps::{Map, MapData};

/// Which pin it is: one that is made anew, or moved here from another place, has another number, also under the same
/// name.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PinId {
    device: u64,
    inode: u64,
}

impl PinId {
    /// Looks at a pin, and opens nothing.
    ///
    /// # Errors
    ///
    /// If there is none.
    pub fn of(path: &Path) -> io::Result<Self> {
        let about = fs::metadata(path)?;
        Ok(Self { device: about.dev(), inode: about.ino() })
    }
}

/// Maps by their pins, each kept for as long as its pin is the same.
#[derive(Default)]
pub struct KeptMaps(RefCell<HashMap<PathBuf, (PinId, Map)>>);

impl KeptMaps {
    /// Works on the map behind a pin, which is of this `kind`.
    ///
    /// # Errors
    ///
    /// If there is no pin, or it cannot be opened; those of the work.
    pub fn with<R>(
        &self,
        path: &Path,
        kind: fn(MapData) -> Map,
        work: impl FnOnce(&mut Map) -> Result<R>,
    ) -> Result<R> {
        let named = || path.display().to_string();
        let pin = PinId::of(path).with_context(named)?;
        let mut kept = self.0.borrow_mut();
        let is_same = kept.get(path).is_some_and(|(of, _)| *of == pin);
        if !is_same {
            // Not the one that it is no more, if the new one cannot be opened.
            kept.remove(path);
            kept.insert(path.to_owned(), (pin, kind(MapData::from_pin(path).with_context(named)?)));
        }
        let (_, map) = kept.get_mut(path).with_context(named)?;
        work(map)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pin_that_was_made_anew_is_another() {
        let folder = tempfile::tempdir().unwrap();
        let (path, beside) = (folder.path().join("pin"), folder.path().join("new"));
        assert!(PinId::of(&path).is_err());
        fs::write(&path, "").unwrap();
        let first = PinId::of(&path).unwrap();
        assert_eq!(PinId::of(&path).unwrap(), first);
        fs::write(&beside, "").unwrap();
        fs::rename(&beside, &path).unwrap();
        assert_ne!(PinId::of(&path).unwrap(), first);
    }
}
