//! `cargo xtask setup`: finds or installs what the other verbs need.
//!
//! First everything is looked for; then it is known whether root and the network are needed, and
//! only then is anything changed. What cannot be had is an error with the command that gets it.

mod apt;
mod choice;
mod components;
pub mod debian;
mod packages;
mod rustc;
mod rustup;
pub mod tool;
mod toolchain;

use std::path::PathBuf;

use anyhow::{Result, bail};
use clap::ValueEnum;

use self::choice::Choice;
use self::packages::Package;
use self::tool::Tool;
use crate::step;

pub use self::components::{has_miri, has_std_of};
pub use self::tool::{CARGO_DENY, CARGO_FUZZ};
pub use self::toolchain::Toolchain;

/// The verb that the set-up is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Purpose {
    /// BPF compiler, linker, programs of the lab
    Run,
    /// BPF compiler, linker, programs of the lab
    Test,
    /// BPF compiler, linker, programs of the lab, cargo-fuzz
    Fuzz,
    /// BPF compiler, rustfmt, clippy, cargo-deny
    Lint,
    /// BPF compiler, linker
    Build,
    /// BPF compiler, linker, cargo-deb
    Dist,
    /// BPF compiler, linker, programs of the lab, an emulator
    Kernels,
    /// BPF compiler, linker, programs of the lab, what the gate is measured beside
    Bench,
}

/// What a purpose needs beside the BPF compiler, which they all need.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Needs {
    lab: bool,
    linker: bool,
    lints: bool,
    dist: bool,
    debian: bool,
    fuzz: bool,
    guests: bool,
    peers: bool,
}

impl Needs {
    /// The needs of one purpose, or of all of them.
    fn of(purpose: Option<Purpose>) -> Self {
        let is = |those: &[Purpose]| purpose.is_none_or(|purpose| those.contains(&purpose));
        Self {
            lab: is(&[Purpose::Run, Purpose::Test, Purpose::Fuzz, Purpose::Kernels, Purpose::Bench]),
            linker: purpose != Some(Purpose::Lint),
            lints: is(&[Purpose::Lint]),
            dist: is(&[Purpose::Test, Purpose::Dist]),
            debian: is(&[Purpose::Test]),
            fuzz: is(&[Purpose::Fuzz]),
            guests: is(&[Purpose::Test, Purpose::Kernels]),
            peers: is(&[Purpose::Bench]),
        }
    }

    /// What cargo installs for them.
    fn tools(self) -> impl Iterator<Item = &'static Tool> {
        let tools = [
            (self.linker, &tool::BPF_LINKER),
            (self.dist, &tool::CARGO_DEB),
            (self.fuzz, &tool::CARGO_FUZZ),
            (self.lints, &tool::CARGO_DENY),
        ];
        tools.into_iter().filter_map(|(needed, tool)| needed.then_some(tool))
    }
}

/// What the set-up found or installed.
pub struct Tools {
    /// The compiler of the BPF side.
    pub toolchain: Toolchain,
    /// Where bpf-linker is, or would be if the purpose needed it.
    pub linker: PathBuf,
}

