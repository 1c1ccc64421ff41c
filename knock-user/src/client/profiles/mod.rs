//! The user's own hosts: `knockctl knock NAME` instead of a secret on the command line, where others
//! can read it.

mod error;
mod place;
mod profile;

#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

use toml::de::DeTable;

pub use self::error::ProfilesError;
pub use self::place::default_path;
pub use self::profile::{Profile, RETRIES};

use crate::syntax::report::Report;
use crate::syntax::value::Table;
use crate::syntax::{Diagnostic, PortNames, document, suggest};

/// The profiles of a file.
#[derive(Clone, PartialEq, Debug)]
pub struct Profiles {
    /// The file.
    pub path: PathBuf,
    /// `[hosts.NAME]`, in the order of the file.
    pub hosts: Vec<Profile>,
}

impl Profiles {
    /// Reads a file.
    ///
    /// # Errors
    ///
    /// If it cannot be read, others can read it, or it has an error.
    pub fn load(path: &Path) -> Result<Self, ProfilesError> {
        let file = place::open(path)?;
        let octets = document::read(file).map_err(|source| ProfilesError::Io { path: path.to_owned(), source })?;
        let name = path.display().to_string();
        let text = document::text(&octets, &name).map_err(ProfilesError::Refused)?;
        let hosts = parse(text, &name, &PortNames::of_host()).map_err(ProfilesError::Refused)?;
        Ok(Self { path: path.to_owned(), hosts })
    }

    /// The profile with this name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Profile> {
        self.hosts.iter().find(|profile| profile.name == name)
    }

    /// What else may have been meant by a name.
    #[must_use]
    pub fn nearest(&self, name: &str) -> Option<&str> {
        let names: Vec<&str> = self.hosts.iter().map(|profile| profile.name.as_str()).collect();
        suggest::nearest(name, &names)
    }
}

/// Reads the text of a file.
fn parse(text: &str, file: &str, names: &PortNames) -> Result<Vec<Profile>, Vec<Diagnostic>> {
    let report = Report::new(file, text);
    let (document, errors) = DeTable::parse_recoverable(text);
    let mut profiles = Vec::new();
    if errors.is_empty() {
        let mut table = Table::new(String::new(), 0..0, document.get_ref());
        let hosts = table.take("hosts").and_then(|item| item.table(&report)).map(Table::into_entries);
        table.finish(&report);
        profiles.extend(hosts.iter().flatten().filter_map(|entry| profile::read(entry, names, &report)));
    } else {
        document::report_syntax(&errors, &report);
    }
    let findings = report.into_findings();
    if findings.iter().any(Diagnostic::is_error) { Err(findings) } else { Ok(profiles) }
}
