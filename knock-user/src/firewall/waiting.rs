//! `interfaces.json` under `/run/knock`: which interfaces the gate is meant for, and why some of them
//! have none. For `status` only: nothing is decided by it.

use std::collections::BTreeMap;

use anyhow::Result;
use serde::{Deserialize, Serialize};

use super::pins::Paths;
use crate::config::InterfacePattern;
use crate::runtime;

/// The file.
pub const WAITING: &str = "interfaces.json";

/// What the file says.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Waiting {
    /// `options.interfaces` of the rules in force.
    pub interfaces: Vec<InterfacePattern>,
    /// Why the gate is not on an interface, by its name.
    pub refused: BTreeMap<String, String>,
}

#[derive(Serialize, Deserialize)]
struct Written {
    interfaces: Vec<String>,
    refused: BTreeMap<String, String>,
}

impl Waiting {
    /// Reads the file; what cannot be read says nothing.
    #[must_use]
    pub fn read(paths: &Paths) -> Self {
        let written = runtime::read_json::<Written>(paths, WAITING);
        written.map_or_else(Self::default, |written| Self {
            interfaces: written.interfaces.iter().filter_map(|text| InterfacePattern::parse(text).ok()).collect(),
            refused: written.refused,
        })
    }

    /// Writes the file, as a whole or not at all. The gate does not depend on it.
    ///
    /// # Errors
    ///
    /// If it cannot be written.
    pub fn write(self, paths: &Paths) -> Result<()> {
        let interfaces = self.interfaces.iter().map(|pattern| pattern.as_str().to_owned()).collect();
        let written = Written { interfaces, refused: self.refused };
        runtime::write_json(paths, WAITING, &written)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_and_nonsense_says_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let paths =
            Paths { pins: directory.path().join("pins"), run: directory.path().join("run"), ..Paths::default() };
        assert_eq!(Waiting::read(&paths), Waiting::default());
        let interfaces = vec![InterfacePattern::parse("eth*").unwrap()];
        let waiting = Waiting { interfaces, refused: BTreeMap::from([("eth1".into(), "busy".into())]) };
        waiting.clone().write(&paths).unwrap();
        assert_eq!(Waiting::read(&paths), waiting);
        std::fs::write(paths.run.join(WAITING), "nonsense").unwrap();
        assert_eq!(Waiting::read(&paths), Waiting::default());
    }
}
