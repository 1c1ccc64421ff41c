//! `options.status_group`: who may see the state of the gate and is not root. A socket hands out what `knockctl
//! status` shows, and takes nothing in; no pin is opened to anybody.
//!
//! To read and show a million grants takes seconds, so a thread of its own does it: the daemon's loop waits for nobody.

mod desk;

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;

use anyhow::{Context as _, Result};
use log::error;

use crate::firewall::Paths;
use crate::runtime::status_path;

/// The socket, while a group may ask.
pub struct Viewers {
    paths: Paths,
    open: Option<Open>,
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
        Self { paths: paths.clone(), open: None }
    }

    /// Lets this group ask, or nobody. The gate does not depend on it: what goes wrong is logged.
    pub fn admit(&mut self, group: Option<u32>) {
        let result = match (group, &self.open) {
            (None, _) => {
                self.close();
                Ok(())
            }
            (Some(group), Some(open)) => {
                open.group.store(group, Ordering::Relaxed);
                Ok(())
            }
            (Some(group), None) => self.begin(group).map(|open| self.open = Some(open)),
        };
        if let Err(error) = result {
            error!("{error:#}: options.status_group cannot see the status");
        }
    }

    fn begin(&self, group: u32) -> Result<Open> {
        let listener = self.listen()?;
        let (end, theirs) = UnixStream::pair()?;
        theirs.set_nonblocking(true)?;
        let group = Arc::new(AtomicU32::new(group));
        let (paths, admitted) = (self.paths.clone(), Arc::clone(&group));
        let serve = move || {
            if let Err(error) = desk::serve(listener, theirs, admitted, &paths) {
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
        // Everybody may connect, and who it is decides: to give the file to the group would take a capability.
        fs::set_permissions(&path, Permissions::from_mode(0o666)).with_context(named)?;
        // The folder may be passed through, and not looked into.
        let run = &self.paths.run;
        let mode = fs::metadata(run).with_context(|| run.display().to_string())?.permissions().mode();
        fs::set_permissions(run, Permissions::from_mode(mode | 0o001)).with_context(|| run.display().to_string())?;
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
