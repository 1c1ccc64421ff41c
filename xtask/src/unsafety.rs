//! Where there is `unsafe`: every file of Rust that has some stands in SECURITY.md, with how often and what
//! for, and no other file has any.

use std::collections::BTreeMap;
use std::fs;

use anyhow::{Context, Result, ensure};

use crate::{paths, tidy};

/// The file with the list, and the head above it.
const LIST: &str = "SECURITY.md";
const HEAD: &str = "## Unsafe code";

/// Compares the list with the code.
pub fn check() -> Result<()> {
    let root = paths::workspace();
    let list = fs::read_to_string(root.join(LIST)).with_context(|| format!("cannot read {LIST}"))?;
    let mut found = BTreeMap::new();
    for file in tidy::files()? {
        let name = file.strip_prefix(&root).unwrap_or(&file).display().to_string();
        if name.ends_with(".rs") {
            let text = fs::read_to_string(&file).with_context(|| format!("cannot read {name}"))?;
            found.insert(name, count(&text));
        }
    }
    found.retain(|_, times| *times > 0);
    let faults = compare(&listed(&list), &found);
    ensure!(faults.is_empty(), "{}", faults.join("\n"));
    println!("[lint] unsafe: {} times in {} files, all of them listed", found.values().sum::<usize>(), found.len());
    Ok(())
}

/// How often a text of Rust has the word as code.
fn count(text: &str) -> usize {
    text.lines().map(|line| tidy::unsafe_words(line).count()).sum()
}

/// The files of the list, with their numbers; nothing if there is no such list.
fn listed(text: &str) -> BTreeMap<String, usize> {
    let section = text.split_once(HEAD).map_or("", |(_, rest)| rest);
    let section = section.split("\n## ").next().unwrap_or_default();
    let row = |line: &str| {
        let mut cells = line.strip_prefix('|')?.split('|').map(str::trim);
        let file = cells.next()?.strip_prefix('`')?.strip_suffix('`')?;
        Some((file.to_owned(), cells.next()?.parse().ok()?))
    };
    section.lines().filter_map(row).collect()
}

/// What is wrong with the list.
fn compare(listed: &BTreeMap<String, usize>, found: &BTreeMap<String, usize>) -> Vec<String> {
    let mut faults = Vec::new();
    for (file, times) in found {
        match listed.get(file) {
            Some(said) if said == times => {}
            Some(said) => faults.push(format!("{LIST}: {file}: has {times} times unsafe, not {said}")),
            None => faults.push(format!("{LIST}: add, under \"{HEAD}\": | `{file}` | {times} | what for |")),
        }
    }
    let gone = listed.keys().filter(|file| !found.contains_key(*file));
    faults.extend(gone.map(|file| format!("{LIST}: {file}: has no unsafe: take its line out")));
    faults
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(rows: &[(&str, usize)]) -> BTreeMap<String, usize> {
        rows.iter().map(|(file, times)| ((*file).to_owned(), *times)).collect()
    }

    #[test]
    fn only_code_counts() {
        assert_eq!(count("// unsafe\nlet a = unsafe { b() }; // unsafe\n#[unsafe(no_mangle)]\n"), 2);
        assert_eq!(count("unsafe impl A for B {}\nunsafe fn c() {}\nfn not_unsafe() {}\nlet t = \"unsafe {\";\n"), 2);
    }

    #[test]
    fn the_list_is_read_up_to_the_next_head() {
        let text = "| `x.rs` | 9 | before |\n## Unsafe code\n\nWords.\n\n| file | times | for |\n|---|---|---|\n\
                    | `a.rs` | 2 | this |\n| `b.rs` | 1 | that |\n\n## Other\n| `c.rs` | 3 | no |\n";
        assert_eq!(listed(text), map(&[("a.rs", 2), ("b.rs", 1)]));
    }

    #[test]
    fn whatever_differs_is_a_fault() {
        let list = map(&[("a.rs", 2), ("b.rs", 1)]);
        assert!(compare(&list, &list).is_empty());
        let faults = compare(&list, &map(&[("a.rs", 3), ("c.rs", 1)]));
        assert_eq!(faults.len(), 3, "{faults:?}");
        for (fault, words) in faults.iter().zip(["a.rs: has 3 times", "| `c.rs` | 1 |", "b.rs: has no unsafe"]) {
            assert!(fault.contains(words), "{fault}");
        }
    }
}
