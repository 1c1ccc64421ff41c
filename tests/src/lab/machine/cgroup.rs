//! The machine's control group: a directory of the kernel's, which no namespace takes away.

use std::fs::{self, DirEntry};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::super::{BOOT_TIMEOUT, Mount, TIMEOUT, sandbox, until};

/// How the directories of all machines begin.
const PREFIX: &str = "knock-machine-";

/// The guard: removes the group when it is dropped.
pub(super) struct Cgroup {
    path: PathBuf,
    _mount: Mount,
}

impl Cgroup {
    /// Makes an empty group, in the second version of the hierarchy, which is there beside the first.
    pub(super) fn new() -> Result<Self> {
        let place = Path::new(sandbox::DIR).join("cgroup");
        fs::create_dir_all(&place)?;
        let mount = Mount::new("cgroup2", &place)?;
        for entry in fs::read_dir(&place)? {
            let entry = entry?;
            // Of a machine whose sandbox was killed. A group with processes cannot be removed; a young one may
            // have none yet.
            let is_old = |entry: &DirEntry| {
                let age = entry.metadata().and_then(|entry| entry.modified()).map(|time| time.elapsed());
                age.is_ok_and(|age| age.is_ok_and(|age| age > BOOT_TIMEOUT))
            };
            if entry.file_name().to_string_lossy().starts_with(PREFIX) && is_old(&entry) {
                let _ = remove(&entry.path());
            }
        }
        // Others may run the same tests: the number of this process is the sandbox's own.
        let path = place.join(format!("{PREFIX}{}", sandbox::outside_id().context("not in a sandbox")?));
        fs::create_dir(&path).with_context(|| format!("no control group {}", path.display()))?;
        Ok(Self { path, _mount: mount })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        // A group is busy for a moment after its last process has ended.
        let _ = until("the end of a control group", TIMEOUT, || remove(&self.path).ok());
    }
}

/// Removes a group and those below it.
fn remove(path: &Path) -> std::io::Result<()> {
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            remove(&entry.path())?;
        }
    }
    fs::remove_dir(path)
}
