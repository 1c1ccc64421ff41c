//! A mount, and its end.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use nix::mount::{MntFlags, MsFlags, mount, umount2};

/// The guard: unmounts when it is dropped, also while files in it are open.
pub struct Mount(PathBuf);

impl Mount {
    /// Mounts a file system of a kind.
    ///
    /// # Errors
    ///
    /// If the kernel does not.
    pub fn new(kind: &str, target: impl AsRef<Path>) -> Result<Self> {
        let target = target.as_ref();
        mount(Some(kind), target, Some(kind), MsFlags::empty(), None::<&str>)
            .with_context(|| format!("cannot mount {kind} on {}", target.display()))?;
        Ok(Self(target.to_owned()))
    }

    /// The same with options of that kind.
    ///
    /// # Errors
    ///
    /// If the kernel does not.
    pub fn with(kind: &str, target: impl AsRef<Path>, options: &str) -> Result<Self> {
        let target = target.as_ref();
        mount(Some(kind), target, Some(kind), MsFlags::empty(), Some(options))
            .with_context(|| format!("cannot mount {kind} ({options}) on {}", target.display()))?;
        Ok(Self(target.to_owned()))
    }

    /// Lets a folder be changed, in memory: what was there stays as it is, and is seen again behind the guard.
    ///
    /// # Errors
    ///
    /// If there can be no overlay, or this is no sandbox.
    pub fn changes(target: impl AsRef<Path>) -> Result<Self> {
        let target = target.as_ref();
        let name = target.display().to_string().trim_matches('/').replace('/', "-");
        let memory = Path::new(super::dir::DIR).join("changes").join(name);
        let (upper, work) = (memory.join("upper"), memory.join("work"));
        for folder in [&upper, &work] {
            fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
        }
        let options = format!("lowerdir={},upperdir={},workdir={}", target.display(), upper.display(), work.display());
        Self::with("overlay", target, &options)
    }

    /// Lays a file over another.
    ///
    /// # Errors
    ///
    /// If the kernel does not.
    pub fn over(source: &Path, target: impl AsRef<Path>) -> Result<Self> {
        let target = target.as_ref();
        mount(Some(source), target, None::<&str>, MsFlags::MS_BIND, None::<&str>)
            .with_context(|| format!("cannot mount {} over {}", source.display(), target.display()))?;
        Ok(Self(target.to_owned()))
    }

    /// Becomes the guard of what is mounted there already.
    #[must_use]
    pub(super) fn adopt(target: &Path) -> Self {
        Self(target.to_owned())
    }

    /// Leaves it mounted: it ends with its mount namespace.
    pub fn forget(self) {
        std::mem::forget(self);
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        // Nothing to do about an error: the mount namespace ends soon.
        let _ = umount2(&self.0, MntFlags::MNT_DETACH);
    }
}
