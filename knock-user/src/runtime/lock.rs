//! The daemon's lock: who holds it, whether that is the daemon, and what to do if it is somebody else.

use std::fs::{File, TryLockError};
use std::io::{Read as _, Seek as _};
use std::os::unix::fs::FileExt as _;
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use log::warn;
use rustix::fs::OFlags;

use super::{DaemonInfo, INFO, LOCK, folder, read_json};
use crate::files::{self, Folder, Way};
use crate::paths::Paths;

/// Who changes the lock's file for another holds a lock on this one, which nobody else was ever able to open.
const CHANGING: &str = "daemon.pid-new";
/// How often a held lock is tried again: somebody may be looking whether it is held, for a moment.
const TRIES: u32 = 20;
/// The pause between two of them.
const PAUSE: Duration = Duration::from_millis(10);

/// The daemon's lock: held as long as it lives, gone with it however it ends.
pub struct Lock {
    paths: Paths,
    file: Option<File>,
    is_noted: bool,
}

impl Lock {
    /// Takes the lock and writes down who has it.
    ///
    /// # Errors
    ///
    /// If another daemon holds it, or it cannot be written.
    pub fn take(paths: &Paths) -> Result<Self> {
        let mut lock = Self { paths: paths.clone(), file: None, is_noted: false };
        lock.make_up()?;
        Ok(lock)
    }

    /// The same for a daemon, which want of room does not keep from standing: then it comes with the error, and
    /// [`Self::make_up`] is to be called until it is all there.
    ///
    /// # Errors
    ///
    /// If another daemon holds it, or the directory cannot be trusted.
    pub fn take_or_go_on(paths: &Paths) -> Result<(Self, Result<()>)> {
        let mut lock = Self { paths: paths.clone(), file: None, is_noted: false };
        match lock.make_up() {
            Err(error) if !files::is_want_of_room(&error) => Err(error),
            outcome => Ok((lock, outcome)),
        }
    }

    /// True once the lock is held, and it is written down by whom.
    #[must_use]
    pub const fn is_whole(&self) -> bool {
        self.is_noted
    }

    /// Takes it if it is not held, and writes down who has it if that is not written.
    ///
    /// # Errors
    ///
    /// As of [`Self::take`].
    pub fn make_up(&mut self) -> Result<()> {
        if self.file.is_none() {
            self.file = Some(hold(&self.paths)?);
        }
        if let Some(file) = self.file.as_ref().filter(|_| !self.is_noted) {
            let text = Holder::this().text();
            // In place first: what a predecessor has written keeps its room on a disk that is full.
            let written = file.write_all_at(text.as_bytes(), 0).and_then(|()| file.set_len(text.len() as u64));
            written.with_context(|| self.paths.run.join(LOCK).display().to_string())?;
            self.is_noted = true;
        }
        Ok(())
    }
}

/// Takes the lock.
fn hold(paths: &Paths) -> Result<File> {
    let folder = folder(paths)?;
    let path = paths.run.join(LOCK);
    let named = || path.display().to_string();
    let mut tries = 0;
    loop {
        let file = match folder.open_any(LOCK, OFlags::RDWR | OFlags::CREATE) {
            Ok(file) => file,
            Err(error) if files::is_want(&error) => return Err(error).with_context(named),
            // A link, or no file.
            Err(_) => folder.write(LOCK, OFlags::RDWR)?,
        };
        let is_private = files::is_private(&file).with_context(named)?;
        let is_locked = match file.try_lock() {
            Ok(()) => true,
            Err(TryLockError::WouldBlock) if tries < TRIES => {
                tries += 1;
                thread::sleep(PAUSE);
                continue;
            }
            Err(TryLockError::WouldBlock) => false,
            Err(TryLockError::Error(error)) => return Err(error).with_context(named),
        };
        match (is_locked, is_private) {
            (true, true) if folder.is(LOCK, &file).with_context(named)? => return Ok(file),
            // It was changed for another meanwhile.
            (true, true) => {}
            (false, _) => {
                if let Some(pid) = Holder::read(file).filter(Holder::lives).map(|holder| holder.pid) {
                    bail!("already running as process {pid}: `knockctl reload` makes it read its config again");
                }
                if is_private {
                    bail!(
                        "{0}: another process has locked it and has not said that it is the daemon: `fuser {0}` says \
                         which",
                        path.display()
                    );
                }
                change(&folder)?;
            }
            (true, false) => change(&folder)?,
        }
    }
}

