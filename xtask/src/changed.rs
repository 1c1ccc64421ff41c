//! What differs from a commit: files, and the packages that they are of.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::Result;

use crate::{paths, shell};

/// All packages, by the folders that they are in.
const PACKAGES: [&str; 5] = ["knock-common", "knock-ebpf", "knock-user", "tests", "xtask"];

/// The packages with a file that differs from a commit, or that git does not know yet. All of them if a file above
/// them does that says how they are built.
pub fn packages(base: &str) -> Result<Vec<&'static str>> {
    Ok(packages_of(&since(base)?))
}

/// Files, from the root of the workspace.
pub type Files = BTreeSet<PathBuf>;

/// The files that are not as they are in the revision, with those that git does not know yet.
pub fn since(base: &str) -> Result<Files> {
    since_in(&paths::workspace(), base)
}

fn since_in(root: &Path, base: &str) -> Result<Files> {
    let git = |args: &[&str]| shell::read(shell::command("git").current_dir(root).args(args));
    let differ = git(&["diff", "--name-only", "--no-renames", "--relative", "-z", "--end-of-options", base, "--"])?;
    let unknown = git(&["ls-files", "--others", "--exclude-standard", "-z"])?;
    let names = differ.split('\0').chain(unknown.split('\0')).filter(|name| !name.is_empty());
    Ok(names.map(PathBuf::from).collect())
}

fn packages_of(files: &Files) -> Vec<&'static str> {
    let is_for_all =
        |file: &PathBuf| ["Cargo.toml", "Cargo.lock"].map(Path::new).contains(&&**file) || file.starts_with(".cargo");
    let has = |package: &&str| files.iter().any(|file| file.starts_with(package));
    if files.iter().any(is_for_all) { PACKAGES.to_vec() } else { PACKAGES.into_iter().filter(has).collect() }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn of(files: &[&str]) -> Vec<&'static str> {
        packages_of(&files.iter().map(PathBuf::from).collect())
    }

    #[test]
    fn a_change_is_what_differs_from_the_revision_committed_or_not() {
        let root = std::env::temp_dir().join(format!("xtask-changes-{}", std::process::id()));
        fs::create_dir_all(root.join("src")).unwrap();
        let git = |args: &[&str]| {
            let who = ["-c", "user.name=a", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false"];
            shell::read(shell::command("git").current_dir(&root).args(who).args(args)).unwrap();
        };
        let write = |name: &str, text: &str| fs::write(root.join(name), text).unwrap();
        let names = |base| since_in(&root, base).unwrap().into_iter().collect::<Vec<_>>();
        git(&["init", "--quiet"]);
        ["src/a", "src/b", "src/c"].iter().for_each(|name| write(name, "1"));
        git(&["add", "."]);
        git(&["commit", "--quiet", "-m", "one"]);
        assert_eq!(names("HEAD"), [""; 0].map(PathBuf::from));
        write("src/a", "2");
        git(&["commit", "--quiet", "-a", "-m", "two"]);
        write("src/b", "2");
        write("src/new", "1");
        assert_eq!(names("HEAD"), ["src/b", "src/new"].map(PathBuf::from));
        assert_eq!(names("HEAD~1"), ["src/a", "src/b", "src/new"].map(PathBuf::from));
        git(&["mv", "src/c", "src/d"]);
        assert_eq!(names("HEAD"), ["src/b", "src/c", "src/d", "src/new"].map(PathBuf::from));
        assert!(since_in(&root, "no-such-revision").is_err());
        fs::remove_dir_all(&root).unwrap();
    }

    #[test]
    fn a_file_belongs_to_the_package_whose_folder_it_is_in() {
        assert_eq!(of(&["xtask/src/main.rs", "README.md", "knock-common/src/gate.rs"]), ["knock-common", "xtask"]);
        assert_eq!(of(&["README.md", "docs/tests"]), [""; 0]);
    }

    #[test]
    fn what_says_how_all_are_built_is_of_all() {
        assert_eq!(of(&["Cargo.lock"]), PACKAGES);
    }
}
