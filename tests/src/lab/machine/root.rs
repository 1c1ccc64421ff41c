//! The file tree of a machine: another tree below, and in memory what is changed in it.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use nix::mount::{MsFlags, mount};

use super::super::{Mount, sandbox};

/// The tree, until it is dropped.
pub struct MachineRoot {
    path: PathBuf,
    _overlay: Mount,
    _memory: Mount,
}

impl MachineRoot {
    /// The file system that the host has at `/`; nothing of the host itself can change.
    ///
    /// # Errors
    ///
    /// If there can be no overlay.
    pub fn of_host() -> Result<Self> {
        Self::of(Path::new("/"))
    }

    /// Any tree that systemd is in. It is not changed.
    ///
    /// # Errors
    ///
    /// If there can be no overlay.
    pub fn of(lower: &Path) -> Result<Self> {
        let place = Path::new(sandbox::DIR).join("machine");
        fs::create_dir_all(&place)?;
        let memory = Mount::new("tmpfs", &place)?;
        let path = place.join("root");
        for name in ["root", "changes", "work"] {
            fs::create_dir(place.join(name))?;
        }
        let (lower_name, place_name) = (lower.display(), place.display());
        let options = format!("lowerdir={lower_name},upperdir={place_name}/changes,workdir={place_name}/work");
        mount(Some("overlay"), &path, Some("overlay"), MsFlags::empty(), Some(options.as_str()))
            .with_context(|| format!("cannot lay a file tree over {lower_name}"))?;
        let overlay = Mount::adopt(&path);
        let this = Self { path, _overlay: overlay, _memory: memory };
        this.sober()?;
        Ok(this)
    }

    /// Where it is, as seen from the sandbox.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Copies a file into it, with its permissions, and makes the directories above.
    ///
    /// # Errors
    ///
    /// If it cannot be copied.
    pub fn copy(&self, from: &Path, to: &str) -> Result<()> {
        let to = self.path.join(to.trim_start_matches('/'));
        fs::create_dir_all(to.parent().context("a file")?)?;
        fs::copy(from, &to).with_context(|| format!("{} to {}", from.display(), to.display()))?;
        Ok(())
    }

    /// Enables a unit as `[Install] WantedBy=` does, without asking its file.
    ///
    /// # Errors
    ///
    /// If there is no such unit.
    pub fn enable(&self, unit: &str, target: &str) -> Result<()> {
        let places = ["etc/systemd/system", "lib/systemd/system"];
        let place = places.into_iter().find(|place| self.path.join(place).join(unit).is_file());
        ensure!(place.is_some(), "no unit {unit}");
        let wants = self.path.join(format!("etc/systemd/system/{target}.wants"));
        fs::create_dir_all(&wants)?;
        symlink(Path::new("/").join(place.unwrap_or_default()).join(unit), wants.join(unit))?;
        Ok(())
    }

    /// Takes away what the host's administrator has enabled, and whatever would run into the host.
    fn sober(&self) -> Result<()> {
        for dir in ["etc/systemd/system", "etc/rc2.d", "etc/rc3.d", "etc/rc5.d", "etc/rcS.d", "var/log/journal"] {
            let _ = fs::remove_dir_all(self.path.join(dir));
        }
        let units = self.path.join("etc/systemd/system");
        let generators = self.path.join("etc/systemd/system-generators");
        for dir in [&units, &generators] {
            fs::create_dir_all(dir)?;
        }
        for (dir, name) in [
            (&units, "console-getty.service"),
            (&units, "getty-static.service"),
            (&units, "systemd-remount-fs.service"),
            (&units, "systemd-firstboot.service"),
            (&units, "e2scrub_reap.service"),
            (&units, "modprobe@.service"),
            (&generators, "cloud-init-generator"),
        ] {
            symlink("/dev/null", dir.join(name))?;
        }
        fs::write(self.path.join("etc/fstab"), "")?;
        let id = "6b6e6f636b206d616368696e65206964";
        fs::write(self.path.join("etc/machine-id"), format!("{id}\n"))?;
        Ok(())
    }
}
