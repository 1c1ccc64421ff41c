//! What `knockctl` is to know of the daemon: that it runs, what became of the last reload, which events it could not read.

use anyhow::Result;

use super::troubles::Troubles;
use crate::paths::Paths;
use crate::runtime::{DaemonInfo, Lock, Reload};

/// What is told while it is so.
const NOT_NOTED: &str = "`knockctl` does not see that the daemon runs, nor what becomes of a reload";

/// The notes, and the lock that says that they are ours.
pub struct Notes {
    paths: Paths,
    info: DaemonInfo,
    /// All of it is written.
    is_whole: bool,
    /// Events that were not read, as last written down.
    unread: u64,
    lock: Lock,
}

impl Notes {
    /// Nothing is written but the lock, if it `is_locked`.
    pub fn new(paths: &Paths, info: DaemonInfo, lock: Lock, is_locked: Result<()>, troubles: &mut Troubles) -> Self {
        troubles.tell(NOT_NOTED, is_locked);
        Self { paths: paths.clone(), info, is_whole: false, unread: 0, lock }
    }

    /// Writes all of it. What cannot be written now is written later, and said once.
    pub fn leave(&mut self, troubles: &mut Troubles) {
        let written = self.lock.make_up().and_then(|()| self.info.write(&self.paths));
        self.is_whole = troubles.tell(NOT_NOTED, written).is_some();
    }

    /// Makes up for what could not be written.
    pub fn make_up(&mut self, troubles: &mut Troubles) {
        if !self.is_whole || !self.lock.is_whole() {
            self.leave(troubles);
        }
    }

    /// Leaves word for who has asked for other rules: they are in force, or why they are not.
    pub fn leave_word(&mut self, error: Option<String>, status_group: Option<u32>, troubles: &mut Troubles) {
        self.info.reloads += 1;
        self.info.last_reload = Some(Reload { ok: error.is_none(), error });
        self.info.status_group = status_group;
        self.leave(troubles);
    }

    /// Counts events that could not be read. True if these are the first.
    pub const fn count_unread(&mut self, count: u64) -> bool {
        let is_first = self.info.unread_events == 0;
        self.info.unread_events += count;
        is_first
    }

    /// Writes how many those are, if that is not written.
    pub fn leave_unread(&mut self, troubles: &mut Troubles) {
        if self.unread != self.info.unread_events {
            self.unread = self.info.unread_events;
            let written = self.info.write(&self.paths);
            troubles.tell("it cannot be written down how many events were not read", written);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;

    /// Those of a daemon that has its lock.
    fn notes(paths: &Paths, troubles: &mut Troubles) -> Notes {
        let (lock, locked) = Lock::take_or_go_on(paths).unwrap();
        Notes::new(paths, DaemonInfo::this(Path::new("/knock.toml"), None), lock, locked, troubles)
    }

    #[test]
    fn what_could_not_be_written_is_written_later() {
        let folder = tempfile::tempdir().unwrap();
        let (paths, mut troubles) = (Paths::below(folder.path()), Troubles::default());
        let mut notes = notes(&paths, &mut troubles);
        let read = || fs::read_to_string(paths.run.join("daemon.json")).unwrap_or_default();
        // A folder in its place.
        fs::create_dir(paths.run.join("daemon.json")).unwrap();
        notes.leave(&mut troubles);
        assert!(troubles.has(NOT_NOTED) && read().is_empty());
        fs::remove_dir(paths.run.join("daemon.json")).unwrap();
        notes.make_up(&mut troubles);
        assert!(!troubles.has(NOT_NOTED) && read().contains("\"reloads\":0"), "{}", read());
        notes.leave_word(Some("no".to_owned()), None, &mut troubles);
        assert!(read().contains("\"reloads\":1") && read().contains("\"error\":\"no\""), "{}", read());
    }

    #[test]
    fn events_that_were_not_read_are_counted_and_written_once() {
        let folder = tempfile::tempdir().unwrap();
        let (paths, mut troubles) = (Paths::below(folder.path()), Troubles::default());
        let mut notes = notes(&paths, &mut troubles);
        assert!(notes.count_unread(3) && !notes.count_unread(4));
        notes.leave_unread(&mut troubles);
        let text = fs::read_to_string(paths.run.join("daemon.json")).unwrap();
        assert!(text.contains("\"unread_events\":7"), "{text}");
        fs::remove_file(paths.run.join("daemon.json")).unwrap();
        notes.leave_unread(&mut troubles);
        assert!(!paths.run.join("daemon.json").exists());
    }
}
