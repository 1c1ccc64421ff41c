//! A kernel from Debian: downloaded and unpacked under `target/kernels`, with apt's files there as well, so
//! that neither this host's packages nor its lists change.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};

use super::Kernel;
use crate::{paths, shell, step};

/// The longest that a download may take.
const LIMIT: Duration = Duration::from_secs(600);

/// Those whose signatures count.
const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

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
    let apt = Apt::new(&beside.join("apt"), &mirror()?, kernel.suite)?;
    shell::logged(apt.command("apt-get").args(["update", "-qq"]), "kernel-update", Some(LIMIT))?;
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

/// apt with files of its own.
struct Apt {
    dir: PathBuf,
}

impl Apt {
    fn new(dir: &Path, mirror: &str, suite: &str) -> Result<Self> {
        for name in ["etc/preferences.d", "etc/apt.conf.d", "state/lists/partial", "cache/archives/partial"] {
            fs::create_dir_all(dir.join(name))?;
        }
        let source = format!("deb [signed-by={KEYRING}] {mirror} {suite} main\n");
        fs::write(dir.join("etc/sources.list"), source)?;
        Ok(Self { dir: dir.to_owned() })
    }

    fn command(&self, program: &str) -> Command {
        let at = |name: &str| self.dir.join(name).display().to_string();
        let mut command = shell::command(program);
        for option in [
            format!("Dir::Etc::sourcelist={}", at("etc/sources.list")),
            "Dir::Etc::sourceparts=/dev/null".to_owned(),
            format!("Dir::Etc::preferencesparts={}", at("etc/preferences.d")),
            format!("Dir::State={}", at("state")),
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
}
