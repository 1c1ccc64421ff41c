//! A copy of the workspace in which bugs are planted, so that the workspace itself never has one.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::source::Place;
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

    /// Plants a bug; with what is returned it is taken out again.
    pub fn plant(&self, place: &Place) -> Result<Planted> {
        let file = self.root.join(&place.file);
        let text = fs::read_to_string(&file).with_context(|| place.file.display().to_string())?;
        fs::write(&file, place.planted(&text)).with_context(|| place.file.display().to_string())?;
        Ok(Planted { file, text })
    }
}

/// A file with a bug in it, and its text without.
#[must_use]
pub struct Planted {
    file: PathBuf,
    text: String,
}

impl Planted {
    /// Takes the bug out.
    pub fn restore(self) -> Result<()> {
        fs::write(&self.file, self.text).with_context(|| self.file.display().to_string())
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
