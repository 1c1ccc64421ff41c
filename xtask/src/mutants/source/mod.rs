//! The sources that bugs are planted in, and the places of the bugs in them. Neither a move nor another name is to
//! take a bug its place: see [`Sources::places`].

mod nearest;
mod places;
#[cfg(test)]
mod tests;
mod texts;

use std::ops::Range;
use std::path::{Path, PathBuf};

use anyhow::Result;

pub use self::places::{Site, planted};
pub use crate::rust::Code;
use crate::rust::{Item, items};
use crate::tidy;

/// The crates that have bugs.
const CRATES: [&str; 2] = ["knock-common", "knock-ebpf"];

/// A file.
#[derive(Clone, Debug)]
pub struct File {
    /// Its name, from the root of the workspace.
    pub name: PathBuf,
    /// What it says.
    pub code: Code,
    items: Vec<Item>,
    tests: Vec<Range<usize>>,
}

impl File {
    /// A file with this text.
    pub fn new(name: impl Into<PathBuf>, text: impl Into<String>) -> Self {
        let code = Code::new(text);
        let (items, tests) = items(&code);
        Self { name: name.into(), code, items, tests }
    }

    /// The innermost item that holds all of these tokens.
    fn item_around(&self, tokens: &Range<usize>) -> Option<&Item> {
        let holds = |item: &&Item| item.tokens.start <= tokens.start && tokens.end <= item.tokens.end;
        self.items.iter().rev().find(holds)
    }

    /// Where the tokens stand, for a reader.
    fn shown(&self, tokens: &Range<usize>) -> String {
        let item = self.item_around(tokens).map_or("no item", |item| &item.path);
        format!("{}:{} in {item}", self.name.display(), self.code.line(tokens.start))
    }
}

/// All files.
#[derive(Clone, Debug)]
pub struct Sources {
    files: Vec<File>,
}

impl Sources {
    /// Those of a workspace, or of a copy of it.
    pub fn read(root: &Path) -> Result<Self> {
        let mut files = Vec::new();
        for name in CRATES {
            let sources = tidy::rust_below(root, &root.join(name).join("src"))?;
            files.extend(sources.into_iter().map(|(name, text)| File::new(&name, text)));
        }
        Ok(Self { files })
    }

    /// The files one by one.
    #[cfg(test)]
    pub fn files(&self) -> &[File] {
        &self.files
    }
}

#[cfg(test)]
impl FromIterator<File> for Sources {
    fn from_iter<T: IntoIterator<Item = File>>(files: T) -> Self {
        Self { files: files.into_iter().collect() }
    }
}
