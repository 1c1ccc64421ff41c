//! Processes that a guard's program has started.

use std::fs;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// Those whose parent is this one.
#[must_use]
pub fn children(process: u32) -> Vec<u32> {
    let parent = |stat: &str| stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse::<u32>().ok();
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let ids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    ids.filter(|id| fs::read_to_string(format!("/proc/{id}/stat")).is_ok_and(|stat| parent(&stat) == Some(process)))
        .collect()
}

/// Ends a process of this sandbox.
pub fn end(process: u32) {
    // An error means that it has ended.
    let _ = i32::try_from(process).map(|id| kill(Pid::from_raw(id), Signal::SIGKILL));
}
