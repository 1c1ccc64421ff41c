//! The tarball: the program, linked statically, for systems without a package of ours.

use std::env::consts::ARCH;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::stage::{Stage, VERSION};
use crate::compile::Built;
use crate::{contact, paths, shell, step};

/// What it holds beside the program: from where in the workspace, and where to.
const FILES: [(&str, &str); 14] = [
    ("packaging/README-INSTALL", "README-INSTALL"),
    ("packaging/knockctl.service", "knockctl.service"),
    ("packaging/notify-reload.conf", "notify-reload.conf"),
    ("packaging/fail2ban", "fail2ban"),
    ("packaging/logrotate.d", "logrotate.d"),
    ("examples/knock.toml", "examples/knock.toml"),
    ("examples/article.toml", "examples/article.toml"),
    ("README.md", "README.md"),
    ("SECURITY.md", "SECURITY.md"),
    ("docs/rules.md", "docs/rules.md"),
    ("LICENSE-MIT", "LICENSE-MIT"),
    ("LICENSE-APACHE", "LICENSE-APACHE"),
    ("target/dist/stage/man", "man"),
    ("target/dist/stage/completions", "completions"),
];

/// Builds it.
pub fn build(stage: &Stage, built: &Built) -> Result<PathBuf> {
    let program = stage.dir.join("knockctl");
    step::block("dist", "knockctl, linked statically", || built.static_knockctl(&program))?;
    step::line("dist", "tarball", || {
        let name = format!("knock-{VERSION}-{ARCH}-linux");
        let dir = paths::dist().join(&name);
        if dir.exists() {
            fs::remove_dir_all(&dir)?;
        }
        for sub in ["examples", "docs"] {
            fs::create_dir_all(dir.join(sub))?;
        }
        copy(&program, &dir.join("knockctl"))?;
        for (from, to) in FILES {
            copy(&paths::workspace().join(from), &dir.join(to))?;
        }
        copy(&stage.dir.join("THIRD-PARTY"), &dir.join("THIRD-PARTY"))?;
        fs::write(dir.join("CONTACT"), contact::maintainer()? + "\n")?;
        let file = paths::dist().join(format!("{name}.tar.gz"));
        pack(&name, &file, stage.epoch)?;
        fs::remove_dir_all(&dir)?;
        Ok((file, "ok".to_owned()))
    })
}

/// Copies a file, or a directory of files.
fn copy(from: &Path, to: &Path) -> Result<()> {
    if !from.is_dir() {
        fs::copy(from, to).with_context(|| from.display().to_string())?;
        return Ok(());
    }
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        copy(&entry.path(), &to.join(entry.file_name()))?;
    }
    Ok(())
}

/// Packs a directory such that the same files give the same bytes.
fn pack(name: &str, file: &Path, epoch: u64) -> Result<()> {
    let mut tar = shell::command("tar");
    tar.args(["--sort=name", "--owner=0", "--group=0", "--numeric-owner", "--mode=go=rX,u+rw"])
        .args([&format!("--mtime=@{epoch}"), "--format=ustar", "--use-compress-program=gzip -9n", "-C"])
        .arg(paths::dist())
        .arg("-cf")
        .arg(file)
        .arg(name);
    shell::run(&mut tar)
}
