//! Capabilities that the daemon gives up once the gate stands. It keeps what a reload needs: to load the
//! program, and to attach it.

use std::fs::{self, OpenOptions};

use anyhow::{Context as _, Result};
use log::{debug, warn};
use rustix::thread::{
    CapabilitySet, CapabilitySets, capabilities, capability_is_in_bounding_set, clear_ambient_capability_set,
    remove_capability_from_bounding_set, set_capabilities,
};

use crate::config::{Config, LogTarget};
use crate::kernel::NEEDED;

/// What the start alone needs, and a unit gives for it: the run-time directory is given to a group. A hook gets it only from
/// the kernel, as every program that root starts without `NoNewPrivileges`.
const OF_THE_START: CapabilitySet = CapabilitySet::CHOWN;

/// What was given up.
#[derive(Default)]
pub struct Privileges {
    /// All but what a reload needs, for programs that it starts as well.
    for_good: bool,
}

impl Privileges {
    /// Gives up what `config`, and so many stop commands that are owed, do not need; after the start, and
    /// after each reload.
    ///
    /// A hook is a program of the administrator's, and runs with all that the daemon was started with, but for
    /// what the start alone needs. So with hooks the daemon itself stops using its other capabilities, but passes
    /// them on; without hooks they are gone, also for whoever gets it to start a program. Threads have capabilities
    /// of their own: this must run before there is a second one.
    ///
    /// # Errors
    ///
    /// Of the kernel.
    pub fn adjust(&mut self, config: &Config, owed: usize) -> Result<()> {
        let has_hooks = owed > 0 || config.doors.iter().any(|door| !door.hooks.is_empty());
        if self.for_good {
            if has_hooks {
                warn!(
                    "hooks run with the few capabilities that the daemon has kept without them: restart it, which \
                     keeps grants and connections"
                );
            }
            return Ok(());
        }
        let had = capabilities(None).context("capabilities cannot be read")?;
        let keep = kept(config, had).context("capabilities cannot be given up")?;
        if has_hooks {
            let (permitted, inheritable) = (had.permitted - OF_THE_START, had.inheritable - OF_THE_START);
            set(CapabilitySets { effective: keep, permitted, inheritable })?;
        } else {
            // This takes one that is not kept, and not in use any more if there were hooks until now.
            set(CapabilitySets { effective: had.permitted, ..had })?;
            drop_bounding(keep);
            // An ambient capability outlives neither of the two others; this says so.
            let _ = clear_ambient_capability_set();
            set(CapabilitySets { effective: keep, permitted: keep, inheritable: CapabilitySet::empty() })?;
            self.for_good = true;
        }
        debug!("capabilities kept: {keep:?}");
        Ok(())
    }
}

/// Leaves this thread what it takes to read the pins, whatever the others have.
///
/// # Errors
///
/// Of the kernel.
pub fn keep_to_read() -> Result<()> {
    let had = capabilities(None).context("capabilities cannot be read")?;
    let keep = to_have_pins(had);
    set(CapabilitySets { effective: keep, permitted: keep, inheritable: CapabilitySet::empty() })
}

/// What it takes to work on the gate, of what there is.
fn to_have_pins(had: CapabilitySets) -> CapabilitySet {
    let keep = NEEDED & had.permitted;
    // It stands for all of them.
    if keep == NEEDED { keep } else { keep | CapabilitySet::SYS_ADMIN & had.permitted }
}

fn set(sets: CapabilitySets) -> Result<()> {
    set_capabilities(None, sets).context("capabilities cannot be given up")
}

/// What to keep of `had`.
fn kept(config: &Config, had: CapabilitySets) -> rustix::io::Result<CapabilitySet> {
    let mut keep = to_have_pins(had);
    // A config or a log may belong to another user than root: without this one, no reload could open it.
    set_capabilities(None, CapabilitySets { effective: keep, ..had })?;
    if !opens_again(config) {
        keep |= CapabilitySet::DAC_OVERRIDE & had.permitted;
    }
    set_capabilities(None, had)?;
    Ok(keep)
}

/// True if a reload can open its files.
fn opens_again(config: &Config) -> bool {
    let log = match &config.options.log {
        LogTarget::File(path) => OpenOptions::new().append(true).open(path).map(drop),
        _ => Ok(()),
    };
    fs::File::open(&config.path).is_ok() && log.is_ok()
}

/// Lowers the bounding set as far as the kernel lets us: under a unit it is low, and fixed.
fn drop_bounding(keep: CapabilitySet) {
    for bit in 0..u64::BITS {
        let capability = CapabilitySet::from_bits_retain(1 << bit);
        // An error means that the kernel has no such capability.
        let bounding = capability_is_in_bounding_set(capability).unwrap_or(false);
        if bounding
            && !keep.contains(capability)
            && let Err(error) = remove_capability_from_bounding_set(capability)
        {
            debug!("the bounding set stays as it is: {error}");
            return;
        }
    }
}
