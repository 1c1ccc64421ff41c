//! The groups of tests of `it`: each file or folder of `tests/it/kernel` and `tests/it/e2e` that has some.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::Result;

use crate::{paths, tidy};

/// The folders of groups.
const ALL: [&str; 2] = ["kernel", "e2e"];
/// The tests of the packages, which are one group.
pub const PACKAGE: &str = "package";

/// All groups, and who uses what of whom.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Groups {
    /// The text of a group, such as `e2e::flows`; that of a helper without tests is here as well.
    texts: BTreeMap<String, String>,
}

impl Groups {
    /// Reads them from the sources.
    pub fn read() -> Result<Self> {
        let mut texts: BTreeMap<String, String> = BTreeMap::new();
        for all in ALL {
            let folder = paths::workspace().join("tests/it").join(all);
            for (file, text) in tidy::rust_below(&folder, &folder)? {
                if let Some(name) = name(all, &file) {
                    texts.entry(name).or_default().push_str(&text);
                }
            }
        }
        Ok(Self { texts })
    }

    /// Groups with these texts.
    #[cfg(test)]
    pub fn of(texts: &[(&str, &str)]) -> Self {
        Self { texts: texts.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect() }
    }

    /// True if a layer may name it: all tests of a folder, one group of them, or those of the packages.
    pub fn has(&self, name: &str) -> bool {
        name == PACKAGE || ALL.contains(&name) || self.has_tests(name)
    }

    /// Those that no layer names, by the names that layers do name.
    pub fn unnamed<'a>(&'a self, named: &'a BTreeSet<&str>) -> impl Iterator<Item = &'a str> {
        let groups = self.texts.keys().map(String::as_str).filter(|name| self.has_tests(name));
        groups.filter(|name| !named.contains(name) && !named.contains(name.split("::").next().unwrap_or_default()))
    }

    /// What a change of this one asks for: itself and those that use it, or all of its folder if it has no tests.
    pub fn touched(&self, name: &str) -> Vec<String> {
        let (all, last) = name.split_once("::").unwrap_or((name, ""));
        if !self.has_tests(name) {
            return vec![all.to_owned()];
        }
        let calls = [format!("super::{last}::"), format!("super::{last};"), format!("{all}::{last}::")];
        let uses = |(user, text): &(&String, &String)| {
            user.starts_with(all) && self.has_tests(user) && calls.iter().any(|call| text.contains(call))
        };
        let users = self.texts.iter().filter(uses).map(|(user, _)| user.clone());
        users.chain([name.to_owned()]).collect()
    }

    /// True if tests are called so.
    fn has_tests(&self, name: &str) -> bool {
        self.texts.get(name).is_some_and(|text| text.contains(&format!("\"{name}")))
    }
}

/// The group of a file below a folder of groups; `None` for the list of them.
fn name(all: &str, file: &Path) -> Option<String> {
    let first = file.iter().next()?.to_str()?;
    let stem = first.split_once('.').map_or(first, |(stem, _)| stem);
    (stem != "mod").then(|| format!("{all}::{stem}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn groups() -> Groups {
        Groups::of(&[
            ("e2e::links", "tests![\"e2e::links\"; a]"),
            ("e2e::kinds", "use super::links::Cable; tests![\"e2e::kinds\"; b]"),
            ("e2e::other", "tests![\"e2e::other::part\"; c]"),
            ("kernel::gate", "pub fn helper() {}"),
        ])
    }

    #[test]
    fn a_group_is_what_has_tests_of_its_name() {
        let has = |name| groups().has(name);
        assert!(has("e2e::links") && has("e2e::other") && has("kernel") && has("package"));
        assert!(!has("kernel::gate") && !has("kernel::none") && !has("e2e::") && !has("host"));
        let named = BTreeSet::from(["e2e::links", "kernel"]);
        assert_eq!(groups().unnamed(&named).collect::<Vec<_>>(), ["e2e::kinds", "e2e::other"]);
    }

    #[test]
    fn a_change_asks_for_those_that_use_what_has_changed() {
        assert_eq!(groups().touched("e2e::links"), ["e2e::kinds", "e2e::links"]);
        assert_eq!(groups().touched("e2e::kinds"), ["e2e::kinds"]);
        assert_eq!(groups().touched("kernel::gate"), ["kernel"]);
    }

    #[test]
    fn a_folder_is_one_group() {
        assert_eq!(name("e2e", Path::new("flows/udp.rs")).as_deref(), Some("e2e::flows"));
        assert_eq!(name("kernel", Path::new("budget.rs")).as_deref(), Some("kernel::budget"));
        assert_eq!(name("e2e", Path::new("mod.rs")), None);
    }
}
