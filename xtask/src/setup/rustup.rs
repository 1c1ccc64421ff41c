//! rustup: which toolchains it has, and how to get one.

use std::env;
use std::env::consts::ARCH;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use anyhow::{Result, anyhow};

use crate::shell;

/// The longest that a download by rustup may take; where its server is out of reach, Debian's
/// compiler does as well.
const LIMIT: Duration = Duration::from_secs(300);

/// A toolchain that rustup has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Installed {
    /// Its full name.
    pub name: String,
    /// Its directory, with bin/ and lib/.
    pub sysroot: PathBuf,
}

impl Installed {
    /// Whether a person would call it that: `nightly` is `nightly-x86_64-unknown-linux-gnu`.
    pub fn is_called(&self, name: &str) -> bool {
        match self.name.strip_prefix(name) {
            Some("") => true,
            Some(rest) => rest.starts_with(&format!("-{ARCH}-")),
            None => false,
        }
    }
}

/// Where rustup is.
pub fn program() -> Option<PathBuf> {
    let homes = [env::var_os("CARGO_HOME").map(PathBuf::from), env::home_dir().map(|home| home.join(".cargo"))];
    shell::find("rustup").or_else(|| {
        let mut candidates = homes.into_iter().flatten();
        candidates.find_map(|home| Some(home.join("bin/rustup")).filter(|file| file.is_file()))
    })
}

/// The toolchains that rustup has; none without rustup.
pub fn installed() -> Vec<Installed> {
    let list =
        program().and_then(|rustup| shell::probe(shell::foreign(rustup).args(["toolchain", "list", "--verbose"])));
    list.unwrap_or_default().lines().filter_map(parse).collect()
}

/// Reads a line of `rustup toolchain list --verbose`: a name, remarks in brackets, a path.
fn parse(line: &str) -> Option<Installed> {
    let name = line.split_whitespace().next()?;
    let path = &line[line.find('/')?..];
    Some(Installed { name: name.to_owned(), sysroot: PathBuf::from(path.trim_end()) })
}

/// Installs a nightly with what the BPF build and its lints need.
pub fn install(name: &str) -> Result<()> {
    let program = program().ok_or_else(|| anyhow!("there is no rustup"))?;
    let mut command = shell::foreign(program);
    command.args(install_args(name));
    shell::logged(&mut command, "rustup", Some(LIMIT))
}

/// What a person would type for [`install`].
pub fn install_line(name: &str) -> String {
    let mut command = Command::new("rustup");
    command.args(install_args(name));
    shell::display(&command)
}

fn install_args(name: &str) -> [&str; 7] {
    [
        "toolchain",
        "install",
        name,
        "--profile=minimal",
        "--component=rust-src",
        "--component=clippy",
        "--no-self-update",
    ]
}

/// Adds a component to a toolchain, or to the active one.
pub fn add(toolchain: Option<&str>, components: &[&str]) -> Result<()> {
    let program = program().ok_or_else(|| anyhow!("there is no rustup"))?;
    let mut command = match toolchain {
        Some(_) => shell::foreign(program),
        None => shell::command(program),
    };
    command.args(["component", "add"]).args(components);
    if let Some(name) = toolchain {
        command.args(["--toolchain", name]);
    }
    shell::logged(&mut command, "rustup-component", Some(LIMIT))
}

/// Adds the standard library for another target to the active toolchain.
pub fn add_target(target: &str) -> Result<()> {
    let program = program().ok_or_else(|| anyhow!("there is no rustup"))?;
    shell::logged(shell::command(program).args(["target", "add", target]), "rustup-target", Some(LIMIT))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_the_list_is_read() {
        let line = "stable-x86_64-unknown-linux-gnu (active, default) /home/me/.rustup/t/s t";
        let stable = parse(line).unwrap();
        assert_eq!(stable.name, "stable-x86_64-unknown-linux-gnu");
        assert_eq!(stable.sysroot, PathBuf::from("/home/me/.rustup/t/s t"));
        assert_eq!(parse("no installed toolchains"), None);
        assert_eq!(parse(""), None);
    }

    #[test]
    fn short_names_mean_the_toolchain_of_this_machine() {
        let toolchain = |name: String| Installed { name, sysroot: PathBuf::new() };
        let nightly = toolchain(format!("nightly-{ARCH}-unknown-linux-gnu"));
        let dated = toolchain(format!("nightly-2026-05-20-{ARCH}-unknown-linux-gnu"));
        assert!(nightly.is_called("nightly"));
        assert!(!dated.is_called("nightly"));
        assert!(dated.is_called("nightly-2026-05-20"));
        assert!(toolchain("mine".to_owned()).is_called("mine"));
        assert!(!toolchain("mine2".to_owned()).is_called("mine"));
    }
}
