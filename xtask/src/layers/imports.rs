//! What a file imports: the paths of its `use` lines, and those that it writes out in its code.

use std::ops::Range;

use crate::rust::{Code, is_name};

/// Where a path may begin that leads into this workspace.
const BEGINNINGS: [&str; 3] = ["crate", "self", "super"];

/// One path that a file names.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Import {
    /// Its segments: `crate`, `a`, `B`. A glob ends in `*`.
    pub path: Vec<String>,
    /// What it is called in this file; nothing if it is no `use` line.
    pub name: Option<String>,
    /// True if it is a name for others, too: `pub use`.
    pub is_for_others: bool,
    /// The line, from 1.
    pub line: usize,
}

/// All of a file but those in its tests, which are at these tokens. `crates` are the names of others of the workspace.
pub fn imports(code: &Code, tests: &[Range<usize>], crates: &[&str]) -> Vec<Import> {
    let mut crates = crates.to_vec();
    // A file may name its parts without more.
    crates.extend(
        (0..code.len()).filter(|&at| code.word(at) == "mod" && code.word(at + 2) == ";").map(|at| code.word(at + 1)),
    );
    let crates = &crates[..];
    let mut found = Vec::new();
    let mut index = 0;
    while index < code.len() {
        if let Some(test) = tests.iter().find(|test| test.contains(&index)) {
            index = test.end;
        } else if code.reads(index, &["#", "[", "cfg", "(", "test", ")", "]"]) && code.word(index + 7) == "use" {
            index = end_of_use(code, index + 7);
        } else if code.word(index) == "use" && code.word(index + 1) != "<" {
            let is_for_others = index > 0 && ["pub", ")"].contains(&code.word(index - 1));
            let mut reader = Reader { code, at: index + 1, is_for_others, line: code.line(index), found: &mut found };
            reader.tree(&[]);
            index = end_of_use(code, index);
        } else if begins(code, index, crates) {
            let (path, end) = path(code, index);
            found.push(Import { path, name: None, is_for_others: false, line: code.line(index) });
            index = end;
        } else {
            index += 1;
        }
    }
    found
}

fn end_of_use(code: &Code, from: usize) -> usize {
    (from..code.len()).find(|at| code.word(*at) == ";").map_or(code.len(), |at| at + 1)
}

/// True if a path into the workspace begins there, and is no part of a longer one.
fn begins(code: &Code, index: usize, crates: &[&str]) -> bool {
    let word = code.word(index);
    let is_first = index == 0 || !["::", "."].contains(&code.word(index - 1));
    is_first && code.word(index + 1) == "::" && (BEGINNINGS.contains(&word) || crates.contains(&word))
}

/// The names from there on, with `::` between them, and the token behind them.
fn path(code: &Code, from: usize) -> (Vec<String>, usize) {
    let mut path = vec![code.word(from).to_owned()];
    let mut at = from + 1;
    while code.word(at) == "::" && (is_name(code.word(at + 1)) || BEGINNINGS.contains(&code.word(at + 1))) {
        path.push(code.word(at + 1).to_owned());
        at += 2;
    }
    (path, at)
}

/// Reads the tree of one `use` line.
struct Reader<'a> {
    code: &'a Code,
    at: usize,
    is_for_others: bool,
    line: usize,
    found: &'a mut Vec<Import>,
}

impl Reader<'_> {
    /// A branch behind these segments: `a::b`, `a as b`, `a::{...}`, `*`.
    fn tree(&mut self, before: &[String]) {
        let mut path = before.to_vec();
        // `::a` is of others, and in a macro `$crate` is ours.
        if ["::", "$"].contains(&self.code.word(self.at)) {
            self.at += 1;
        }
        loop {
            match self.code.word(self.at) {
                "{" => return self.group(&path),
                // A group that names itself.
                "self" if !path.is_empty() => {}
                word => path.push(word.to_owned()),
            }
            self.at += 1;
            if self.code.word(self.at) != "::" {
                break;
            }
            self.at += 1;
        }
        let mut name = path.last().cloned();
        if self.code.word(self.at) == "as" {
            name = Some(self.code.word(self.at + 1).to_owned());
            self.at += 2;
        }
        self.found.push(Import { path, name, is_for_others: self.is_for_others, line: self.line });
    }

    fn group(&mut self, before: &[String]) {
        self.at += 1;
        while self.at < self.code.len() {
            match self.code.word(self.at) {
                "}" => {
                    self.at += 1;
                    return;
                }
                "," => self.at += 1,
                _ => self.tree(before),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rust::items;

    fn all(text: &str, crates: &[&str]) -> Vec<Import> {
        let code = Code::new(text);
        imports(&code, &items(&code).1, crates)
    }

    fn read(text: &str) -> Vec<String> {
        let shown = |import: Import| {
            let path = import.path.join("::");
            import.name.map_or_else(|| format!("({path})"), |name| format!("{path} as {name}"))
        };
        all(text, &["knock_common"]).into_iter().map(shown).collect()
    }

    #[test]
    fn a_use_line_is_as_many_paths_as_it_has_leaves() {
        let text = "use crate::a::{self, B, c::{D as E, F}, *};\npub(crate) use super::g;\nuse ::std::io;";
        assert_eq!(
            read(text),
            [
                "crate::a as a",
                "crate::a::B as B",
                "crate::a::c::D as E",
                "crate::a::c::F as F",
                "crate::a::* as *",
                "super::g as g",
                "std::io as io"
            ]
        );
    }

    #[test]
    fn a_path_in_the_code_counts_as_well() {
        let text = "fn a() -> crate::b::C { super::super::d(knock_common::e::F, other::g, x::crate_) }";
        assert_eq!(read(text), ["(crate::b::C)", "(super::super::d)", "(knock_common::e::F)"]);
    }

    #[test]
    fn so_does_a_path_into_a_part_of_the_file() {
        assert_eq!(read("mod a;\npub mod b;\nfn c() { a::d(); e::f(); x.b::<u8>() }"), ["(a::d)"]);
    }

    #[test]
    fn what_a_type_captures_is_no_import_and_a_macro_names_its_crate() {
        assert_eq!(read("fn a() -> impl B + use<'_> { crate::b::f() }"), ["(crate::b::f)"]);
        assert_eq!(read("macro_rules! m { () => { use $crate::a::b; } }"), ["crate::a::b as b"]);
    }

    #[test]
    fn what_only_tests_import_does_not() {
        let text =
            "#[cfg(test)]\nuse a::b;\nuse c::d;\n#[cfg(test)]\nmod tests { use super::*; fn e() { crate::f() } }";
        assert_eq!(read(text), ["c::d as d"]);
    }

    #[test]
    fn an_import_has_its_line() {
        assert_eq!(all("\n\nuse crate::a;\n", &[])[0].line, 3);
    }
}
