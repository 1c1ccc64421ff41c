//! Waiting between two looks, until the user or the reader of standard output has had enough.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use tokio::runtime::{Builder, Runtime};
use tokio::signal::unix::{Signal, SignalKind, signal};

/// How long a closed pipe may go unnoticed.
const SLICE: Duration = Duration::from_millis(200);

/// Pauses that Ctrl-C and a closed pipe end.
pub struct Pause {
    runtime: Runtime,
    interrupt: Signal,
}

impl Pause {
    /// From now on, Ctrl-C ends pauses and not the process.
    pub fn new() -> Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let interrupt = {
            let _guard = runtime.enter();
            signal(SignalKind::interrupt()).context("Ctrl-C cannot be listened for")?
        };
        Ok(Self { runtime, interrupt })
    }

    /// Waits; false if there is no reason to go on.
    pub fn wait(&mut self, span: Duration) -> bool {
        let end = Instant::now() + span;
        loop {
            let left = end.saturating_duration_since(Instant::now());
            let interrupt = self.interrupt.recv();
            // A time-out means that nobody has interrupted.
            let wait = async { tokio::time::timeout(left.min(SLICE), interrupt).await.is_err() };
            if !self.runtime.block_on(wait) || is_closed() {
                return false;
            }
            if left <= SLICE {
                return true;
            }
        }
    }
}

/// True if standard output is a pipe that nobody reads, or a terminal that is gone.
fn is_closed() -> bool {
    let stdout = rustix::stdio::stdout();
    // Errors are reported without being asked for.
    let mut polled = [PollFd::from_borrowed_fd(stdout, PollFlags::empty())];
    poll(&mut polled, Some(&Timespec { tv_sec: 0, tv_nsec: 0 })).is_ok_and(|ready| ready > 0)
}
