//! The bugs with their places in the sources.

use std::path::Path;

use anyhow::Result;

use super::source::{Site, Sources};
use super::table::{self, Mutant};

/// A bug and its place.
pub type Placed = (&'static Mutant, Site);

/// All bugs with their places, in a workspace or in a copy of it.
pub fn placed(root: &Path) -> Result<Vec<Placed>> {
    let all: Vec<_> = table::all().collect();
    let places = Sources::read(root)?.places(&all)?;
    Ok(all.into_iter().zip(places).collect())
}
