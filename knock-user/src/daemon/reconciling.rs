//! One-time sequences: swaps the next one in when the kernel has seen one used.

use tokio::time::Instant;

use super::Daemon;
use crate::reconcile;

/// What is told while it is so.
const NOT_SWAPPED: &str = "the next one-time sequence cannot be put in force";

impl Daemon {
    /// Marks used sequences in their files, swaps the next ones in, and lets the kernel forget in the end. Every
    /// part that fails is tried again.
    pub(super) fn check_one_time(&mut self) {
        if self.config.doors.iter().all(|door| door.one_time.is_none()) {
            return;
        }
        let used = self.state.used();
        let Some(used) = self.troubles.tell("used one-time sequences cannot be read", used) else { return };
        if used.is_empty() {
            self.troubles.end(NOT_SWAPPED);
            self.one_time.end();
            return;
        }
        let mut config = self.config.clone();
        let reconciled = reconcile::reconcile(&mut config, &used);
        if reconciled.changed {
            // If it fails, the used sequence stays in force and noted, so that its door is shut.
            let swapped = self.swap(config, false);
            if self.troubles.tell(NOT_SWAPPED, swapped).is_some() {
                self.one_time.linger(Instant::now());
            }
        } else if !reconciled.marked.is_empty() {
            // A reload may have put it in force.
            self.troubles.end(NOT_SWAPPED);
            if self.one_time.may_forget(Instant::now()) {
                let forgotten = self.state.forget_used(&reconciled.marked);
                self.troubles.tell("used one-time sequences cannot be forgotten", forgotten);
            }
        }
        self.rounds.hurry();
        self.one_time.note(reconciled.said, reconciled.failed, &mut self.logbook);
    }
}