/// Makes the lock's file anew if others can open it, and so could lock it: what they hold then is nothing.
fn change(folder: &Folder) -> Result<()> {
    let path = folder.path().join(LOCK);
    let named = || path.display().to_string();
    let changing = folder.write(CHANGING, OFlags::RDWR)?;
    changing.lock().with_context(named)?;
    let is_open_to_others = match folder.open_any(LOCK, OFlags::RDWR) {
        Ok(file) => !files::is_private(&file).with_context(named)?,
        Err(_) => false,
    };
    if is_open_to_others {
        warn!("{}: others could lock it: it is made anew", named());
        folder.remove(LOCK).with_context(named)?;
    }
    Ok(())
}

/// Who has written into the lock's file that he holds it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Holder {
    pid: u32,
    /// When that process started, in ticks since boot: a number may be given to another process, this one is not
    /// given twice. Not written by earlier versions.
    start: Option<u64>,
}

impl Holder {
    fn this() -> Self {
        let start = procfs::process::Process::myself().and_then(|own| own.stat()).map(|stat| stat.starttime);
        Self { pid: std::process::id(), start: start.ok() }
    }

    fn text(self) -> String {
        self.start.map_or_else(|| format!("{}\n", self.pid), |start| format!("{} start={start}\n", self.pid))
    }

    fn parse(text: &str) -> Option<Self> {
        let mut words = text.split_whitespace();
        let pid = words.next()?.parse().ok()?;
        Some(Self { pid, start: words.next().and_then(|word| word.strip_prefix("start=")?.parse().ok()) })
    }

    fn read(mut file: File) -> Option<Self> {
        let mut text = String::new();
        file.rewind().and_then(|()| file.read_to_string(&mut text)).ok()?;
        Self::parse(&text)
    }

    /// True if the process that has written it still lives. Whoever holds the lock may be another.
    fn lives(&self) -> bool {
        let Ok(pid) = self.pid.try_into() else { return false };
        let stat = procfs::process::Process::new(pid).and_then(|process| process.stat());
        stat.is_ok_and(|stat| self.start.map_or_else(|| stat.comm == "knockctl", |start| start == stat.starttime))
    }
}

/// The living daemon, if there is one. One that has only just started and has not yet said what it is
/// does not count: its predecessor's word is still there. Nor does whoever else holds the lock.
#[must_use]
pub fn daemon(paths: &Paths) -> Option<DaemonInfo> {
    let file = Folder::open(&paths.run, Way::Whole).ok()?.open_to_read(LOCK).ok()?;
    if !matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock)) {
        return None;
    }
    let holder = Holder::read(file)?;
    let info: DaemonInfo = read_json(paths, INFO)?;
    (holder.pid == info.pid && holder.lives()).then_some(info)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

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
        let info = DaemonInfo::this(Path::new("/etc/knock/knock.toml"), None);
        info.write(&paths).unwrap();
        assert_eq!(daemon(&paths), Some(info));
        drop(lock);
        assert_eq!(daemon(&paths), None);
    }

    #[test]
    fn a_lock_whose_writer_is_gone_is_nobodys() {
        let directory = tempfile::tempdir().unwrap();
        let paths = paths(&directory);
        let lock = Lock::take(&paths).unwrap();
        DaemonInfo::this(Path::new("/etc/knock/knock.toml"), None).write(&paths).unwrap();
        assert!(daemon(&paths).is_some());
        // The number of a process that lives, and has started at another time.
        let own = Holder::this();
        let other = Holder { start: own.start.map(|start| start + 1), ..own };
        std::fs::write(paths.run.join(LOCK), other.text()).unwrap();
        assert_eq!(daemon(&paths), None);
        let text = Lock::take(&paths).err().unwrap().to_string();
        assert!(text.contains("has not said that it is the daemon"), "{text}");
        drop(lock);
        assert!(Lock::take(&paths).is_ok());
    }

    #[test]
    fn a_lock_that_others_can_take_is_made_anew() {
        use std::os::unix::fs::PermissionsExt as _;
        let directory = tempfile::tempdir().unwrap();
        let paths = paths(&directory);
        drop(Lock::take(&paths).unwrap());
        let path = paths.run.join(LOCK);
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        std::fs::write(&path, "1 start=1\n").unwrap();
        let others = File::open(&path).unwrap();
        others.lock_shared().unwrap();
        let lock = Lock::take(&paths).unwrap();
        assert!(lock.is_whole() && std::fs::read_to_string(&path).unwrap() == Holder::this().text());
        assert!(files::is_private(&File::open(&path).unwrap()).unwrap());
    }

    #[test]
    fn who_holds_it_is_read_as_it_was_written() {
        let holder = Holder { pid: 42, start: Some(7) };
        assert_eq!(Holder::parse(&holder.text()), Some(holder));
        assert_eq!(Holder::parse("42\n"), Some(Holder { pid: 42, start: None }));
        assert!(Holder::parse("").is_none() && Holder::parse("x start=7").is_none());
        assert!(Holder::this().lives() && !Holder { pid: u32::MAX, start: None }.lives());
    }
}
