//! Loaded programs that are used again: to verify one takes much longer than to judge a history.

use std::collections::HashMap;

use anyhow::Result;
use knock_common::abi::rules::Knock;
use knock_common::packet::flags::{FlagTest, Segments};

use knock_user::kernel::TokenSettings;

use super::{Kernel, Room};
use crate::tables::Tables;

/// Knock ports in the largest config that is used with a pool.
const KNOCKS: usize = 256;

/// What a program is told when it is loaded, and cannot be told anew.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
struct Constants {
    stealth: bool,
    flow_idle: u64,
    verify_checksums: bool,
    attempt_rate: u32,
    log_denied: bool,
    lockout: bool,
    reject: bool,
    tokens: Option<TokenSettings>,
    observe: bool,
    trial_until: u64,
    trusted: bool,
    /// Some door takes segments that open no flow.
    segments: bool,
    room: Room,
}

/// The loaded programs, by their constants.
#[derive(Default)]
pub struct Pool(HashMap<Constants, Vec<Kernel>>);

impl Pool {
    /// A program that has these rules and constants and has seen nothing yet.
    ///
    /// # Errors
    ///
    /// If it cannot be loaded.
    pub fn take(&mut self, tables: &Tables, room: Room) -> Result<Kernel> {
        let idle = self.0.get_mut(&Constants::of(tables, room)).and_then(Vec::pop);
        let mut kernel = match idle {
            Some(kernel) => kernel,
            None => Kernel::load(&spacious(tables), room)?,
        };
        kernel.reset();
        kernel.replace_rules(&tables.rules)?;
        Ok(kernel)
    }

    /// Takes a program back.
    pub fn put(&mut self, tables: &Tables, room: Room, kernel: Kernel) {
        self.0.entry(Constants::of(tables, room)).or_default().push(kernel);
    }
}

impl Constants {
    fn of(tables: &Tables, room: Room) -> Self {
        Self {
            stealth: tables.stealth,
            flow_idle: tables.flow_idle,
            verify_checksums: tables.verify_checksums,
            attempt_rate: tables.attempt_rate,
            log_denied: tables.log_denied,
            lockout: tables.lockout,
            reject: tables.reject,
            tokens: tables.tokens,
            observe: tables.observe,
            trial_until: tables.trial_until,
            trusted: !tables.rules.trusted.is_empty(),
            segments: tables.rules.segments() != Segments::OPENING,
            room,
        }
    }
}

/// The same tables with room for the rules of other configs, and with any segment looked at if some are.
#[must_use]
pub fn spacious(tables: &Tables) -> Tables {
    let mut tables = tables.clone();
    let knocks = &mut tables.rules.knocks;
    knocks.resize(knocks.len().max(KNOCKS), Knock::NONE);
    if tables.rules.segments() != Segments::OPENING
        && let Some(door) = tables.rules.doors.first_mut()
    {
        door.flags = FlagTest { set: 0, clear: 0 };
    }
    tables
}
