//! One-time sequences: swaps the next one in when the kernel has seen one used.

use std::time::Duration;

use knock_common::event::Kind;
use log::Level;
use tokio::time::Instant;

use super::record::Record;
use super::{Daemon, SWEEP};
use crate::onetime::{self, Said};

/// How long a use stays noted in the kernel after other rules are in force: a packet may still be on its way
/// through the old ones.
const LINGER: Duration = Duration::from_secs(2);

/// What is told while it is so.
const NOT_SWAPPED: &str = "the next one-time sequence cannot be put in force";

/// What the daemon has to remember of it.
#[derive(Default)]
pub struct OneTime {
    /// When uses that the files know may be forgotten.
    forget: Option<Instant>,
    /// What failed last, to be told once and not with every attempt.
    failed: Vec<Said>,
}

impl Daemon {
    /// True if an event may have used a one-time sequence up.
    pub(super) fn uses_up(&self, door: u32, kind: Kind) -> bool {
        matches!(kind, Kind::Opened | Kind::Extended | Kind::Closed | Kind::Refused | Kind::Spent)
            && self.config.door_by_tag(door).is_some_and(|door| door.one_time.is_some())
    }

    /// Marks used sequences in their files, swaps the next ones in, and lets the kernel forget in the end. Every
    /// part that fails is tried again.
    pub(super) fn check_one_time(&mut self) {
        if self.config.doors.iter().all(|door| door.one_time.is_none()) {
            return;
        }
        let spent = self.state.spent();
        let Some(spent) = self.troubles.tell("used one-time sequences cannot be read", spent) else { return };
        if spent.is_empty() {
            self.troubles.end(NOT_SWAPPED);
            self.one_time = OneTime::default();
            return;
        }
        let mut config = self.config.clone();
        let settled = onetime::settle(&mut config, &spent);
        if settled.changed {
            // If it fails, the used sequence stays in force and noted, so that its door is shut.
            let swapped = self.swap(config, false);
            if self.troubles.tell(NOT_SWAPPED, swapped).is_some() {
                self.one_time.forget = Some(Instant::now() + LINGER);
            }
        } else if !settled.marked.is_empty() {
            // A reload may have put it in force.
            self.troubles.end(NOT_SWAPPED);
            let due = *self.one_time.forget.get_or_insert_with(|| Instant::now() + LINGER);
            if due <= Instant::now() {
                let forgotten = self.state.forget_spent(&settled.marked);
                self.troubles.tell("used one-time sequences cannot be forgotten", forgotten);
            }
        }
        self.next_sweep = self.next_sweep.min(Instant::now() + SWEEP);
        self.note_one_time(settled.said, settled.failed);
    }

    /// Logs what settling said.
    pub(super) fn note_one_time(&mut self, said: Vec<Said>, failed: bool) {
        let (errors, others): (Vec<_>, Vec<_>) =
            said.into_iter().partition(|said| failed && said.level == Level::Error);
        let new = if errors == self.one_time.failed { Vec::new() } else { errors.clone() };
        self.one_time.failed = errors;
        self.log_one_time(new.into_iter().chain(others));
    }

    /// Warns of files that could not be changed if a sequence were used now.
    pub(super) fn rehearse_one_time(&mut self) {
        if self.one_time.failed.is_empty() {
            self.log_one_time(onetime::rehearse(&self.config));
        }
    }

    fn log_one_time(&mut self, said: impl IntoIterator<Item = Said>) {
        for Said { level, door, text } in said {
            let record = Record { door: Some(door), ..Record::of("onetime", text) };
            self.output.event_at(level, &record);
            self.log.append(&record);
        }
    }
}