/// Finds or installs what the purpose needs, or what any of the verbs needs.
pub fn setup(purpose: Option<Purpose>) -> Result<Tools> {
    let needs = Needs::of(purpose);
    let choice = Choice::from_env();

    // Look, and change nothing.
    let search = step::line("setup", "BPF compiler", || {
        let search = toolchain::search(&choice);
        let how = search.to_string();
        Ok((search, how))
    })?;
    let mut missing = Vec::new();
    if needs.lab {
        missing.extend(look("programs of the lab", packages::LAB)?);
    }
    for tool in needs.tools() {
        if !tool.look()? && !tool.packages.is_empty() {
            missing.extend(look(&format!("what {} is built with", tool.name), tool.packages)?);
        }
    }
    if needs.dist {
        missing.extend(look("programs for packages", packages::DIST)?);
    }
    if needs.debian {
        missing.extend(look("programs to try packages", packages::DEBIAN)?);
    }
    if needs.guests {
        missing.extend(look("programs for other kernels", packages::GUESTS)?);
    }
    if needs.peers {
        missing.extend(look("programs to measure beside", packages::PEERS)?);
    }
    if let Some(obstacle) = packages::obstacle()
        && !missing.is_empty()
    {
        let compiler = search.found.is_none().then_some(&choice);
        bail!(advice(obstacle, compiler, &missing));
    }

    // What needs no root. Whether rustup has a compiler decides about Debian's.
    if needs.lints {
        components::host()?;
    }
    let search = match search.found {
        None => toolchain::install(&choice, search),
        Some(_) => search,
    };
    if search.found.is_none() && !choice.allows_debian() {
        return Err(search.error());
    }

    missing.extend(search.debian_packages(&choice, needs.lints));
    if !missing.is_empty() {
        if let Some(obstacle) = packages::obstacle() {
            bail!(advice(obstacle, None, &missing));
        }
        apt::install(&missing)?;
    }
    // Looked for once more: it may have come with the packages, or have got its clippy from them.
    let mut toolchain = toolchain::search(&choice).into_found()?;
    if needs.lints {
        components::bpf(&mut toolchain)?;
    }
    for tool in needs.tools() {
        tool.build_if_needed()?;
    }
    Ok(Tools { toolchain, linker: tool::BPF_LINKER.path() })
}

/// Says which of the packages are missing.
fn look(what: &str, packages: &[Package]) -> Result<Vec<Package>> {
    step::line("setup", what, || {
        let missing = packages::missing(packages);
        let how = match packages::names(&missing) {
            names if names.is_empty() => "ok (found)".to_owned(),
            names => format!("missing: {names},"),
        };
        Ok((missing, how))
    })
}

/// What to type where we cannot install packages ourselves, with the choice of a compiler if that is
/// missing too.
fn advice(obstacle: &str, compiler: Option<&Choice>, packages: &[Package]) -> String {
    let mut packages = packages.to_vec();
    let mut rustup = String::new();
    if let Some(choice) = compiler {
        match choice.to_install().filter(|_| rustup::program().is_some()) {
            Some(name) => rustup = format!("{} && ", rustup::install_line(name)),
            None => packages.extend(packages::COMPILER),
        }
    }
    format!(
        "setup: missing {}, and {obstacle}: run\n\n    {rustup}{}\n\nand the same command again",
        packages::names(&packages),
        packages::install_line(&packages),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_purpose_needs_its_own() {
        const NONE: Needs = Needs {
            lab: false,
            linker: false,
            lints: false,
            dist: false,
            debian: false,
            fuzz: false,
            guests: false,
            peers: false,
        };
        const BUILD: Needs = Needs { linker: true, ..NONE };
        const RUN: Needs = Needs { lab: true, ..BUILD };
        const ALL: Needs =
            Needs { lints: true, dist: true, debian: true, fuzz: true, guests: true, peers: true, ..RUN };
        assert_eq!(Needs::of(Some(Purpose::Lint)), Needs { lints: true, ..NONE });
        assert_eq!(Needs::of(Some(Purpose::Build)), BUILD);
        assert_eq!(Needs::of(Some(Purpose::Dist)), Needs { dist: true, ..BUILD });
        assert_eq!(Needs::of(Some(Purpose::Run)), RUN);
        assert_eq!(Needs::of(Some(Purpose::Fuzz)), Needs { fuzz: true, ..RUN });
        assert_eq!(Needs::of(Some(Purpose::Kernels)), Needs { guests: true, ..RUN });
        assert_eq!(Needs::of(Some(Purpose::Bench)), Needs { peers: true, ..RUN });
        assert_eq!(Needs::of(Some(Purpose::Test)), Needs { dist: true, debian: true, guests: true, ..RUN });
        assert_eq!(Needs::of(None), ALL);
    }
}
