//! The config of the lab, and its variations.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::Result;

use super::sandbox;

/// A config file's text.
#[derive(Clone, Debug)]
pub struct Config(pub String);

impl Config {
    /// `lab.toml`.
    #[must_use]
    pub fn lab() -> Self {
        Self(include_str!("lab.toml").to_owned())
    }

    /// The same with a sequence that stands in no document: as `knockctl check` wants it.
    #[must_use]
    #[track_caller]
    pub fn unpublished(self) -> Self {
        self.with("[\"7000/tcp\", \"8000/udp\", \"9000/tcp\"]", "[\"7100/tcp\", \"8000/udp\", \"9000/tcp\"]")
    }

    /// The same with another text in one place.
    ///
    /// # Panics
    ///
    /// If there is no such place, or more than one: the example has changed.
    #[must_use]
    #[track_caller]
    pub fn with(self, old: &str, new: &str) -> Self {
        assert_eq!(self.0.matches(old).count(), 1, "{old:?} in the lab's config:\n{}", self.0);
        Self(self.0.replace(old, new))
    }

    /// The same with another value of an option.
    ///
    /// # Panics
    ///
    /// If the example has no line for it.
    #[must_use]
    #[track_caller]
    pub fn set(self, key: &str, value: &str) -> Self {
        let is_it = |line: &str| line.split_once(" = ").is_some_and(|(name, _)| name == key);
        let found = self.0.lines().filter(|line| is_it(line)).count();
        assert_eq!(found, 1, "{key} in the lab's config:\n{}", self.0);
        let lines =
            self.0.lines().map(|line| if is_it(line) { format!("{key} = {value}\n") } else { format!("{line}\n") });
        Self(lines.collect())
    }

    /// The same with one more line in `[options]`.
    ///
    /// # Panics
    ///
    /// If the example has no options.
    #[must_use]
    #[track_caller]
    pub fn option(self, key: &str, value: &str) -> Self {
        self.with("[options]\n", &format!("[options]\n{key} = {value}\n"))
    }

    /// Writes it to a file of the sandbox.
    ///
    /// # Errors
    ///
    /// If it cannot be written.
    pub fn write(&self, name: &str) -> Result<PathBuf> {
        let path = Path::new(sandbox::DIR).join(name);
        fs::write(&path, &self.0)?;
        // Whoever reads it can open the doors.
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600))?;
        Ok(path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_value_is_changed_and_the_rest_stays() {
        let lab = Config::lab();
        let changed = lab.clone().set("cmd_timeout", "\"1s\"").option("max_grants", "2");
        assert!(changed.0.contains("\ncmd_timeout = \"1s\"\n"), "{}", changed.0);
        assert!(changed.0.contains("[options]\nmax_grants = 2\n"), "{}", changed.0);
        assert_eq!(changed.0.lines().count(), lab.0.lines().count() + 1);
    }
}
