//! The kernel program's trace, with `-vv` only: every verdict, through aya-log. Off, it is not even
//! in the loaded program.

use aya_log::EbpfLogger;
use log::warn;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::task::JoinHandle;

use crate::kernel::Firewall;

/// Who reads the trace.
pub struct Trace {
    is_wanted: bool,
    reader: Option<JoinHandle<()>>,
}

impl Trace {
    /// Nobody yet.
    pub const fn new(is_wanted: bool) -> Self {
        Self { is_wanted, reader: None }
    }

    /// Reads that of the running program, and no other any more, if it writes one.
    pub fn follow(&mut self, firewall: &mut Firewall) {
        if let Some(reader) = self.reader.take() {
            reader.abort();
        }
        if self.is_wanted {
            self.reader = start(firewall);
        }
    }
}

fn start(firewall: &mut Firewall) -> Option<JoinHandle<()>> {
    let logger = match EbpfLogger::init(&mut firewall.program_mut().ebpf) {
        Ok(logger) => logger,
        Err(error) => {
            warn!("no trace of verdicts: {error}");
            return None;
        }
    };
    // SAFETY: the logger owns the descriptor of its map and keeps it open until it is dropped.
    let mut logger = unsafe { AsyncFd::register_with_interest(logger, Interest::READABLE) }.ok()?;
    Some(tokio::spawn(async move {
        while let Ok(mut guard) = logger.readable_mut().await {
            guard.get_inner_mut().flush();
            guard.clear_ready();
        }
    }))
}
