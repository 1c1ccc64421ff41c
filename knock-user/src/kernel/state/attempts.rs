//! Attempts under way.

use std::os::fd::AsFd as _;
use std::time::Duration;

use anyhow::{Context as _, Result};
use aya::maps::{HashMap, IterableMap};
use knock_common::abi::attempt::{Attempt, Ticks};
use knock_common::abi::layout::name;
use knock_common::abi::rules::SLOTS;
use knock_common::addr::Addr;

use super::State;
use crate::kernel::pod::Plain;
use crate::kernel::sys::{self, boot_now};

/// An attempt under way.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AttemptEntry {
    /// The source.
    pub source: Addr,
    /// Name of the door.
    pub door: String,
    /// Steps made.
    pub stage: u32,
    /// Time left of `seq_timeout`.
    pub left: Duration,
}

impl State {
    /// Attempts under way, by source.
    ///
    /// # Errors
    ///
    /// Of bpf(2).
    pub fn attempts(&self) -> Result<Vec<AttemptEntry>> {
        let doors = self.doors()?;
        let now = Ticks::at(boot_now());
        let mut entries = Vec::new();
        let each = |source: Plain<Addr>, slots: [u64; SLOTS]| {
            for attempt in slots.map(Attempt) {
                let Some(door) = doors.get(attempt.door() as usize) else { continue };
                if attempt.is_live(door, now) {
                    let left = door.seq_ticks - now.since(attempt.started());
                    entries.push(AttemptEntry {
                        source: source.0,
                        door: door.name.as_str().to_owned(),
                        stage: attempt.made(),
                        left: Duration::from_nanos(Ticks::span_ns(left)),
                    });
                }
            }
        };
        self.lru(name::ATTEMPTS, |map: HashMap<_, Plain<Addr>, [u64; SLOTS]>| {
            sys::each(IterableMap::map(&map).fd().as_fd(), each).context("attempts cannot be read")
        })?;
        entries.sort_by(|one, other| (one.source, &one.door).cmp(&(other.source, &other.door)));
        Ok(entries)
    }
}
