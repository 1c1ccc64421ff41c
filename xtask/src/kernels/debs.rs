//! Packages of Debian that are downloaded and unpacked below `target`, with apt's files there as well: neither
//! this host's packages nor its lists change, and what it has of them does not matter.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::shell;

/// The longest that a download may take.
pub const LIMIT: Duration = Duration::from_secs(600);

/// Those whose signatures count.
const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// The mirror that this host's apt has Debian from, unless the environment names one.
fn mirror() -> Result<String> {
    if let Ok(mirror) = env::var("DEBIAN_MIRROR") {
        return Ok(mirror);
    }
    let mut ask = shell::command("apt-get");
    ask.args([
        "indextargets",
        "--format",
        "$(REPO_URI) $(SUITE) $(COMPONENT)",
        "Created-By: Packages",
        "Origin: Debian",
    ]);
    let known = shell::read(&mut ask)?;
    let archive = known.lines().filter_map(|line| line.split_once(' ')).find(|(_, suite)| {
        suite.ends_with(" main")
            && !suite.contains("security")
            && !suite.contains("updates")
            && !suite.contains("backports")
    });
    Ok(archive.context("this host's apt knows no mirror of Debian")?.0.to_owned())
}

/// apt with files of its own, in which no package is installed.
pub struct Apt {
    dir: PathBuf,
}

impl Apt {
    /// For a release, with its lists of now.
    pub fn new(dir: &Path, suite: &str) -> Result<Self> {
        let mirror = mirror()?;
        for name in ["etc/preferences.d", "etc/apt.conf.d", "state/lists/partial", "cache/archives/partial"] {
            fs::create_dir_all(dir.join(name))?;
        }
        let source = format!("deb [signed-by={KEYRING}] {mirror} {suite} main\n");
        fs::write(dir.join("etc/sources.list"), source)?;
        fs::write(dir.join("state/status"), "")?;
        let apt = Self { dir: dir.to_owned() };
        shell::logged(apt.command("apt-get").args(["update", "-qq"]), "debs-update", Some(LIMIT))?;
        Ok(apt)
    }

    /// One of its programs.
    pub fn command(&self, program: &str) -> Command {
        let at = |name: &str| self.dir.join(name).display().to_string();
        let mut command = shell::command(program);
        for option in [
            format!("Dir::Etc::sourcelist={}", at("etc/sources.list")),
            "Dir::Etc::sourceparts=/dev/null".to_owned(),
            format!("Dir::Etc::preferencesparts={}", at("etc/preferences.d")),
            format!("Dir::State={}", at("state")),
            format!("Dir::State::status={}", at("state/status")),
            format!("Dir::Cache={}", at("cache")),
            "APT::Architecture=amd64".to_owned(),
            "APT::Architectures=amd64".to_owned(),
            // Its own user may not write below somebody's workspace.
            "APT::Sandbox::User=root".to_owned(),
            "Acquire::Languages=none".to_owned(),
            "Acquire::Retries=2".to_owned(),
        ] {
            command.args(["-o", &option]);
        }
        command
    }

    /// Downloads a package and all that it needs, and unpacks them below a directory. None is installed: their
    /// scripts do not run.
    pub fn unpack(&self, package: &str, root: &Path) -> Result<()> {
        let mut download = self.command("apt-get");
        download.args(["install", "-y", "--no-install-recommends", "--download-only", package]);
        shell::logged(&mut download, "debs-download", Some(LIMIT))?;
        for deb in fs::read_dir(self.dir.join("cache/archives"))? {
            let deb = deb?.path();
            if deb.extension().is_some_and(|extension| extension == "deb") {
                shell::logged(shell::command("dpkg-deb").arg("-x").args([deb.as_path(), root]), "debs-unpack", None)?;
            }
        }
        Ok(())
    }
}
