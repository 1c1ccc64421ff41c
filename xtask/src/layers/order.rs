//! The file of the layers: which part of a crate stands above which.

use std::fmt::Write as _;
use std::path::Path;

use anyhow::{Context as _, Result, ensure};

/// Parts of one crate that stand on one level.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Layer {
    /// The crate's folder.
    krate: String,
    /// Modules, as paths below `src/`.
    parts: Vec<String>,
    /// What they are.
    what: String,
    /// The groups of tests that try them.
    tests: Vec<String>,
}

/// All layers, the lowest first.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Order {
    layers: Vec<Layer>,
}

/// How the tests of the layer above them begin.
const TRIED_BY: &str = "    by ";

impl Order {
    /// Reads the file: a crate's folder on a line of its own, then its layers, each an indented line of `parts: what`.
    /// Behind a layer, indented more, stand `by` and the groups of tests that try it. `#` begins a remark.
    pub fn parse(text: &str) -> Result<Self> {
        let mut layers = Vec::new();
        let mut krate = "";
        for (line, number) in text.lines().zip(1..).filter(|(line, _)| !line.is_empty() && !line.starts_with('#')) {
            if let Some(tests) = line.strip_prefix(TRIED_BY) {
                let layer: Option<&mut Layer> = layers.last_mut().filter(|layer: &&mut Layer| layer.krate == krate);
                let layer = layer.with_context(|| format!("line {number}: no layer before it"))?;
                layer.tests.extend(tests.split_whitespace().map(str::to_owned));
                continue;
            }
            if !line.starts_with(' ') {
                krate = line;
                continue;
            }
            let (parts, what) = line.split_once(": ").with_context(|| format!("line {number}: no `parts: what`"))?;
            let parts: Vec<String> = parts.split_whitespace().map(str::to_owned).collect();
            ensure!(!krate.is_empty() && !parts.is_empty(), "line {number}: no crate before it, or no part in it");
            layers.push(Layer { krate: krate.to_owned(), parts, what: what.trim().to_owned(), tests: Vec::new() });
        }
        Ok(Self { layers })
    }

    /// The number of the layer of a file, counted from below: that with the longest part of its name.
    pub fn layer_of(&self, file: &Path) -> Option<usize> {
        let (krate, module) = file.to_str()?.split_once("/src/")?;
        let module = module.strip_suffix(".rs")?.trim_end_matches("/mod");
        let holds = |part: &str| module.strip_prefix(part).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        let of_crate = self.layers.iter().enumerate().filter(|(_, layer)| layer.krate == krate);
        let parts = of_crate.flat_map(|(index, layer)| layer.parts.iter().map(move |part| (part.len(), part, index)));
        parts.filter(|(_, part, _)| holds(part)).max().map(|(_, _, index)| index)
    }

    /// The groups of tests that try the layer of a file; `None` if it is in no layer.
    pub fn tests_of(&self, file: &Path) -> Option<&[String]> {
        self.layer_of(file).map(|layer| &*self.layers[layer].tests)
    }

    /// All groups of tests that are named.
    pub fn tests(&self) -> impl Iterator<Item = &str> {
        self.layers.iter().flat_map(|layer| layer.tests.iter().map(String::as_str))
    }

    /// Parts of which a crate has no file.
    pub fn without_files(&self, files: &[impl AsRef<Path>]) -> Vec<String> {
        let mut without = Vec::new();
        for Layer { krate, parts, .. } in &self.layers {
            for part in parts {
                let base = format!("{krate}/src/{part}");
                let is_of = |file: &Path| {
                    let rest = file.to_str().and_then(|name| name.strip_prefix(&base));
                    rest.is_some_and(|rest| rest == ".rs" || rest.starts_with('/'))
                };
                if !files.iter().any(|file| is_of(file.as_ref())) {
                    without.push(base);
                }
            }
        }
        without
    }

    /// What a layer is called, for a reader.
    pub fn name(&self, layer: usize) -> String {
        self.layers[layer].parts.join(", ")
    }

    /// The table of ARCHITECTURE.md.
    pub fn table(&self) -> String {
        let mut text = String::from("| crate | layer, the lowest first | what it is |\n|---|---|---|\n");
        let mut last = "";
        for Layer { krate, parts, what, .. } in &self.layers {
            let shown = if krate == last { String::new() } else { format!("`{krate}`") };
            let parts = parts.iter().map(|part| format!("`{part}`")).collect::<Vec<_>>().join(", ");
            let _ = writeln!(text, "| {shown} | {parts} | {what} |");
            last = krate;
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "# A remark.\none\n  base c/low: the ground\n  c: above it\n\ntwo\n  main: the top\n";

    #[test]
    fn a_file_is_in_the_layer_that_names_most_of_it() {
        let order = Order::parse(TEXT).unwrap();
        let layer = |file: &str| order.layer_of(Path::new(file));
        assert_eq!(layer("one/src/base.rs"), Some(0));
        assert_eq!(layer("one/src/c/low.rs"), Some(0));
        assert_eq!((layer("one/src/c/mod.rs"), layer("one/src/c/high/x.rs")), (Some(1), Some(1)));
        assert_eq!((layer("two/src/main.rs"), layer("two/src/base.rs"), layer("one/src/cc.rs")), (Some(2), None, None));
    }

    #[test]
    fn a_part_without_a_file_is_named() {
        let order = Order::parse(TEXT).unwrap();
        let files = ["one/src/base.rs", "one/src/c/low/x.rs", "one/src/c/mod.rs"];
        assert_eq!(order.without_files(&files), ["two/src/main"]);
    }

    #[test]
    fn a_layer_is_tried_by_what_stands_below_it() {
        let order = Order::parse("one\n  low: the ground\n    by a::b c\n    by d\n  high: above\n").unwrap();
        let tests = |file: &str| order.tests_of(Path::new(file)).map(<[String]>::to_vec);
        assert_eq!(tests("one/src/low.rs").unwrap(), ["a::b", "c", "d"]);
        assert_eq!((tests("one/src/high.rs"), tests("one/src/other.rs")), (Some(Vec::new()), None));
        assert_eq!(order.tests().collect::<Vec<_>>(), ["a::b", "c", "d"]);
    }

    #[test]
    fn a_line_that_is_none_is_refused() {
        for text in ["  a: b", "one\n  a b", "one\n  : b", "one\n    by a", "one\n  a: b\ntwo\n    by c"] {
            assert!(Order::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn the_table_names_each_crate_once() {
        let table = Order::parse(TEXT).unwrap().table();
        assert!(
            table.ends_with(
                "| `one` | `base`, `c/low` | the ground |\n|  | `c` | above it |\n| `two` | `main` | the top |\n"
            ),
            "{table}"
        );
    }
}
