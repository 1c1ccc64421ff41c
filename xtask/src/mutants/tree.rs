//! A copy of the workspace in which bugs are planted, so that the workspace itself never has one.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::source::{self, Site};
use crate::{paths, tidy};

/// Programs of the lab, which cargo would build with every test binary, and no test of a suite runs.
const LEFT_OUT: &str = "tests/src/bin";

/// The copy.
pub struct Tree {
    root: PathBuf,
}

impl Tree {
    /// Copies the workspace over what is left of the last time. A file that is the same keeps its time, so that cargo
    /// builds no more than what has changed.
    pub fn copy() -> Result<Self> {
        let (from, root) = (paths::workspace(), paths::mutants());
        fs::create_dir_all(&root).with_context(|| root.display().to_string())?;
        let mut names = relative(&from, &tidy::files()?);
        names.retain(|name| !name.starts_with(LEFT_OUT));
        for gone in relative(&root, &tidy::files_below(&root)?).iter().filter(|name| !names.contains(name)) {
            fs::remove_file(root.join(gone)).with_context(|| gone.display().to_string())?;
        }
        for name in &names {
            copy_if_other(&from.join(name), &root.join(name)).with_context(|| name.display().to_string())?;
        }
        Ok(Self { root })
    }

    /// Where it is.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Plants bugs, several in one file if need be; with what is returned they are taken out again.
    pub fn plant(&self, places: &[&Site]) -> Result<Planted> {
        let mut by_file: BTreeMap<&Path, Vec<&Site>> = BTreeMap::new();
        for place in places {
            by_file.entry(&place.file).or_default().push(place);
        }
        let mut planted = Planted(Vec::new());
        for (name, places) in by_file {
            let file = self.root.join(name);
            let text = fs::read_to_string(&file).with_context(|| name.display().to_string())?;
            fs::write(&file, source::planted(&text, &places)?).with_context(|| name.display().to_string())?;
            planted.0.push((file, text));
        }
        Ok(planted)
    }
}

/// Files with bugs in them, and their texts without.
#[must_use]
pub struct Planted(Vec<(PathBuf, String)>);

impl Planted {
    /// Takes the bugs out.
    pub fn restore(self) -> Result<()> {
        let mut files = self.0.iter();
        files.try_for_each(|(file, text)| fs::write(file, text).with_context(|| file.display().to_string()))
    }
}

fn relative(root: &Path, files: &[PathBuf]) -> Vec<PathBuf> {
    files.iter().filter_map(|file| file.strip_prefix(root).ok()).map(Path::to_path_buf).collect()
}

fn copy_if_other(from: &Path, to: &Path) -> Result<()> {
    let octets = fs::read(from)?;
    if fs::read(to).ok().as_ref() == Some(&octets) {
        return Ok(());
    }
    if let Some(folder) = to.parent() {
        fs::create_dir_all(folder)?;
    }
    // Written, not copied: with a time of now, by which cargo sees it.
    Ok(fs::write(to, octets)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_bugs_are_planted_and_taken_out_again() {
        let root = std::env::temp_dir().join(format!("xtask-planted-{}", std::process::id()));
        fs::create_dir_all(&root).unwrap();
        let read = || ["a", "b"].map(|name| fs::read_to_string(root.join(name)).unwrap());
        let place = |file: &str, octets, to: &str| {
            let (item, renamed) = Default::default();
            Site { file: file.into(), item, line: 1, octets, to: to.to_owned(), renamed }
        };
        fs::write(root.join("a"), "one two three").unwrap();
        fs::write(root.join("b"), "four").unwrap();
        let tree = Tree { root: root.clone() };
        // In no order, and of other lengths than what they replace.
        let places =
            [place("a", 4..7, "2"), place("b", 0..4, "4444"), place("a", 8..13, "333333"), place("a", 0..3, "")];
        let planted = tree.plant(&places.each_ref()).unwrap();
        assert_eq!(read(), [" 2 333333", "4444"]);
        planted.restore().unwrap();
        assert_eq!(read(), ["one two three", "four"]);
        let twice = [place("a", 0..5, ""), place("a", 4..7, "")];
        assert!(tree.plant(&twice.each_ref()).is_err());
        assert_eq!(read(), ["one two three", "four"]);
        fs::remove_dir_all(&root).unwrap();
    }

    #[test]
    fn a_file_that_is_the_same_keeps_its_time() {
        let folder = std::env::temp_dir().join(format!("xtask-mutants-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let (from, to) = (folder.join("from"), folder.join("below/to"));
        fs::write(&from, "text").unwrap();
        copy_if_other(&from, &to).unwrap();
        let time = fs::metadata(&to).unwrap().modified().unwrap();
        copy_if_other(&from, &to).unwrap();
        assert_eq!(fs::metadata(&to).unwrap().modified().unwrap(), time);
        fs::write(&from, "other").unwrap();
        copy_if_other(&from, &to).unwrap();
        assert_eq!(fs::read_to_string(&to).unwrap(), "other");
        fs::remove_dir_all(&folder).unwrap();
    }
}
