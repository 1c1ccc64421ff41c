//! `options.status_group`: who may see the state of the gate and is not root. A socket hands out what `knockctl
//! status` shows, and takes nothing in; no pin is opened to anybody.
//!
//! To read and show a million grants takes seconds, so a thread of its own does it: the daemon's loop waits for nobody.

mod server;

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;

use anyhow::{Context as _, Result};
use log::{error, warn};

use crate::paths::Paths;
use crate::runtime::{show_to, status_path};

/// The socket, while a group may ask.
pub struct Viewers {
    paths: Paths,
    /// Who is to be let ask.
    group: Option<u32>,
    open: Option<Open>,
    /// Nobody can ask who should, and that was said.
    has_failed: bool,
}

/// What the thread is told.
struct Open {
    group: Arc<AtomicU32>,
    /// The thread ends when this does.
    _end: UnixStream,
}

impl Viewers {
    /// Nobody may ask yet.
    pub fn new(paths: &Paths) -> Self {
        Self { paths: paths.clone(), group: None, open: None, has_failed: false }
    }

    /// Lets this group ask, or nobody. The gate does not depend on it: what goes wrong is logged, once.
    pub fn admit(&mut self, group: Option<u32>) {
        self.group = group;
        // Of an open one the group may be another, or somebody has shut the folder meanwhile.
        let shown = show_to(&self.paths, group);
        let result = match (group, &self.open) {
            (None, _) => {
                self.close();
                shown
            }
            (Some(group), Some(open)) => {
                open.group.store(group, Ordering::Relaxed);
                shown
            }
            (Some(group), None) => shown.and_then(|()| self.begin(group)).map(|open| self.open = Some(open)),
        };
        match (&result, group) {
            (Err(error), Some(_)) if !self.has_failed => {
                error!("{error:#}: options.status_group cannot see the status until that is mended");
            }
            (Err(error), None) if !self.has_failed => warn!("{error:#}"),
            _ => {}
        }
        self.has_failed = result.is_err();
    }

    /// Does so again if it could not be done.
    pub fn admit_again(&mut self) {
        if self.has_failed {
            self.admit(self.group);
        }
    }

    fn begin(&self, group: u32) -> Result<Open> {
        let listener = self.listen()?;
        let (end, theirs) = UnixStream::pair()?;
        theirs.set_nonblocking(true)?;
        let group = Arc::new(AtomicU32::new(group));
        let (paths, admitted) = (self.paths.clone(), Arc::clone(&group));
        let serve = move || {
            if let Err(error) = server::serve(listener, theirs, admitted, &paths) {
                error!("{error:#}: options.status_group cannot see the status");
            }
        };
        thread::Builder::new().name("viewers".to_owned()).spawn(serve).context("no thread for the status")?;
        Ok(Open { group, _end: end })
    }

    fn listen(&self) -> Result<UnixListener> {
        let path = status_path(&self.paths);
        let named = || path.display().to_string();
        // That of a daemon that was killed.
        let _ = fs::remove_file(&path);
        let listener = UnixListener::bind(&path).with_context(named)?;
        listener.set_nonblocking(true).with_context(named)?;
        // Whoever may pass through the folder may connect, and who it is decides.
        fs::set_permissions(&path, Permissions::from_mode(0o666)).with_context(named)?;
        Ok(listener)
    }

    fn close(&mut self) {
        if self.open.take().is_some() {
            let _ = fs::remove_file(status_path(&self.paths));
        }
    }
}

impl Drop for Viewers {
    fn drop(&mut self) {
        self.close();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The mode of a file or folder, if it is there.
    fn mode(path: &std::path::Path) -> Option<u32> {
        fs::metadata(path).ok().map(|about| about.permissions().mode() & 0o777)
    }

    #[test]
    fn a_group_may_ask_until_it_may_not() {
        let folder = tempfile::tempdir().unwrap();
        let paths = Paths::below(folder.path());
        let (mut viewers, own) = (Viewers::new(&paths), rustix::process::getgid().as_raw());
        let asks = || UnixStream::connect(status_path(&paths)).is_ok();
        viewers.admit(None);
        assert!(!asks() && mode(&paths.run) == Some(0o700));
        viewers.admit(Some(own));
        assert!(asks() && mode(&paths.run) == Some(0o750) && mode(&status_path(&paths)) == Some(0o666));
        viewers.admit(None);
        assert!(!asks() && !status_path(&paths).exists() && mode(&paths.run) == Some(0o700));
        viewers.admit(Some(own));
        assert!(asks());
        drop(viewers);
        assert!(!status_path(&paths).exists());
    }

    #[test]
    fn another_group_asks_at_the_same_socket() {
        let folder = tempfile::tempdir().unwrap();
        let paths = Paths::below(folder.path());
        let (mut viewers, own) = (Viewers::new(&paths), rustix::process::getgid().as_raw());
        viewers.admit(Some(own));
        let admitted = Arc::clone(&viewers.open.as_ref().unwrap().group);
        viewers.admit(Some(own + 1));
        assert_eq!(admitted.load(Ordering::Relaxed), own + 1);
    }

    #[test]
    fn what_could_not_be_opened_is_opened_when_it_can_be() {
        let folder = tempfile::tempdir().unwrap();
        let paths = Paths::below(folder.path());
        let (mut viewers, own) = (Viewers::new(&paths), rustix::process::getgid().as_raw());
        viewers.admit(None);
        // A folder in its place.
        fs::create_dir(status_path(&paths)).unwrap();
        viewers.admit(Some(own));
        viewers.admit_again();
        assert!(viewers.has_failed && viewers.open.is_none());
        fs::remove_dir(status_path(&paths)).unwrap();
        viewers.admit_again();
        assert!(!viewers.has_failed && UnixStream::connect(status_path(&paths)).is_ok());
    }
}
