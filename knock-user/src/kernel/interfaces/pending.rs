//! `interfaces.json` under `/run/knock`: which interfaces the gate is meant for, and why some of them
//! have none. For `status` only: nothing is decided by it.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::PathBuf;

use anyhow::Result;
use serde::{Deserialize, Serialize};

use crate::config::{Config, InterfacePattern, fingerprint};
use crate::paths::Paths;
use crate::run_dir::{read_json, write_json};

/// The file.
pub const WAITING: &str = "interfaces.json";

/// What the file says.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Waiting {
    /// `options.interfaces` of the rules in force.
    pub interfaces: Vec<InterfacePattern>,
    /// Why the gate is not on an interface, by its name.
    pub refused: BTreeMap<String, String>,
    /// Where these rules came from.
    pub source: Option<Source>,
}

/// A config file, as it was when it was loaded.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Source {
    /// Its absolute path.
    pub path: PathBuf,
    /// Its [`Config::fingerprint`].
    fingerprint: u64,
}

impl Source {
    /// The file that `config` was read from.
    #[must_use]
    pub fn of(config: &Config) -> Self {
        let path = std::path::absolute(&config.path).unwrap_or_else(|_| config.path.clone());
        Self { path, fingerprint: config.fingerprint }
    }

    /// True if the file is another one by now, or gone; `None` if it cannot be looked at.
    #[must_use]
    pub fn has_changed(&self) -> Option<bool> {
        match fingerprint::of_file(&self.path) {
            Ok(now) => Some(now != self.fingerprint),
            Err(error) => (error.kind() == ErrorKind::NotFound).then_some(true),
        }
    }
}

#[derive(Serialize, Deserialize)]
struct Written {
    interfaces: Vec<String>,
    refused: BTreeMap<String, String>,
    #[serde(default)]
    source: Option<Source>,
}

impl Waiting {
    /// Reads the file; what cannot be read says nothing.
    #[must_use]
    pub fn read(paths: &Paths) -> Self {
        let written = read_json::<Written>(paths, WAITING);
        written.map_or_else(Self::default, |written| Self {
            interfaces: written.interfaces.iter().filter_map(|text| InterfacePattern::parse(text).ok()).collect(),
            refused: written.refused,
            source: written.source,
        })
    }

    /// Writes the file, as a whole or not at all. The gate does not depend on it.
    ///
    /// # Errors
    ///
    /// If it cannot be written.
    pub fn write(self, paths: &Paths) -> Result<()> {
        let interfaces = self.interfaces.iter().map(|pattern| pattern.as_str().to_owned()).collect();
        let written = Written { interfaces, refused: self.refused, source: self.source };
        write_json(paths, WAITING, &written)
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
        let source = Some(Source { path: "/etc/knock/knock.toml".into(), fingerprint: u64::MAX });
        let waiting = Waiting { interfaces, refused: BTreeMap::from([("eth1".into(), "busy".into())]), source };
        waiting.clone().write(&paths).unwrap();
        assert_eq!(Waiting::read(&paths), waiting);
        std::fs::write(paths.run.join(WAITING), "nonsense").unwrap();
        assert_eq!(Waiting::read(&paths), Waiting::default());
    }

    #[test]
    fn a_file_that_is_another_one_or_gone_has_changed() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("knock.toml");
        let text = "[options]\ninterfaces = [\"lo\"]\n[services]\n";
        let write = |text: &str| std::fs::write(&path, text).unwrap();
        write(text);
        let (config, _) = Config::load_anywhere(&path).unwrap();
        let source = Source::of(&config);
        assert_eq!(source.has_changed(), Some(false));
        write(&text.replace("lo", "ol"));
        assert_eq!(source.has_changed(), Some(true));
        // As it was, though it was written anew.
        write(text);
        assert_eq!(source.has_changed(), Some(false));
        std::fs::remove_file(&path).unwrap();
        assert_eq!(source.has_changed(), Some(true));
        std::fs::create_dir(&path).unwrap();
        assert_eq!(source.has_changed(), None);
    }
}
