//! SECURITY.md names the trials that hold its promises: they are there.

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
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = Vec::new();
    for folder in ["tests", "knock-common/src", "knock-user/src"] {
        walk(&root.join("..").join(folder), &mut found);
    }
    found
}

/// `a::b::{c, d}` -> `a::b::c`, `a::b::d`.
fn expanded(name: &str) -> Vec<String> {
    let Some((front, rest)) = name.split_once('{') else { return vec![name.to_owned()] };
    rest.trim_end_matches('}').split(',').map(|last| format!("{front}{}", last.trim())).collect()
}

/// True if the file belongs to the module: it is called so, or lies in a folder of that name.
fn is_of(path: &Path, module: &str) -> bool {
    path.with_extension("").iter().any(|part| part == module)
}

/// True if there is such a test, or such a module of tests.
fn is_there(name: &str, sources: &[(PathBuf, String)]) -> bool {
    let name = name.trim_end_matches("::*");
    let (module, last) = name.rsplit_once("::").unwrap_or((name, name));
    let module = module.rsplit("::").next().unwrap_or(module);
    let declared = format!("fn {last}(");
    sources.iter().any(|(path, text)| is_of(path, last) || is_of(path, module) && text.contains(&declared))
}

#[test]
fn every_promise_names_trials_that_are_there() {
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
    assert!(missing.is_empty(), "no such trials: {missing:#?}");
}
