//! `cargo xtask test --changed`: the tests of what a change touches, by the file of the layers.

use std::collections::BTreeSet;
use std::path::Path;

use crate::changed::Files;
use crate::layers::{Groups, Order, PACKAGE};

/// What a change asks for.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Touched {
    /// Groups of tests of `it`, none of which is part of another; `None`: all of them.
    pub groups: Option<BTreeSet<String>>,
    /// The tests of the packages.
    pub package: bool,
    /// Files that could be anybody's: they are why there are all tests.
    pub unknown: Vec<String>,
}

/// The groups of one file.
enum Of {
    /// These.
    Groups(Vec<String>),
    /// Every one.
    All,
}

impl Touched {
    /// What these files ask for. `unit and host` and the tables in the kernel are always run, so tests of theirs ask for
    /// nothing.
    pub fn by(files: &Files, order: &Order, all: &Groups) -> Self {
        let (mut groups, mut unknown) = (BTreeSet::new(), Vec::new());
        for file in files {
            match of(file, order, all) {
                Of::Groups(names) => groups.extend(names),
                Of::All => unknown.push(file.display().to_string()),
            }
        }
        let package = groups.remove(PACKAGE) || !unknown.is_empty();
        let groups = unknown.is_empty().then(|| without_parts(&groups));
        Self { groups, package, unknown }
    }

    /// What of `cargo xtask test` is not run for a change since `base`, in words.
    pub fn left_out(&self, base: &str) -> Vec<String> {
        let mut all: Vec<String> = self.groups.as_ref().and_then(others).into_iter().collect();
        if !self.package {
            all.push("packages".to_owned());
        }
        all.push(format!(
            "mutants (`cargo xtask mutants --changed {base}` plants those of the rules that are touched)"
        ));
        all.push("Miri, an older kernel: `cargo xtask test` runs all".to_owned());
        all
    }
}

/// What the tests of `it` are called that these groups do not ask for, if there are any.
fn others(groups: &BTreeSet<String>) -> Option<String> {
    let names: Vec<&str> = groups.iter().map(String::as_str).collect();
    match &names[..] {
        [] => Some("kernel and end to end: nothing of theirs has changed".to_owned()),
        ["e2e", "kernel"] => None,
        names => Some(format!("kernel and end to end, but for {}", names.join(" "))),
    }
}

/// Without those that another one holds.
fn without_parts(groups: &BTreeSet<String>) -> BTreeSet<String> {
    let is_part = |name: &str| name.split_once("::").is_some_and(|(all, _)| groups.contains(all));
    groups.iter().filter(|name| !is_part(name)).cloned().collect()
}

