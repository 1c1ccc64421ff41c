//! What differs from a commit: files, and the packages that they are of.

use anyhow::Result;

use crate::{paths, shell};

/// All packages, by the folders that they are in.
const PACKAGES: [&str; 5] = ["knock-common", "knock-ebpf", "knock-user", "tests", "xtask"];

/// The packages with a file that differs from a commit, or that git does not know yet. All of them if a file above
/// them does that says how they are built.
pub fn packages(base: &str) -> Result<Vec<&'static str>> {
    Ok(packages_of(&files(base)?))
}

/// The files that differ from a commit, from the root of the workspace.
fn files(base: &str) -> Result<Vec<String>> {
    let git = |args: &[&str]| shell::read(shell::command("git").args(args).current_dir(paths::workspace()));
    let mut names = git(&["diff", "--name-only", base])?;
    names += &git(&["ls-files", "--others", "--exclude-standard"])?;
    Ok(names.lines().map(str::to_owned).collect())
}

fn packages_of(files: &[String]) -> Vec<&'static str> {
    let is_for_all = |file: &String| file == "Cargo.toml" || file == "Cargo.lock" || file.starts_with(".cargo/");
    let has = |package: &&str| files.iter().any(|file| file.split('/').next() == Some(*package) && file.contains('/'));
    if files.iter().any(is_for_all) { PACKAGES.to_vec() } else { PACKAGES.into_iter().filter(has).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(files: &[&str]) -> Vec<&'static str> {
        packages_of(&files.iter().map(|&file| file.to_owned()).collect::<Vec<_>>())
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
