//! What every guard can be asked.

use std::net::Ipv4Addr;
use std::time::Duration;

use anyhow::Result;
use knock_common::packet::Transport;

use crate::bench::knock::Knock;

/// The knock of all that are opened by a sequence.
pub const STEPS: [(u16, Transport); 3] = [(7000, Transport::Tcp), (8000, Transport::Udp), (9000, Transport::Tcp)];

/// A guard, until it is dropped; nothing of it is left then.
pub trait Guard {
    /// Its program, if it runs one.
    fn process(&self) -> Option<u32>;

    /// From its start until it guarded, without what has to be there before.
    fn took(&self) -> Duration;

    /// What opens the port to this source, once.
    ///
    /// # Errors
    ///
    /// If it cannot be made.
    fn knock(&self, source: Ipv4Addr) -> Result<Knock>;

    /// What the first knock of everybody goes to: a flood of these is its worst.
    fn first_knock(&self) -> (u16, Transport) {
        STEPS[0]
    }
}
