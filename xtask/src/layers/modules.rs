//! The files of a crate as modules, and the file in which a path ends.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::imports::{Import, imports};
use crate::rust::{Code, items};

/// How many names may stand for one another. More is a circle of names.
const NAMES: usize = 8;

/// A file and what it imports.
#[derive(Clone, Debug)]
pub struct File {
    /// From the root of the workspace.
    pub name: PathBuf,
    /// The name of its crate, as it is imported.
    krate: String,
    /// Its modules, from the crate's root on.
    module: Vec<String>,
    /// All its imports but those of tests.
    imports: Vec<Import>,
    /// Its macros, which others find in the crate's root.
    macros: Vec<String>,
}

impl File {
    /// `name` is that of a Rust file from the root of the workspace, which has `/src/` in it.
    pub fn new(name: impl Into<PathBuf>, text: &str, crates: &[&str]) -> Option<Self> {
        let name = name.into();
        let path = name.to_str()?;
        let (krate, rest) = path.split_once("/src/")?;
        let rest = rest.strip_suffix(".rs")?;
        let mut module: Vec<String> = rest.split('/').map(str::to_owned).collect();
        if matches!(module.last().map(String::as_str), Some("mod" | "lib" | "main")) {
            module.pop();
        }
        let code = Code::new(text);
        let (items, tests) = items(&code);
        let macros = items.iter().filter_map(|item| item.path.strip_suffix('!')).map(str::to_owned).collect();
        Some(Self { krate: krate.replace('-', "_"), module, imports: imports(&code, &tests, crates), macros, name })
    }
}

/// An import of one file by another.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Edge {
    /// Who imports.
    pub from: PathBuf,
    /// What is imported.
    pub to: PathBuf,
    /// The line of the import, from 1.
    pub line: usize,
    /// What is imported, as it is written.
    pub path: String,
}

/// All files.
pub struct Modules {
    files: Vec<File>,
    by_module: BTreeMap<(String, Vec<String>), usize>,
}

impl Modules {
    /// Of these files.
    pub fn new(files: Vec<File>) -> Self {
        let mut by_module = BTreeMap::new();
        for (index, file) in files.iter().enumerate() {
            let key = (file.krate.clone(), file.module.clone());
            // A crate that is a library and a program: the library is imported.
            if !by_module.contains_key(&key) || !file.name.ends_with("main.rs") {
                by_module.insert(key, index);
            }
        }
        Self { files, by_module }
    }

    /// Who imports whom, each pair once.
    pub fn edges(&self) -> Vec<Edge> {
        let mut edges: BTreeMap<(&Path, &Path), Edge> = BTreeMap::new();
        for (index, file) in self.files.iter().enumerate() {
            for import in &file.imports {
                let Some(to) = self.target(index, &import.path, NAMES) else { continue };
                // What a module shows of its own parts it need not use itself.
                let shows = import.is_for_others && self.files[to].module.starts_with(&file.module);
                if to != index && !shows {
                    let edge = Edge {
                        from: file.name.clone(),
                        to: self.files[to].name.clone(),
                        line: import.line,
                        path: import.path.join("::"),
                    };
                    edges.entry((&file.name, &self.files[to].name)).or_insert(edge);
                }
            }
        }
        edges.into_values().collect()
    }

    /// The file that has what a path names; nothing if it is none of these.
    fn target(&self, file: usize, path: &[String], names: usize) -> Option<usize> {
        let (krate, path) = self.absolute(file, path)?;
        // The longest part that is a module.
        let (module, rest) = (0..=path.len()).rev().find_map(|len| {
            let key = (krate.clone(), path[..len].to_vec());
            self.by_module.get(&key).map(|index| (*index, &path[len..]))
        })?;
        let Some(name) = rest.first() else { return Some(module) };
        if self.files[module].module.is_empty()
            && let Some(of) = self.files.iter().position(|of| of.krate == krate && of.macros.contains(name))
        {
            return Some(of);
        }
        let again = self.files[module].imports.iter().find(|import| import.name.as_ref() == Some(name));
        match again {
            Some(import) if names > 0 && module != file => {
                let further = [&import.path[..], &rest[1..]].concat();
                self.target(module, &further, names - 1).or(Some(module))
            }
            _ => Some(module),
        }
    }

    /// The crate and the path from its root; nothing for a crate of others.
    fn absolute(&self, file: usize, path: &[String]) -> Option<(String, Vec<String>)> {
        let File { krate, module, .. } = &self.files[file];
        let mut module = module.clone();
        let mut rest = path;
        match path.first()?.as_str() {
            "crate" => module.clear(),
            "self" | "super" => {}
            first => {
                let child = [&module[..], &[first.to_owned()]].concat();
                if !self.by_module.contains_key(&(krate.clone(), child)) {
                    let root = (first.to_owned(), Vec::new());
                    return self.by_module.contains_key(&root).then(|| (first.to_owned(), path[1..].to_vec()));
                }
            }
        }
        if matches!(rest[0].as_str(), "crate" | "self") {
            rest = &rest[1..];
        }
        while rest.first().is_some_and(|first| first == "super") {
            module.pop();
            rest = &rest[1..];
        }
        module.extend(rest.iter().cloned());
        Some((krate.clone(), module))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edges(files: &[(&str, &str)]) -> Vec<String> {
        let files = files.iter().filter_map(|(name, text)| File::new(*name, text, &["other"])).collect();
        let shown = |edge: Edge| format!("{}:{} -> {}", edge.from.display(), edge.line, edge.to.display());
        Modules::new(files).edges().into_iter().map(shown).collect()
    }

    #[test]
    fn a_path_ends_in_the_file_that_has_the_item() {
        let files = [
            ("one/src/lib.rs", "pub mod a;\npub mod b;"),
            ("one/src/a/mod.rs", "mod c;\npub use c::C;"),
            ("one/src/a/c.rs", "use super::d::D;"),
            ("one/src/a/d.rs", ""),
            ("one/src/b.rs", "use crate::a::C;\nuse std::fs;"),
            ("two/src/main.rs", "use one::a::{C, E};"),
        ];
        // Through a name of another file to the file itself. That `a` shows `C` is no import.
        assert_eq!(
            edges(&files),
            [
                "one/src/a/c.rs:1 -> one/src/a/d.rs",
                "one/src/b.rs:1 -> one/src/a/c.rs",
                "two/src/main.rs:1 -> one/src/a/c.rs",
                "two/src/main.rs:1 -> one/src/a/mod.rs",
            ]
        );
    }

    #[test]
    fn a_macro_is_of_the_file_that_defines_it() {
        let files = [
            ("one/src/lib.rs", ""),
            ("one/src/a.rs", "#[macro_export]\nmacro_rules! m { () => {} }"),
            ("one/src/b.rs", "use crate::m;"),
        ];
        assert_eq!(edges(&files), ["one/src/b.rs:1 -> one/src/a.rs"]);
    }

    #[test]
    fn names_that_stand_for_each_other_come_to_an_end() {
        let files = [("one/src/a.rs", "pub use super::b::X;"), ("one/src/b.rs", "pub use super::a::X;")];
        assert_eq!(edges(&files), ["one/src/a.rs:1 -> one/src/b.rs", "one/src/b.rs:1 -> one/src/a.rs"]);
    }
}
