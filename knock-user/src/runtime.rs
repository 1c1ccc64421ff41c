//! Run-time files of the daemon under `/run/knock`: its lock, what it last did, its event log. None
//! of them decides anything; the pins do.

mod lock;

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result};
use log::warn;
use serde::{Deserialize, Serialize};

pub use self::lock::{Lock, daemon};

use crate::kernel::boot_now;
use crate::paths::Paths;
use crate::run_dir::{folder, read_json, remove, write_json};

/// The daemon's lock, and who holds it.
pub const LOCK: &str = "daemon.pid";
/// What the daemon last did.
pub const INFO: &str = "daemon.json";
/// What is on trial.
pub const TRIAL: &str = "trial.json";
/// The next reload may take the gate off its last interface.
const FORCE: &str = "force.json";
/// The event log: JSON lines.
pub const EVENTS: &str = "events.jsonl";
/// The half of it before.
pub const OLD_EVENTS: &str = "events.jsonl.1";
/// The socket that shows the status to members of `options.status_group`.
pub const STATUS: &str = "status.sock";

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
    /// The group that may see the status.
    #[serde(default)]
    pub status_group: Option<u32>,
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
    pub fn this(config: &Path, status_group: Option<u32>) -> Self {
        let started = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self {
            pid: std::process::id(),
            config: config.to_owned(),
            started_unix: started.as_secs(),
            reloads: 0,
            last_reload: None,
            unread_events: 0,
            status_group,
        }
    }

    /// Writes `daemon.json`, as a whole or not at all.
    ///
    /// # Errors
    ///
    /// If the directory cannot be written.
    pub fn write(&self, paths: &Paths) -> Result<()> {
        write_json(paths, INFO, self)
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
        write_json(paths, TRIAL, self)
    }

    /// What is on trial now.
    #[must_use]
    pub fn read(paths: &Paths) -> Option<Self> {
        read_json(paths, TRIAL)
    }

    /// Ends the trial; false if there is none, or somebody else has ended it.
    pub fn end(paths: &Paths) -> bool {
        remove(paths, TRIAL)
    }
}

/// `force.json`: word for the daemon that the reload which comes next may take the gate off its last interface. A signal
/// carries no words.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Force {
    /// When it was said, boot time in ns.
    at: u64,
}

impl Force {
    /// How long the word is good for: one that was never heard must not be taken for one of today.
    const GOOD_FOR: Duration = Duration::from_secs(60);

    /// Leaves word.
    ///
    /// # Errors
    ///
    /// If the directory cannot be written.
    pub fn say(paths: &Paths) -> Result<()> {
        write_json(paths, FORCE, &Self { at: boot_now() })
    }

    /// Takes the word back, or hears it: true if there was one. It is good for once.
    pub fn take(paths: &Paths) -> bool {
        let said: Option<Self> = read_json(paths, FORCE);
        let removed = remove(paths, FORCE);
        let is_fresh = |said: Self| boot_now().saturating_sub(said.at) < Self::GOOD_FOR.as_nanos() as u64;
        removed && said.is_some_and(is_fresh)
    }
}

/// Lets a group pass into the directory of run-time files and see what is in it, or nobody. The files in it stay
/// shut. Whoever may not give it to a group lets everybody pass through, and look into nothing.
///
/// # Errors
///
/// Of the system, with the path.
pub fn show_to(paths: &Paths, group: Option<u32>) -> Result<()> {
    let folder = folder(paths)?;
    let named = || paths.run.display().to_string();
    let (owned_by, mode) = folder.group_and_mode().with_context(named)?;
    let wanted = match group {
        None => 0o700,
        Some(group) if owned_by == group => 0o750,
        Some(group) => match folder.set_group(group) {
            Ok(()) => 0o750,
            Err(error) => {
                warn!("{}: cannot be given to the group {group}: {error}: everybody may pass through it", named());
                0o711
            }
        },
    };
    if mode != wanted {
        folder.set_mode(wanted).with_context(named)?;
    }
    Ok(())
}

/// The config file of the daemon, also of one that no longer lives.
#[must_use]
pub fn last_config(paths: &Paths) -> Option<PathBuf> {
    Some(read_json::<DaemonInfo>(paths, INFO)?.config)
}

/// The socket that shows the status to members of `options.status_group`.
#[must_use]
pub fn status_path(paths: &Paths) -> PathBuf {
    paths.run.join(STATUS)
}

#[cfg(test)]
mod tests {
    use std::fs::{Permissions, metadata, set_permissions};
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_file_that_is_written_shuts_nobody_out_who_may_pass() {
        let directory = tempfile::tempdir().unwrap();
        let paths = Paths::below(directory.path());
        Force::say(&paths).unwrap();
        // As it is made, as `show_to` leaves it, and as somebody else has left it.
        for (mode, left) in [(0o700, 0o700), (0o750, 0o750), (0o711, 0o711), (0o777, 0o751)] {
            set_permissions(&paths.run, Permissions::from_mode(mode)).unwrap();
            Force::say(&paths).unwrap();
            assert_eq!(metadata(&paths.run).unwrap().permissions().mode() & 0o7777, left, "{mode:o}");
        }
    }

    #[test]
    fn a_word_is_heard_once_and_an_old_one_never() {
        let directory = tempfile::tempdir().unwrap();
        let paths = Paths::below(directory.path());
        assert!(!Force::take(&paths));
        Force::say(&paths).unwrap();
        assert!(Force::take(&paths) && !Force::take(&paths));
        let long_ago = boot_now().saturating_sub(Force::GOOD_FOR.as_nanos() as u64);
        write_json(&paths, FORCE, &Force { at: long_ago }).unwrap();
        assert!(!Force::take(&paths));
        assert!(!paths.run.join(FORCE).exists());
    }
}
