//! Run-time files of the daemon under `/run/knock`: its lock, what it last did, its event log. None
//! of them decides anything; the pins do.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{Read as _, Seek as _, Write as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result, bail};
use serde::{Deserialize, Serialize};

use crate::firewall::Paths;

/// `daemon.json`: what `knockctl` needs to know of the daemon.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct DaemonInfo {
    /// Its process id.
    pub pid: u32,
    /// Its config file.
    pub config: PathBuf,
    /// When it started, in seconds since 1970.
    pub started_unix: u64,
    /// How often it was told to reload.
    pub reloads: u64,
    /// How the last reload ended.
    pub last_reload: Option<Reload>,
    /// Events that it could not read: of another size or kind than its version knows.
    #[serde(default)]
    pub unread_events: u64,
}

/// The outcome of a reload.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Reload {
    /// The new rules are in force.
    pub ok: bool,
    /// Why they are not.
    pub error: Option<String>,
}

impl DaemonInfo {
    /// The daemon that this process is.
    #[must_use]
    pub fn this(config: &Path) -> Self {
        let started = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self {
            pid: std::process::id(),
            config: config.to_owned(),
            started_unix: started.as_secs(),
            reloads: 0,
            last_reload: None,
            unread_events: 0,
        }
    }

    /// Writes `daemon.json`, as a whole or not at all.
    ///
    /// # Errors
    ///
    /// If the directory cannot be written.
    pub fn write(&self, paths: &Paths) -> Result<()> {
        write_json(&info_path(paths), self)
    }
}

/// `trial.json`: the gate, or its rules, are on trial. Whoever removes the file decides: `knockctl
/// confirm` for keeping them, the daemon at the end for going back.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Trial {
    /// For how long, in seconds.
    pub seconds: u64,
    /// The end, boot time in ns; `None` until the daemon has begun it.
    pub until: Option<u64>,
}

impl Trial {
    /// Writes the file.
    ///
    /// # Errors
    ///
    /// If the directory cannot be written.
    pub fn write(&self, paths: &Paths) -> Result<()> {
        write_json(&trial_path(paths), self)
    }

    /// What is on trial now.
    #[must_use]
    pub fn read(paths: &Paths) -> Option<Self> {
        serde_json::from_slice(&fs::read(trial_path(paths)).ok()?).ok()
    }

    /// Ends the trial; false if there is none, or somebody else has ended it.
    pub fn end(paths: &Paths) -> bool {
        fs::remove_file(trial_path(paths)).is_ok()
    }
}

fn trial_path(paths: &Paths) -> PathBuf {
    paths.run.join("trial.json")
}

/// Writes a run-time file, as a whole or not at all; its directory is made if it is not there. Nothing of
/// it outlives a power cut, nor needs to.
///
/// # Errors
///
/// If the directory cannot be written.
pub fn write_json(path: &Path, value: &impl Serialize) -> Result<()> {
    let beside = path.with_extension("json-new");
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
    }
    fs::write(&beside, serde_json::to_vec(value)?).with_context(|| beside.display().to_string())?;
    fs::rename(&beside, path).with_context(|| path.display().to_string())
}

/// The daemon's lock: held as long as it lives, gone with it however it ends.
pub struct Lock(#[expect(dead_code, reason = "the lock is the open file")] File);

impl Lock {
    /// Takes the lock and writes the process id.
    ///
    /// # Errors
    ///
    /// If another daemon holds it.
    pub fn take(paths: &Paths) -> Result<Self> {
        fs::create_dir_all(&paths.run).with_context(|| paths.run.display().to_string())?;
        let path = lock_path(paths);
        let open = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path);
        let mut file = open.with_context(|| path.display().to_string())?;
        // Somebody may be looking whether it is held, for a moment.
        for _ in 0..20 {
            match file.try_lock() {
                Ok(()) => {
                    file.set_len(0)?;
                    file.rewind()?;
                    writeln!(file, "{}", std::process::id())?;
                    return Ok(Self(file));
                }
                Err(TryLockError::WouldBlock) => std::thread::sleep(Duration::from_millis(10)),
                Err(TryLockError::Error(error)) => return Err(error).with_context(|| path.display().to_string()),
            }
        }
        let mut pid = String::new();
        let _ = file.read_to_string(&mut pid);
        bail!("already running as process {}: `knockctl reload` makes it read its config again", pid.trim())
    }
}

/// The living daemon, if there is one. One that has only just started and has not yet said what it is
/// does not count: its predecessor's word is still there.
#[must_use]
pub fn daemon(paths: &Paths) -> Option<DaemonInfo> {
    let mut file = File::open(lock_path(paths)).ok()?;
    if !matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock)) {
        return None;
    }
    let mut pid = String::new();
    file.read_to_string(&mut pid).ok()?;
    let info: DaemonInfo = serde_json::from_slice(&fs::read(info_path(paths)).ok()?).ok()?;
    (pid.trim() == info.pid.to_string()).then_some(info)
}

/// The config file of the daemon, also of one that no longer lives.
#[must_use]
pub fn last_config(paths: &Paths) -> Option<PathBuf> {
    let info: DaemonInfo = serde_json::from_slice(&fs::read(info_path(paths)).ok()?).ok()?;
    Some(info.config)
}

/// Where the daemon's lock is.
#[must_use]
pub fn lock_path(paths: &Paths) -> PathBuf {
    paths.run.join("daemon.pid")
}

/// Where the daemon says what it last did.
#[must_use]
pub fn info_path(paths: &Paths) -> PathBuf {
    paths.run.join("daemon.json")
}

/// The socket that shows the status to members of `options.status_group`.
#[must_use]
pub fn status_path(paths: &Paths) -> PathBuf {
    paths.run.join("status.sock")
}

/// The event log: JSON lines. The half before it is kept under the same name with `.1`.
#[must_use]
pub fn events_path(paths: &Paths) -> PathBuf {
    paths.run.join("events.jsonl")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(directory: &tempfile::TempDir) -> Paths {
        Paths::below(directory.path())
    }

    #[test]
    fn a_second_daemon_is_told_of_the_first() {
        let directory = tempfile::tempdir().unwrap();
        let paths = paths(&directory);
        let first = Lock::take(&paths).unwrap();
        let text = Lock::take(&paths).err().unwrap().to_string();
        assert!(text.contains(&format!("already running as process {}", std::process::id())), "{text}");
        drop(first);
        assert!(Lock::take(&paths).is_ok());
    }

    #[test]
    fn a_dead_daemon_is_not_reported() {
        let directory = tempfile::tempdir().unwrap();
        let paths = paths(&directory);
        assert_eq!(daemon(&paths), None);
        let lock = Lock::take(&paths).unwrap();
        let info = DaemonInfo::this(Path::new("/etc/knock/knock.toml"));
        info.write(&paths).unwrap();
        assert_eq!(daemon(&paths), Some(info));
        drop(lock);
        assert_eq!(daemon(&paths), None);
    }
}
