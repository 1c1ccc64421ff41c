//! Another commit of the workspace, built to be measured beside the present one: from a copy of its own, with
//! directories of its own for whatever is built, since cargo tells the crates of both apart by their paths alone.

use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context, Result, bail, ensure};

use crate::compile::{self, Profile};
use crate::setup::Tools;
use crate::{changed, paths, shell};

/// What stands for the commit that all are held against in the long run.
const BASE: &str = "base";
/// Names it, where git knows the tag.
const TAG: &str = "refs/tags/bench-base";
/// Names it where not, as tags do not come with every clone.
const FILE: &str = "docs/bench-base";

/// A commit.
pub struct Commit {
    /// Its hash.
    pub hash: String,
    /// True if it is the base.
    pub is_base: bool,
}

impl Commit {
    /// What git calls so; `base` is the tag `bench-base`, or else what is written in docs/bench-base.
    pub fn find(revision: &str) -> Result<Self> {
        if revision != BASE {
            return Ok(Self { hash: resolve(revision)?, is_base: false });
        }
        if let Ok(hash) = resolve(TAG) {
            return Ok(Self { hash, is_base: true });
        }
        let file = paths::workspace().join(FILE);
        let text = fs::read_to_string(&file).with_context(|| format!("no tag bench-base, and no {FILE}"))?;
        Ok(Self { hash: resolve(text.trim()).with_context(|| FILE.to_owned())?, is_base: true })
    }

    /// Builds its object, and its `knockctl` with that inside, which is what is returned. The copy is gone then.
    pub fn build(&self, tools: &Tools) -> Result<PathBuf> {
        let tree = Tree::of(&self.hash)?;
        let (bpf, host) = (paths::beside().join("bpf"), paths::beside().join("host"));
        let mut cargo = compile::bpf_cargo_to(&bpf, tools, "build", &[]);
        shell::run(cargo.current_dir(&tree.root).env(compile::BUILD_DIR, &bpf))?;
        let object = compile::bpf_object_in(&bpf);
        ensure!(object.is_file(), "no BPF object at {}", object.display());
        let mut cargo = compile::host_cargo("build", &object);
        cargo.current_dir(&tree.root).env("CARGO_TARGET_DIR", &host).env(compile::BUILD_DIR, &host);
        cargo.args(["--package", "knock-user"]);
        compile::executable(cargo, "knockctl", Profile::Release, &[])
    }
}

impl fmt::Display for Commit {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "commit {}", self.hash)
    }
}

/// The hash of the present commit, with `+` behind it if anything but documents was changed since; nothing where git
/// knows none.
pub fn present() -> Option<String> {
    let hash = resolve("HEAD").ok()?;
    let is_document = |file: &PathBuf| file.starts_with("docs") || file.extension().is_some_and(|kind| kind == "md");
    Some(if changed::since(&hash).ok()?.iter().all(is_document) { hash } else { hash + "+" })
}

/// The hash of what git calls so.
fn resolve(revision: &str) -> Result<String> {
    let wanted = format!("{revision}^{{commit}}");
    let mut git = shell::command("git");
    git.args(["rev-parse", "--verify", "--quiet", "--end-of-options", &wanted]).current_dir(paths::workspace());
    let output = git.output().context("cannot start git")?;
    if !output.status.success() {
        bail!(
            "git knows no commit {revision}; `git fetch --tags --unshallow` brings what a clone has left out\n{}",
            String::from_utf8_lossy(&output.stderr).trim()
        );
    }
    Ok(String::from_utf8(output.stdout)?.trim().to_owned())
}

/// The files of a commit, until it is dropped or the program is interrupted. What a killed one has left goes when the
/// next one begins.
struct Tree {
    root: PathBuf,
}

impl Tree {
    fn of(hash: &str) -> Result<Self> {
        let root = paths::beside().join("tree");
        remove(&root)?;
        let interrupted = root.clone();
        ctrlc::set_handler(move || {
            let _ = remove(&interrupted);
            std::process::exit(130);
        })?;
        fs::create_dir_all(&root).with_context(|| root.display().to_string())?;
        let this = Self { root };
        let mut git = shell::command("git");
        git.args(["archive", "--format=tar", hash]).current_dir(paths::workspace()).stdout(Stdio::piped());
        let mut archive = git.spawn().context("cannot start git")?;
        let mut tar = shell::command("tar");
        // With times of now: cargo takes a file that is older than what was built of another commit for the same.
        tar.args(["--extract", "--touch", "--directory"]).arg(&this.root);
        tar.stdin(archive.stdout.take().context("its output is piped")?);
        let extracted = shell::run(&mut tar);
        // It holds the other end of the pipe, which git would wait for.
        drop(tar);
        ensure!(archive.wait()?.success(), "`{}` fails", shell::display(&git));
        extracted?;
        Ok(this)
    }
}

impl Drop for Tree {
    fn drop(&mut self) {
        if let Err(error) = remove(&self.root) {
            eprintln!("[build] {error:#}");
        }
    }
}

/// Removes a folder with all that is in it, if it is there.
fn remove(folder: &Path) -> Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error).context(folder.display().to_string()),
        _ => Ok(()),
    }
}
