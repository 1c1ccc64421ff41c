//! House rules that no compiler knows, checked line by line.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::paths;

/// What is not ours to keep tidy; the last two are the fuzzer's.
const SKIPPED: [&str; 4] = [".git", "target", "corpus", "artifacts"];

/// What no file may contain, and why. In two halves, so that this file does not contain it.
const BANNED: [(&str, &str); 5] = [
    (concat!("db", "g!("), "left from debugging"),
    (concat!("TO", "DO"), "open an issue instead"),
    (concat!("FIX", "ME"), "open an issue instead"),
    (concat!("/ro", "ot/"), "a path of one machine"),
    (concat!("/wo", "rk/"), "a path of one machine"),
];

/// How many lines before an `unsafe` its reason may stand.
const NEAR: usize = 8;

/// Checks every text file of the workspace.
pub fn check() -> Result<()> {
    let root = paths::workspace();
    let files = files()?;
    let mut faults = 0;
    for file in &files {
        let bytes = fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
        let Ok(text) = String::from_utf8(bytes) else {
            continue;
        };
        let name = file.strip_prefix(&root).unwrap_or(file).display();
        let is_rust = file.extension().is_some_and(|extension| extension == "rs");
        for (line, fault) in faults_of(&text, is_rust) {
            eprintln!("{name}:{line}: {fault}");
            faults += 1;
        }
    }
    if faults > 0 {
        bail!("{faults} lines against the house rules");
    }
    println!("[lint] {} files are tidy", files.len());
    Ok(())
}

/// All files that are ours.
pub fn files() -> Result<Vec<PathBuf>> {
    files_below(&paths::workspace())
}

/// The same of a copy of the workspace.
pub fn files_below(root: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    collect(root, &mut files)?;
    files.sort();
    Ok(files)
}

/// The Rust files below a folder with their texts, by their names from `root`.
pub fn rust_below(root: &Path, folder: &Path) -> Result<Vec<(PathBuf, String)>> {
    let is_rust = |file: &PathBuf| file.extension().is_some_and(|extension| extension == "rs");
    let files = files_below(folder)?.into_iter().filter(is_rust);
    files
        .map(|file| {
            let text = fs::read_to_string(&file).with_context(|| file.display().to_string())?;
            Ok((file.strip_prefix(root)?.to_owned(), text))
        })
        .collect()
}

/// All files below a directory.
fn collect(dir: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    let entries = fs::read_dir(dir).with_context(|| format!("cannot read {}", dir.display()))?;
    for entry in entries {
        let entry = entry?;
        // In a worktree of git's, .git is a file.
        if SKIPPED.iter().any(|name| entry.file_name() == *name) {
            continue;
        }
        let kind = entry.file_type()?;
        if kind.is_dir() {
            collect(&entry.path(), files)?;
        } else if kind.is_file() {
            files.push(entry.path());
        }
    }
    Ok(())
}

/// The faults of one file, with their line numbers.
fn faults_of(text: &str, is_rust: bool) -> Vec<(usize, String)> {
    let mut faults = Vec::new();
    let lines: Vec<&str> = text.split('\n').collect();
    for (index, line) in lines.iter().enumerate() {
        let mut fault = |what: String| faults.push((index + 1, what));
        if line.ends_with([' ', '\t', '\r']) {
            fault("white space at the end".to_owned());
        }
        for (banned, why) in BANNED {
            if line.contains(banned) {
                fault(format!("`{banned}`: {why}"));
            }
        }
        if is_rust && is_long_sleep(line) {
            fault("a sleep of a second or more: wait for a state, or add it to tests/src/lab/pause.rs".to_owned());
        }
        if is_rust && is_unsafe(line) && !has_reason(&lines[index.saturating_sub(NEAR)..=index]) {
            fault(format!("unsafe without a {REASON} comment"));
        }
    }
    if is_rust && !has_header(&lines) {
        faults.insert(0, (1, "no `//!` line that says what the file is for".to_owned()));
    }
    if !text.is_empty() && !text.ends_with('\n') {
        faults.push((lines.len(), "no line end at the end".to_owned()));
    }
    faults
}

/// What introduces the reason why an `unsafe` is sound.
const REASON: &str = "SAFETY:";

/// Whether one of the lines gives a reason.
fn has_reason(lines: &[&str]) -> bool {
    lines.iter().any(|line| line.contains(REASON))
}

