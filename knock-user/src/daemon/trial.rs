//! Rules on trial: they go by themselves unless somebody confirms them, who must still be able to reach
//! the server for that.

use std::time::Duration;

use anyhow::{Result, bail};

use crate::config::Config;
use crate::kernel::{State, boot_now};
use crate::paths::Paths;

/// A trial under way.
pub struct Trial {
    /// Its end, boot time in ns.
    pub until: u64,
    pub before: Before,
    /// Its file was there: if it is gone, somebody has confirmed.
    pub has_file: bool,
    /// The file says when it ends.
    pub is_noted: bool,
}

/// What was there before it.
pub enum Before {
    /// No gate.
    Nothing,
    /// A gate with this config.
    Rules(Box<Config>),
}

/// When a trial that begins now ends, boot time in ns.
pub fn end_of(span: Duration) -> u64 {
    boot_now().saturating_add(span.as_nanos() as u64)
}

/// Refuses the trial of a whole gate where one stands: what it was before is known to nobody.
///
/// # Errors
///
/// With the remedy.
pub fn need_no_gate(paths: &Paths) -> Result<()> {
    if State::exists(paths) {
        bail!(
            "a gate stands already: run the daemon with the config that you trust, and try another with `knockctl reload \
             --trial`; or take the gate down first with `knockctl unload`"
        );
    }
    Ok(())
}
