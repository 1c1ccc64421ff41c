//! Programs that cargo installs: each at one version, built once, kept under `target/tools`.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use anyhow::{Result, anyhow, ensure};

use super::packages::{self, Package};
use crate::{paths, pins, shell, step};

/// The longest that a build may take.
const LIMIT: Duration = Duration::from_secs(1200);

/// A program of that kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tool {
    /// The crate, and the program in it.
    pub name: &'static str,
    /// The version that is known to build with our Rust, and to do what is asked of it.
    version: &'static str,
    /// How it is built: arguments of `cargo install`.
    args: &'static [&'static str],
    /// Variables of its build.
    env: &'static [(&'static str, &'static str)],
    /// What it is built with.
    pub packages: &'static [Package],
}

/// Variables of every build: nobody debugs these programs, and without the debugger's data they are built sooner.
const ENV: [(&str, &str); 1] = [("CARGO_PROFILE_DEV_DEBUG", "0")];

/// Links the BPF side, with the LLVM of the compiler. Without optimisations: LLVM does the work.
pub const BPF_LINKER: Tool = Tool {
    name: "bpf-linker",
    version: pins::BPF_LINKER,
    args: &["--debug", "--no-default-features", pins::LLVM_FEATURE],
    // Debian's LLVM, for llvm-sys.
    env: &[("LLVM_PREFIX", pins::LLVM_PREFIX)],
    packages: packages::LINKER,
};

/// Makes the Debian package. Without optimisations and a compressor of its own: it packs with xz, and is
/// built in half the time.
pub const CARGO_DEB: Tool = Tool {
    name: "cargo-deb",
    version: pins::CARGO_DEB,
    args: &["--debug", "--no-default-features"],
    env: &[],
    packages: &[],
};

/// Builds and runs what is in `fuzz/`. Without optimisations: it only calls cargo.
pub const CARGO_FUZZ: Tool =
    Tool { name: "cargo-fuzz", version: pins::CARGO_FUZZ, args: &["--debug"], env: &[], packages: &[] };

/// Holds the crates that are built in against `deny.toml`. Without optimisations: it is built in half the time, and
/// takes two seconds more.
pub const CARGO_DENY: Tool =
    Tool { name: "cargo-deny", version: pins::CARGO_DENY, args: &["--debug"], env: &[], packages: &[] };

impl Tool {
    /// Where it is kept.
    pub fn path(&self) -> PathBuf {
        paths::tools().join("bin").join(self.name)
    }

    /// Whether it is there and runs; if a library of its is gone, it does not.
    fn is_built(&self) -> bool {
        let said = shell::probe(shell::command(self.path()).arg("--version"));
        said.is_some_and(|said| said.split_whitespace().last() == Some(self.version))
    }

    /// Looks for it, and says so.
    pub fn look(&self) -> Result<bool> {
        step::line("setup", format!("{} {}", self.name, self.version), || {
            Ok(match self.is_built() {
                true => (true, "ok (found)".to_owned()),
                false => (false, "missing,".to_owned()),
            })
        })
    }

    /// Builds it, unless it runs by now.
    pub fn build_if_needed(&self) -> Result<()> {
        if self.is_built() {
            return Ok(());
        }
        let mut install = shell::cargo("install");
        install.args(self.install_args()).envs(self.variables());
        let built = step::line("setup", format!("build {} {}", self.name, self.version), || {
            shell::logged(&mut install, self.name, Some(LIMIT))?;
            ensure!(self.is_built(), "{} does not run", self.path().display());
            Ok(((), "installed".to_owned()))
        });
        built.map_err(|error| {
            anyhow!(
                "setup: {}: {error}\nWith the network there, run\n\n    {}\n\nand the same command again",
                self.name,
                self.line()
            )
        })
    }

    /// What a person would type for it.
    fn line(&self) -> String {
        let mut install = Command::new("cargo");
        install.arg("install").args(self.install_args());
        let env: String = self.variables().map(|(name, value)| format!("{name}={} ", shell::quote(value))).collect();
        format!("{env}{}", shell::display(&install))
    }

    fn variables(&self) -> impl Iterator<Item = (&'static str, &'static str)> {
        ENV.into_iter().chain(self.env.iter().copied())
    }

    fn install_args(&self) -> Vec<String> {
        let mut args = vec!["--force".to_owned(), "--locked".to_owned()];
        args.extend(self.args.iter().map(|&arg| arg.to_owned()));
        args.push(format!("--root={}", paths::tools().display()));
        args.push(format!("{}@{}", self.name, self.version));
        args
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_to_type_can_be_pasted() {
        let root = format!("--root={}", paths::tools().display());
        let root = shell::quote(&root);
        assert_eq!(
            BPF_LINKER.line(),
            format!(
                "CARGO_PROFILE_DEV_DEBUG=0 LLVM_PREFIX={} cargo install --force --locked --debug --no-default-features {} \
                 {root} bpf-linker@{}",
                pins::LLVM_PREFIX,
                pins::LLVM_FEATURE,
                pins::BPF_LINKER
            )
        );
        let line = CARGO_DEB.line();
        assert!(line.starts_with("CARGO_PROFILE_DEV_DEBUG=0 cargo install --force --locked --debug "), "{line}");
    }
}
