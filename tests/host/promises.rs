//! SECURITY.md names the tests that hold its promises: they are there.

use std::fs;
use std::path::{Path, PathBuf};

/// Every source file of the workspace, with its text.
fn sources() -> Vec<(PathBuf, String)> {
    fn walk(folder: &Path, found: &mut Vec<(PathBuf, String)>) {
        for entry in fs::read_dir(folder).expect("a folder can be listed") {
            let path = entry.expect("an entry can be read").path();
            if path.is_dir() {
                walk(&path, found);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(&path).expect("a source is text");
                found.push((path, text));
            }
        }
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("a workspace");
    let mut found = Vec::new();
    for folder in ["tests", "knock-common/src", "knock-user/src", "fuzz/fuzz_targets"] {
        walk(&root.join(folder), &mut found);
    }
    let below = |path: PathBuf| path.strip_prefix(root).map(Path::to_path_buf).expect("a file of the workspace");
    found.into_iter().map(|(path, text)| (below(path), text)).collect()
}

/// `a::b::{c, d}` -> `a::b::c`, `a::b::d`.
fn expanded(name: &str) -> Vec<String> {
    let Some((front, rest)) = name.split_once('{') else { return vec![name.to_owned()] };
    rest.trim_end_matches('}').split(',').map(|last| format!("{front}{}", last.trim())).collect()
}

/// True if the file belongs to the module: it is called so, or lies in folders of these names.
fn is_of(path: &Path, module: &str) -> bool {
    let path = path.with_extension("");
    let mut parts = path.iter();
    module.split("::").all(|name| parts.any(|part| part == name))
}

/// True if the file has the test, and runs it: it is marked as one, or named where tests are listed.
fn runs(text: &str, test: &str) -> bool {
    let marked = text.split("#[test]").skip(1).any(|behind| {
        let declared = behind.lines().map(str::trim).find(|line| line.starts_with("fn "));
        declared.is_some_and(|line| line.starts_with(&format!("fn {test}(")))
    });
    marked
        || text.contains(&format!("fn {test}(")) && text.contains(&format!(" {test},"))
        || text.contains(&format!("; {test}]"))
}

/// True if there is such a test, or such a module of tests.
fn is_there(name: &str, sources: &[(PathBuf, String)]) -> bool {
    let name = name.trim_end_matches("::*");
    // Tests as Rust has them, our own, a fuzz target, or a chapter of the story, of which each is a test.
    let is_module = |path: &Path, text: &str| {
        let marks = ["#[test]", "Test", "fuzz_target!"];
        marks.iter().any(|mark| text.contains(mark)) || path.starts_with("tests/src/story")
    };
    sources.iter().any(|(path, text)| {
        let is_test = name.rsplit_once("::").is_some_and(|(module, test)| is_of(path, module) && runs(text, test));
        is_test || is_of(path, name) && is_module(path, text)
    })
}

#[test]
fn a_test_that_nobody_runs_holds_no_promise() {
    let sources = [(
        PathBuf::from("tests/it/a.rs"),
        "tests![\"a\"; listed, last]\nfn listed() {}\nfn left_out() {} Test".to_owned(),
    )];
    assert!(is_there("a::listed", &sources) && is_there("a", &sources));
    assert!(!is_there("a::left_out", &sources) && !is_there("b::listed", &sources) && !is_there("b", &sources));
}

#[test]
fn every_promise_names_tests_that_are_there() {
    let text = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../SECURITY.md")).expect("SECURITY.md");
    let sources = sources();
    let (_, promised) = text.split_once("\n## Promises").expect("a head");
    let promised = promised.split("\n## ").next().unwrap_or_default();
    let promises: Vec<&str> =
        promised.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| promise")).collect();
    assert!(promises.len() > 20, "{} promises", promises.len());
    let mut missing = Vec::new();
    for line in promises {
        let held_by = line.trim_end_matches(" |").rsplit(" | ").next().unwrap_or_default();
        let names: Vec<_> = held_by.split('`').skip(1).step_by(2).flat_map(expanded).collect();
        assert!(!names.is_empty() || held_by.starts_with("the same"), "nothing holds it: {line}");
        let commands = |name: &String| name.contains(' ') || name.contains('/');
        missing.extend(names.into_iter().filter(|name| !commands(name) && !is_there(name, &sources)));
    }
    assert!(missing.is_empty(), "no such tests: {missing:#?}");
}
