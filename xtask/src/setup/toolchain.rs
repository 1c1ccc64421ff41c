//! The compiler of the BPF side: an unstable rustc with core's source and the LLVM of bpf-linker.
//!
//! A nightly of rustup's is preferred; Debian's own rustc, told to take unstable features, does as
//! well where rustup's server is out of reach.

use std::env;
use std::fmt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Error, Result, anyhow};

use super::choice::{Candidate, Choice};
use super::packages::{self, Package};
use super::rustc::Version;
use super::rustup::{self, Installed};
use crate::pins::{LLVM, NIGHTLY};
use crate::{paths, shell, step};

/// Where Debian's compiler is.
const DEBIAN: &str = "/usr";

/// Where a compiler comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Source {
    Rustup(String),
    Debian,
}

/// A compiler that can build the BPF side.
#[derive(Clone, Debug)]
pub struct Toolchain {
    source: Source,
    version: Version,
    /// Whether clippy comes with it.
    pub has_clippy: bool,
}

impl Toolchain {
    /// Its cargo, in the workspace.
    pub fn cargo(&self, verb: &str) -> Command {
        let mut command = match &self.source {
            Source::Rustup(name) => {
                let rustup = rustup::program().unwrap_or_else(|| "rustup".into());
                let mut command = shell::foreign(rustup);
                command.args(["run", name, "cargo", verb]);
                command
            }
            Source::Debian => debian_cargo(verb),
        };
        if !self.version.is_nightly() {
            command.env("RUSTC_BOOTSTRAP", "1");
        }
        command.current_dir(paths::workspace());
        command
    }

    /// Its name, if rustup has it.
    pub fn rustup_name(&self) -> Option<&str> {
        match &self.source {
            Source::Rustup(name) => Some(name),
            Source::Debian => None,
        }
    }
}

impl fmt::Display for Toolchain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.rustup_name().unwrap_or("Debian's");
        let Version { release, llvm } = &self.version;
        write!(f, "{name}, rustc {release}, LLVM {llvm}")
    }
}

/// Debian's cargo. It must find Debian's rustc and clippy, not the proxies of rustup in PATH.
fn debian_cargo(verb: &str) -> Command {
    let bin = Path::new(DEBIAN).join("bin");
    let program = match verb {
        // Cargo would look in its own home first, where rustup's proxy is.
        "clippy" => bin.join("cargo-clippy"),
        _ => bin.join("cargo"),
    };
    let mut command = shell::foreign(program);
    let path = env::var_os("PATH").unwrap_or_default();
    let dirs = [bin].into_iter().chain(env::split_paths(&path));
    if let Ok(path) = env::join_paths(dirs) {
        command.env("PATH", path);
    }
    command.arg(verb);
    command
}

/// What a look for a compiler found.
pub struct Search {
    /// The best that will do.
    pub found: Option<Toolchain>,
    /// What was there and will not do, and why.
    rejected: Vec<String>,
}

impl Search {
    /// The compiler, or an error that says how to get one.
    pub fn into_found(mut self) -> Result<Toolchain> {
        self.found.take().ok_or_else(|| self.error())
    }

    /// That there is no compiler, and how to get one.
    pub fn error(&self) -> Error {
        anyhow!(
            "setup: no compiler for BPF ({}): run\n\n    {}\n\nor, on Debian,\n\n    {}\n\n\
             and the same command again",
            self.rejected.join("; "),
            rustup::install_line(NIGHTLY),
            packages::install_line(packages::COMPILER),
        )
    }

    /// What is missing of Debian's compiler, if that is the one to take.
    pub fn debian_packages(&self, choice: &Choice, lints: bool) -> Vec<Package> {
        let mut wanted = match &self.found {
            Some(toolchain) if toolchain.source == Source::Debian => Vec::new(),
            None if choice.allows_debian() => packages::COMPILER.to_vec(),
            _ => return Vec::new(),
        };
        if lints {
            wanted.extend(packages::missing(packages::CLIPPY));
        }
        wanted
    }
}

impl fmt::Display for Search {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.found {
            Some(toolchain) => write!(f, "ok (found {toolchain})"),
            None => write!(f, "missing ({}),", self.rejected.join("; ")),
        }
    }
}

/// Looks for the best compiler that will do.
pub fn search(choice: &Choice) -> Search {
    let installed = rustup::installed();
    let mut rejected = Vec::new();
    for candidate in choice.candidates() {
        match examine(candidate, &installed) {
            Ok(toolchain) => {
                return Search { found: Some(toolchain), rejected };
            }
            Err(why) => rejected.push(why),
        }
    }
    Search { found: None, rejected }
}

/// A candidate as a toolchain, or why it will not do.
fn examine(candidate: Candidate<'_>, installed: &[Installed]) -> Result<Toolchain, String> {
    let (name, source, sysroot) = match candidate {
        Candidate::Rustup(name) => {
            let found = installed.iter().find(|one| one.is_called(name));
            let found = found.ok_or_else(|| format!("rustup has no {name}"))?;
            let source = Source::Rustup(found.name.clone());
            (name, source, found.sysroot.clone())
        }
        Candidate::Debian => ("Debian's rustc", Source::Debian, PathBuf::from(DEBIAN)),
    };
    if !sysroot.join("bin/cargo").is_file() {
        return Err(format!("{name} is not there, or has no cargo"));
    }
    let version = Version::of(&sysroot.join("bin/rustc")).ok_or_else(|| format!("{name} does not run"))?;
    if version.llvm_major() != Some(LLVM) {
        return Err(format!("{name} has LLVM {}, not {LLVM}", version.llvm));
    }
    if !sysroot.join("lib/rustlib/src/rust/library/Cargo.lock").is_file() {
        return Err(format!("{name} has no rust-src"));
    }
    Ok(Toolchain { source, version, has_clippy: sysroot.join("bin/cargo-clippy").is_file() })
}

/// Lets rustup install a nightly, if one is wanted and it can; a failure leaves Debian's.
pub fn install(choice: &Choice, search: Search) -> Search {
    let Some(name) = choice.to_install().filter(|_| rustup::program().is_some()) else {
        return search;
    };
    let installed = step::line("setup", rustup::install_line(name), || {
        Ok(match rustup::install(name) {
            Ok(()) => (true, "installed".to_owned()),
            Err(why) => (false, format!("not to be had ({why}),")),
        })
    });
    match installed {
        Ok(true) => self::search(choice),
        _ => search,
    }
}
