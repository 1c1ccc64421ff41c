//! The thread that shows the status: reads it once for all who ask meanwhile, and hands it out.

use std::collections::HashMap;
use std::io;
use std::os::unix::net as blocking;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use anyhow::{Context as _, Result};
use log::{debug, error};
use tokio::net::{UnixListener, UnixStream};
use tokio::runtime;
use tokio::task::{LocalSet, spawn_local};
use tokio::time::{Instant, sleep, sleep_until, timeout};

use crate::daemon::{peer_groups, privileges};
use crate::memory;
use crate::paths::Paths;
use crate::status::{BUSY, Reader, Shown};

/// How old what is shown may be: however many ask, the tables are read once in that time.
const AGE: Duration = Duration::from_secs(1);
/// The same, by how long it took to read them: a fifth of a CPU at most goes into that.
const SHARE: u32 = 4;
/// How many are answered at once, and how many of one user.
const MOST: usize = 16;
const MOST_EACH: usize = 4;
/// Octets in a second for one user, beyond the first answer.
const RATE: u32 = 32 << 20;
/// How long one may take to read the answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// The pause after a connection that could not be taken.
const PAUSE: Duration = Duration::from_secs(1);
/// How much the gate's other work comes first, nice(2).
const NICE: i32 = 10;

/// Answers members of the group until the other end of `end` is closed.
///
/// # Errors
///
/// If the thread cannot give up its rights, or nothing can be awaited.
pub fn serve(
    listener: blocking::UnixListener,
    end: blocking::UnixStream,
    group: Arc<AtomicU32>,
    paths: &Paths,
) -> Result<()> {
    privileges::keep_to_read()?;
    // Of this thread alone; it is no harm if it cannot be.
    let _ = rustix::process::setpriority_process(Some(rustix::thread::gettid()), NICE);
    let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
    let server =
        Server { reader: Reader::new(paths), group, shown: None, viewers: HashMap::new(), busy: Arc::default() };
    LocalSet::new().block_on(&runtime, server.serve(listener, end)).context("the status cannot be shown")
}

/// What is shown, and to whom.
struct Server {
    reader: Reader,
    group: Arc<AtomicU32>,
    shown: Option<Answer>,
    viewers: HashMap<u32, Viewer>,
    /// One more for each that is answered.
    busy: Arc<()>,
}

struct Answer {
    octets: Arc<[u8]>,
    /// Until then it is shown.
    until: Instant,
}

/// One user.
struct Viewer {
    busy: Arc<()>,
    /// When there is room in his share for the next answer.
    next: Instant,
}

impl Server {
    async fn serve(mut self, listener: blocking::UnixListener, end: blocking::UnixStream) -> io::Result<()> {
        let (listener, end) = (UnixListener::from_std(listener)?, UnixStream::from_std(end)?);
        loop {
            let until = self.shown.as_ref().map(|shown| shown.until);
            tokio::select! {
                _ = end.readable() => return Ok(()),
                accepted = listener.accept() => match accepted {
                    Ok((stream, _)) => self.answer(stream),
                    Err(error) => {
                        debug!("a connection could not be taken: {error}");
                        sleep(PAUSE).await;
                    }
                },
                () = sleep_until(until.unwrap_or_else(Instant::now)), if until.is_some() => {
                    // A million grants are a hundred MiB and more.
                    self.shown = None;
                    memory::give_back();
                }
            }
        }
    }

    /// Answers, if it is one of the group and there are not too many; whoever is not is told nothing.
    fn answer(&mut self, stream: UnixStream) {
        let group = self.group.load(Ordering::Relaxed);
        let Some(user) = peer_groups::member(&stream, group).unwrap_or(None) else { return };
        let now = Instant::now();
        self.viewers.retain(|_, viewer| viewer.next > now || Arc::strong_count(&viewer.busy) > 1);
        let viewer = self.viewers.entry(user).or_insert_with(|| Viewer { busy: Arc::default(), next: now });
        if Arc::strong_count(&self.busy) > MOST || Arc::strong_count(&viewer.busy) > MOST_EACH {
            // Its buffer is empty.
            let _ = stream.try_write(BUSY);
            return;
        }
        let busy = (Arc::clone(&self.busy), Arc::clone(&viewer.busy));
        let octets = match self.look() {
            Ok(octets) => octets,
            Err(error) => return error!("the status cannot be shown: {error:#}"),
        };
        let mut begin = Instant::now();
        if let Some(viewer) = self.viewers.get_mut(&user) {
            begin = begin.max(viewer.next);
            viewer.next = begin + Duration::from_secs(octets.len() as u64) / RATE;
        }
        spawn_local(async move {
            sleep_until(begin).await;
            // Whoever does not read it to the end has seen enough.
            let _ = timeout(PATIENCE, write(&stream, &octets)).await;
            drop(busy);
        });
    }

    fn look(&mut self) -> Result<Arc<[u8]>> {
        let begun = Instant::now();
        if let Some(shown) = self.shown.as_ref().filter(|shown| begun < shown.until) {
            return Ok(Arc::clone(&shown.octets));
        }
        self.shown = None;
        let octets: Arc<[u8]> = serde_json::to_vec(&Shown::now(&mut self.reader)?)?.into();
        let now = Instant::now();
        self.shown = Some(Answer { octets: Arc::clone(&octets), until: now + AGE.max((now - begun) * SHARE) });
        Ok(octets)
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