/// Whether a line of Rust sleeps for a second or more, as far as a line shows.
fn is_long_sleep(line: &str) -> bool {
    let Some((_, rest)) = line.split_once("sleep(") else { return false };
    let Some((_, rest)) = rest.split_once("Duration::from_") else { return false };
    let Some((unit, number)) = rest.split_once('(') else { return false };
    let digits: String = number.chars().filter(|c| *c != '_').take_while(char::is_ascii_digit).collect();
    let number = digits.parse().unwrap_or(0_u64);
    match unit {
        "secs" => number >= 1,
        "millis" => number >= 1000,
        _ => false,
    }
}

/// Whether a line of Rust opens an unsafe block or impl.
fn is_unsafe(line: &str) -> bool {
    unsafe_words(line).any(|rest| rest.starts_with('{') || rest.starts_with("impl"))
}

/// What follows each `unsafe` of a line of Rust that is code.
pub fn unsafe_words(line: &str) -> impl Iterator<Item = &str> {
    let code = line.split("//").next().unwrap_or_default();
    code.match_indices("unsafe").filter_map(move |(at, word)| {
        let before = &code[..at];
        let in_string = before.replace("\\\"", "").matches('"').count() % 2 == 1;
        let rest = &code[at + word.len()..];
        let is_part = |c: char| c.is_alphanumeric() || c == '_';
        let is_word = !before.ends_with(is_part) && !rest.starts_with(is_part);
        (is_word && !in_string).then(|| rest.trim_start())
    })
}

/// Whether a file of Rust says what it is for, before its first item.
fn has_header(lines: &[&str]) -> bool {
    let mut before =
        lines.iter().skip_while(|line| line.is_empty() || line.starts_with("#!") || line.starts_with("// "));
    before.next().is_some_and(|line| line.starts_with("//!"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: &str = "//! What it is for.\n";

    fn faults(text: &str) -> Vec<usize> {
        let lines = faults_of(&format!("{HEADER}{text}"), true);
        lines.into_iter().map(|(line, _)| line).collect()
    }

    #[test]
    fn a_tidy_file_has_no_faults() {
        assert_eq!(faults("\nfn main() {}\n"), [0; 0]);
        assert_eq!(faults_of("", false), []);
    }

    #[test]
    fn white_space_at_the_end_is_a_fault() {
        assert_eq!(faults("a \nb\nc\t\n"), [2, 4]);
    }

    #[test]
    fn banned_words_are_faults() {
        for (banned, _) in BANNED {
            assert_eq!(faults(&format!("\n// {banned}\n")), [3], "{banned}");
        }
    }

    #[test]
    fn rust_files_say_what_they_are_for() {
        assert_eq!(faults_of("fn main() {}\n", true).len(), 1);
        assert_eq!(faults_of("fn main() {}\n", false), []);
        let attribute = "#![no_std]\n\n//! What it is for.\n";
        assert_eq!(faults_of(attribute, true), []);
    }

    #[test]
    fn unsafe_wants_a_reason() {
        let reason = format!("// {REASON} it is\n");
        let block = "let a = unsafe { b() };\n";
        assert_eq!(faults(block), [2]);
        assert_eq!(faults(&format!("{reason}{block}")), [0; 0]);
        let far = "c();\n".repeat(NEAR);
        assert_eq!(faults(&format!("{reason}{far}{block}")), [NEAR + 3]);
        assert_eq!(faults("unsafe impl Send for A {}\n"), [2]);
    }

    #[test]
    fn the_word_alone_is_not_unsafe() {
        for text in [
            "// unsafe { }\n",
            "#[unsafe(no_mangle)]\n",
            "unsafe extern \"C\" {}\n",
            "fn not_unsafe() {}\n",
            "let text = \"unsafe {}\";\n",
        ] {
            assert_eq!(faults(text), [0; 0], "{text}");
        }
    }

    #[test]
    fn a_long_sleep_is_a_fault() {
        let sleep = |what: &str| faults(&format!("\n    thread::sl{}(Duration::from_{what});\n", "eep"));
        assert_eq!((sleep("secs(1)"), sleep("millis(1_500)")), (vec![3], vec![3]));
        assert_eq!((sleep("millis(999)"), sleep("micros(5000)")), (vec![], vec![]));
    }

    #[test]
    fn a_file_ends_with_a_line_end() {
        assert_eq!(faults("a"), [2]);
    }
}
