//! The directory of run-time files, and the JSON files in it.

use anyhow::Result;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::files::{Folder, Way};
use crate::paths::Paths;

/// The directory of run-time files: made if it is not there, and for nobody but root and `options.status_group`; but
/// others may pass through it where [`show_to`](crate::runtime::show_to) lets them.
///
/// # Errors
///
/// As of [`Folder::make`].
pub fn folder(paths: &Paths) -> Result<Folder> {
    Folder::make(&paths.run, Way::Whole, 0o751)
}

/// Removes a file; true for whoever did it.
pub fn remove(paths: &Paths, name: &str) -> bool {
    Folder::open(&paths.run, Way::Whole).is_ok_and(|folder| folder.remove(name).is_ok())
}

/// Writes a run-time file, as a whole or not at all; its directory is made if it is not there. Nothing of
/// it outlives a power cut, nor needs to.
///
/// # Errors
///
/// If the directory cannot be written.
pub fn write_json(paths: &Paths, name: &str, value: &impl Serialize) -> Result<()> {
    folder(paths)?.replace(name, &serde_json::to_vec(value)?, |_| Ok(())).map(drop)
}

/// Reads a run-time file; `None` if it is not there, or nonsense.
pub fn read_json<T: DeserializeOwned>(paths: &Paths, name: &str) -> Option<T> {
    let octets = Folder::open(&paths.run, Way::Whole).ok()?.read(name).ok()?;
    serde_json::from_slice(&octets).ok()
}
