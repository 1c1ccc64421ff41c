//! The kernel program's trace, with `-vv` only: every verdict, through aya-log. Off, it is not even
//! in the loaded program.

use aya_log::EbpfLogger;
use log::warn;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::task::JoinHandle;

use crate::kernel::Firewall;

/// Reads the trace of the running program, if it writes one.
pub fn start(firewall: &mut Firewall, verbose: bool) -> Option<JoinHandle<()>> {
    if !verbose {
        return None;
    }
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

/// Goes on with the program that a reload put in.
pub fn restart(old: Option<JoinHandle<()>>, firewall: &mut Firewall, verbose: bool) -> Option<JoinHandle<()>> {
    if let Some(old) = old {
        old.abort();
    }
    start(firewall, verbose)
}
