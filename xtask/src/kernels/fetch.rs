//! A kernel from Debian: downloaded and unpacked under `target/kernels`.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail};

use super::debs::{Apt, LIMIT};
use crate::{paths, shell, step};

/// A kernel.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Kernel {
    /// How its version begins.
    pub version: &'static str,
    /// The Debian release that has it.
    pub suite: &'static str,
}

/// What was unpacked.
pub struct Files {
    /// Its version in full: 6.1.0-50-amd64.
    pub release: String,
    /// The kernel itself.
    pub image: PathBuf,
    /// Above `lib/modules`.
    pub root: PathBuf,
}

impl Files {
    /// The directory of its modules.
    pub fn modules(&self) -> PathBuf {
        self.root.join("lib/modules").join(&self.release)
    }
}

/// Finds a kernel that is there, or gets it.
pub fn fetch(kernel: Kernel) -> Result<Files> {
    let dir = paths::workspace().join("target/kernels").join(kernel.version);
    step::line("setup", format!("Linux {} of Debian {}", kernel.version, kernel.suite), || {
        if let Ok(files) = look(&dir) {
            let how = format!("ok (found {})", files.release);
            return Ok((files, how));
        }
        let files = get(kernel, &dir).map_err(|error| {
            anyhow!(
                "setup: Linux {}: {error:#}\nWith the network there, and DEBIAN_MIRROR set where this host's own apt \
                 knows no mirror of Debian, give the same command again",
                kernel.version
            )
        })?;
        let how = format!("got {}", files.release);
        Ok((files, how))
    })
}

/// Looks for what was unpacked.
fn look(dir: &Path) -> Result<Files> {
    let modules = dir.join("lib/modules");
    let first = fs::read_dir(&modules)?.next().context("no modules")??;
    let release = first.file_name().into_string().map_err(|name| anyhow!("{}", name.display()))?;
    let image = dir.join("boot").join(format!("vmlinuz-{release}"));
    if !image.is_file() {
        bail!("no {}", image.display());
    }
    Ok(Files { release, image, root: dir.to_owned() })
}

fn get(kernel: Kernel, dir: &Path) -> Result<Files> {
    let beside = dir.with_extension("new");
    if beside.exists() {
        fs::remove_dir_all(&beside).with_context(|| beside.display().to_string())?;
    }
    let apt = Apt::new(&beside.join("apt"), kernel.suite)?;
    // The package without a version depends on the one that has it.
    let depends = shell::read(apt.command("apt-cache").args(["depends", "linux-image-amd64"]))?;
    let package = depends
        .split_whitespace()
        .find(|word| word.starts_with(&format!("linux-image-{}", kernel.version)))
        .with_context(|| format!("Debian {} has another kernel:\n{depends}", kernel.suite))?;
    let debs = beside.join("debs");
    fs::create_dir_all(&debs)?;
    let mut download = apt.command("apt-get");
    download.args(["download", package]).current_dir(&debs);
    shell::logged(&mut download, "kernel-download", Some(LIMIT))?;
    let deb = fs::read_dir(&debs)?.next().context("nothing was downloaded")??.path();
    let root = beside.join("root");
    shell::logged(shell::command("dpkg-deb").arg("-x").args([&deb, &root]), "kernel-unpack", None)?;
    // Newer packages have them below usr, as systems have by now.
    if !root.join("lib/modules").exists() {
        fs::create_dir_all(root.join("lib"))?;
        fs::rename(root.join("usr/lib/modules"), root.join("lib/modules"))?;
    }
    let release = look(&root)?.release;
    shell::logged(shell::command("depmod").arg("-b").arg(&root).arg(release), "kernel-depmod", None)?;
    if dir.exists() {
        fs::remove_dir_all(dir)?;
    }
    fs::rename(&root, dir)?;
    fs::remove_dir_all(&beside)?;
    look(dir)
}
