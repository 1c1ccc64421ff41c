//! The emulator: unpacked under `target/emulator` with the libraries that it needs, and run from there by its
//! own loader. A host may have other packages of the same emulator, which it must not lose by ours.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, anyhow, bail};

use super::debs::Apt;
use crate::pins::EMULATOR_SUITE as SUITE;
use crate::{paths, shell, step};

/// Its package.
const PACKAGE: &str = "qemu-system-x86";

/// Where it is unpacked.
pub struct Emulator {
    root: PathBuf,
}

impl Emulator {
    /// Finds it, or gets it.
    pub fn get() -> Result<Self> {
        let root = paths::workspace().join("target/emulator").join(SUITE);
        step::line("setup", format!("{PACKAGE} of Debian {SUITE}"), || {
            let emulator = Self { root: root.clone() };
            if emulator.version().is_ok() {
                return Ok((emulator, "ok (found)".to_owned()));
            }
            let beside = root.with_extension("new");
            for old in [&beside, &root] {
                if old.exists() {
                    fs::remove_dir_all(old).with_context(|| old.display().to_string())?;
                }
            }
            let unpack = || -> Result<String> {
                Apt::new(&beside.join("apt"), SUITE)?.unpack(PACKAGE, &beside.join("root"))?;
                fs::rename(beside.join("root"), &root)?;
                fs::remove_dir_all(&beside)?;
                emulator.version()
            };
            let version = unpack().map_err(|error| {
                anyhow!(
                    "setup: {PACKAGE}: {error:#}\nWith the network there, and DEBIAN_MIRROR set where this host's own \
                     apt knows no mirror of Debian, give the same command again"
                )
            })?;
            Ok((emulator, format!("got {version}")))
        })
    }

    /// What it says of itself, which shows that it runs.
    fn version(&self) -> Result<String> {
        let said = shell::read(self.command().arg("--version"))?;
        match said.lines().next() {
            Some(line) if line.starts_with("QEMU emulator") => Ok(line.to_owned()),
            _ => bail!("it says: {said}"),
        }
    }

    /// It, with its files and without arguments.
    pub fn command(&self) -> Command {
        let at = |path: &str| self.root.join(path);
        let mut command = shell::command(at("lib64/ld-linux-x86-64.so.2"));
        command.arg("--library-path").arg(LIBRARIES.map(|path| at(path).display().to_string()).join(":"));
        command.arg(at("usr/bin/qemu-system-x86_64"));
        for roms in ["usr/share/qemu", "usr/share/seabios"] {
            command.arg("-L").arg(at(roms));
        }
        command.env("QEMU_MODULE_DIR", at("usr/lib/x86_64-linux-gnu/qemu"));
        command
    }
}

/// Where its libraries are.
const LIBRARIES: [&str; 3] =
    ["lib/x86_64-linux-gnu", "usr/lib/x86_64-linux-gnu", "usr/lib/x86_64-linux-gnu/pulseaudio"];
