//! The notices of the crates that are linked into the program: most licences ask for them.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::compile::BPF_PACKAGE;
use crate::shell;

/// How the files with a licence's text or a notice begin.
const NAMES: [&str; 5] = ["LICENSE", "LICENCE", "COPYING", "COPYRIGHT", "NOTICE"];

/// Names, licences and notices of all crates of others in both halves, each text once.
pub fn notices() -> Result<String> {
    let metadata: Value = serde_json::from_str(&shell::read(shell::cargo("metadata").args([
        "--locked",
        "--format-version=1",
        "--quiet",
    ]))?)?;
    let mut crates = Vec::new();
    for line in linked()?.lines() {
        let (name, version) = line.split_once(" v").with_context(|| format!("cargo tree: {line:?}"))?;
        let version = version.split_whitespace().next().unwrap_or_default();
        let package = package(&metadata, name, version).with_context(|| format!("no metadata of {name} {version}"))?;
        if !package["source"].is_null() {
            crates.push((format!("{name} {version}"), package));
        }
    }
    crates.sort_by(|(one, _), (other, _)| one.cmp(other));
    crates.dedup_by(|(one, _), (other, _)| one == other);
    ensure!(!crates.is_empty(), "cargo tree names no crates");
    render(&crates)
}

/// What is linked into one of the halves, as `NAME vVERSION`.
fn linked() -> Result<String> {
    let mut text = String::new();
    for package in ["knock-user", BPF_PACKAGE] {
        let mut tree = shell::cargo("tree");
        tree.args(["--locked", "--quiet", "--package", package, "--edges=normal", "--prefix=none", "--format={p}"]);
        text += &shell::read(&mut tree)?;
    }
    Ok(text)
}

fn package<'a>(metadata: &'a Value, name: &str, version: &str) -> Option<&'a Value> {
    let mut packages = metadata["packages"].as_array()?.iter();
    packages.find(|package| package["name"] == name && package["version"] == version)
}

fn render(crates: &[(String, &Value)]) -> Result<String> {
    let mut out = "knock contains the Rust standard library (MIT OR Apache-2.0, https://www.rust-lang.org) and these \
                   crates:\n\n"
        .to_owned();
    let mut texts: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for (name, package) in crates {
        let licence = package["license"].as_str().unwrap_or("see below");
        writeln!(out, "{name} ({licence})")?;
        for file in files_of(package)? {
            let text = fs::read_to_string(&file).with_context(|| file.display().to_string())?;
            texts.entry(text.trim().to_owned()).or_default().push(name);
        }
    }
    for (text, names) in texts {
        let mut names = names;
        names.dedup();
        write!(out, "\n{}\n{}\n\n{text}\n", "=".repeat(80), names.join(", "))?;
    }
    Ok(out)
}

/// The files of a crate that hold a licence or a notice.
fn files_of(package: &Value) -> Result<Vec<PathBuf>> {
    let manifest = package["manifest_path"].as_str().context("no manifest_path")?;
    let dir = Path::new(manifest).parent().context("a manifest without a directory")?;
    let mut files = Vec::new();
    for entry in fs::read_dir(dir).with_context(|| dir.display().to_string())? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().to_ascii_uppercase();
        if entry.file_type()?.is_file() && NAMES.iter().any(|start| name.starts_with(start)) {
            files.push(entry.path());
        }
    }
    files.sort();
    Ok(files)
}