fn of(file: &Path, order: &Order, groups: &Groups) -> Of {
    let parts: Vec<&str> = file.iter().filter_map(|part| part.to_str()).collect();
    let some = |groups: &[&str]| Of::Groups(groups.iter().map(|&name| name.to_owned()).collect());
    match &parts[..] {
        [_, "src", ..] => order.tests_of(file).map_or(Of::All, |tests| Of::Groups(tests.to_vec())),
        ["tests", "it", all @ ("e2e" | "kernel"), "mod.rs"] => some(&[all]),
        ["tests", "it", all @ ("e2e" | "kernel"), group, ..] => {
            let group = group.split_once('.').map_or(*group, |(stem, _)| stem);
            Of::Groups(groups.touched(&format!("{all}::{group}")))
        }
        ["tests", "package", ..] => some(&[PACKAGE]),
        ["packaging", ..] => some(&[PACKAGE, "e2e::service", "e2e::fail2ban"]),
        ["tests", "cases", "import", ..] => some(&["e2e::import"]),
        ["tests", "cases", "filter", ..] => some(&["e2e::packet_filter"]),
        ["tests", "cases", ..] => some(&["kernel"]),
        ["examples", ..] => some(&["e2e::config", PACKAGE]),
        // What runs always, and what lint alone reads.
        ["tests", "host" | "kernel", ..]
        | ["docs" | "fuzz" | ".ci" | ".gitignore" | "rustfmt.toml" | "deny.toml", ..] => some(&[]),
        [name] if name.ends_with(".md") || name.starts_with("LICENSE") => some(&[]),
        _ => Of::All,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn by(files: &[&str]) -> Touched {
        let text =
            "a\n  low: the ground\n    by kernel e2e::x\n  high: above\n    by e2e::y package\nxtask\n  main: verbs\n";
        let groups = ["e2e::links", "e2e::flows", "kernel::budget"].map(|name| (name, format!("\"{name}\"")));
        let groups = Groups::of(&groups.each_ref().map(|(name, text)| (*name, text.as_str())));
        Touched::by(&files.iter().map(Into::into).collect(), &Order::parse(text).unwrap(), &groups)
    }

    fn groups(files: &[&str]) -> Vec<String> {
        by(files).groups.expect("not all").into_iter().collect()
    }

    #[test]
    fn a_source_asks_for_the_tests_of_its_layer() {
        assert_eq!(groups(&["a/src/low/b.rs"]), ["e2e::x", "kernel"]);
        assert_eq!((groups(&["a/src/high.rs"]), by(&["a/src/high.rs"]).package), (vec!["e2e::y".to_owned()], true));
        assert_eq!(
            by(&["xtask/src/main.rs", "README.md", "docs/rules.md", "tests/host/gate.rs"]).groups,
            Some(BTreeSet::new())
        );
    }

    #[test]
    fn a_test_asks_for_its_group() {
        let files = ["tests/it/e2e/links.rs", "tests/it/e2e/flows/udp.rs", "tests/it/kernel/budget.json"];
        assert_eq!(groups(&files), ["e2e::flows", "e2e::links", "kernel::budget"]);
        assert_eq!(groups(&["tests/it/kernel/budget.rs", "a/src/low.rs"]), ["e2e::x", "kernel"]);
        assert_eq!(groups(&["tests/it/e2e/mod.rs", "tests/it/e2e/links.rs"]), ["e2e"]);
        assert_eq!(groups(&["tests/it/kernel/helper.rs"]), ["kernel"]);
        assert!(by(&["tests/package/life.rs"]).package && by(&["packaging/knockctl.service"]).package);
    }

    #[test]
    fn what_is_not_run_is_named() {
        let always = [
            "mutants (`cargo xtask mutants --changed main~3` plants those of the rules that are touched)",
            "Miri, an older kernel: `cargo xtask test` runs all",
        ];
        let kernel = "kernel and end to end";
        for (files, first) in [
            (&["README.md"][..], vec![format!("{kernel}: nothing of theirs has changed"), "packages".to_owned()]),
            (&["a/src/low/b.rs"], vec![format!("{kernel}, but for e2e::x kernel"), "packages".to_owned()]),
            (&["a/src/high.rs"], vec![format!("{kernel}, but for e2e::y")]),
            (&["tests/it/e2e/mod.rs"], vec![format!("{kernel}, but for e2e"), "packages".to_owned()]),
            (&["tests/package/life.rs"], vec![format!("{kernel}: nothing of theirs has changed")]),
            // All of them, and what could be anybody's.
            (&["tests/it/e2e/mod.rs", "tests/it/kernel/mod.rs"], vec!["packages".to_owned()]),
            (&["Cargo.lock", "README.md"], Vec::new()),
        ] {
            let expected: Vec<String> = first.into_iter().chain(always.map(str::to_owned)).collect();
            assert_eq!(by(files).left_out("main~3"), expected, "{files:?}");
        }
    }

    #[test]
    fn what_is_nobodys_asks_for_all() {
        for file in ["Cargo.lock", "a/src/other.rs", "a/Cargo.toml", ".cargo/config.toml", "new/file"] {
            let all = Touched { groups: None, package: true, unknown: vec![file.to_owned()] };
            assert_eq!(by(&[file, "a/src/low.rs"]), all);
        }
    }
}
