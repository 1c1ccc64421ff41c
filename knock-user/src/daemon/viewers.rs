//! `options.status_group`: who may see the state of the gate and is not root. A socket hands out what `knockctl
//! status` shows, and takes nothing in; no pin is opened to anybody.

use std::fs::{self, Permissions};
use std::future::pending;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use log::{debug, error};
use tokio::net::{UnixListener, UnixStream};
use tokio::time::{Instant, sleep, timeout};

use super::peer;
use crate::commands::status::Shown;
use crate::firewall::Paths;
use crate::runtime::status_path;

/// How old what is shown may be: however many ask, the tables are read once in that time.
const AGE: Duration = Duration::from_secs(1);
/// How many are answered at once.
const MOST: usize = 16;
/// How long one may take to read the answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// The pause after a connection that could not be taken.
const PAUSE: Duration = Duration::from_secs(1);

/// The socket, while a group may ask.
pub struct Viewers {
    paths: Paths,
    open: Option<(u32, UnixListener)>,
    shown: Option<(Instant, Arc<[u8]>)>,
    /// One more for each that is answered.
    busy: Arc<()>,
}

impl Viewers {
    /// Nobody may ask yet.
    pub fn new(paths: &Paths) -> Self {
        Self { paths: paths.clone(), open: None, shown: None, busy: Arc::default() }
    }

    /// Lets this group ask, or nobody. The gate does not depend on it: what goes wrong is logged.
    pub fn admit(&mut self, group: Option<u32>) {
        let result = match (group, self.open.take()) {
            (None, open) => {
                self.close(open.is_some());
                Ok(())
            }
            (Some(group), Some((_, listener))) => {
                self.open = Some((group, listener));
                Ok(())
            }
            (Some(group), None) => self.listen().map(|listener| self.open = Some((group, listener))),
        };
        if let Err(error) = result {
            error!("{error:#}: options.status_group cannot see the status");
        }
    }

    fn listen(&self) -> Result<UnixListener> {
        let path = status_path(&self.paths);
        let named = || path.display().to_string();
        // That of a daemon that was killed.
        let _ = fs::remove_file(&path);
        let listener = UnixListener::bind(&path).with_context(named)?;
        // Everybody may connect, and who it is decides: to give the file to the group would take a capability.
        fs::set_permissions(&path, Permissions::from_mode(0o666)).with_context(named)?;
        // The folder may be passed through, and not looked into.
        let run = &self.paths.run;
        let mode = fs::metadata(run).with_context(|| run.display().to_string())?.permissions().mode();
        fs::set_permissions(run, Permissions::from_mode(mode | 0o001)).with_context(|| run.display().to_string())?;
        Ok(listener)
    }

    fn close(&self, was_open: bool) {
        if was_open {
            let _ = fs::remove_file(status_path(&self.paths));
        }
    }

    /// The next who asks; never, if nobody may.
    pub async fn next(&self) -> UnixStream {
        let Some((_, listener)) = &self.open else { return pending().await };
        loop {
            match listener.accept().await {
                Ok((stream, _)) => return stream,
                Err(error) => {
                    debug!("a connection could not be taken: {error}");
                    sleep(PAUSE).await;
                }
            }
        }
    }

    /// Answers, if it is one of the group and there are not too many; whoever is not is told nothing.
    pub fn answer(&mut self, stream: UnixStream) {
        let Some((group, _)) = &self.open else { return };
        if Arc::strong_count(&self.busy) > MOST || !peer::is_of(&stream, *group).unwrap_or(false) {
            return;
        }
        let (shown, busy) = match self.look() {
            Ok(shown) => (shown, Arc::clone(&self.busy)),
            Err(error) => return error!("the status cannot be shown: {error:#}"),
        };
        tokio::spawn(async move {
            // Whoever does not read it to the end has seen enough.
            let _ = timeout(PATIENCE, write(&stream, &shown)).await;
            drop(busy);
        });
    }

    fn look(&mut self) -> Result<Arc<[u8]>> {
        if let Some((at, shown)) = &self.shown
            && at.elapsed() < AGE
        {
            return Ok(Arc::clone(shown));
        }
        let shown: Arc<[u8]> = serde_json::to_vec(&Shown::now(&self.paths)?)?.into();
        self.shown = Some((Instant::now(), Arc::clone(&shown)));
        Ok(shown)
    }
}

impl Drop for Viewers {
    fn drop(&mut self) {
        self.close(self.open.is_some());
    }
}

async fn write(stream: &UnixStream, mut octets: &[u8]) -> io::Result<()> {
    while !octets.is_empty() {
        stream.writable().await?;
        match stream.try_write(octets) {
            Ok(written) => octets = &octets[written..],
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
