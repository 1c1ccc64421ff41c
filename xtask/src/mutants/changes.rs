//! What differs between a revision and the working tree.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::Result;

use crate::{paths, shell};

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

/// What is said of the choice: the rules, how many of their bugs are planted, and how many of others are not.
pub fn said(base: &str, rules: &BTreeSet<u8>, chosen: usize, left_out: usize) -> String {
    let rules: Vec<_> = rules.iter().map(ToString::to_string).collect();
    let what = match &rules[..] {
        [] => "no rule".to_owned(),
        [rule] => format!("rule {rule}"),
        rules => format!("rules {}", rules.join(", ")),
    };
    format!("[mutants] what differs from {base} touches {what}: {chosen} of the bugs; {left_out} are left out")
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

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
    fn it_is_said_what_is_left_out() {
        let said = |rules: &[u8]| said("HEAD", &rules.iter().copied().collect(), 3, 4);
        assert_eq!(said(&[]), "[mutants] what differs from HEAD touches no rule: 3 of the bugs; 4 are left out");
        assert!(said(&[2]).contains("touches rule 2: 3"));
        assert!(said(&[2, 5]).contains("touches rules 2, 5: 3"));
    }
}
