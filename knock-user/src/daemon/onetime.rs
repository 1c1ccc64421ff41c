//! What the daemon has to remember of one-time sequences while they are reconciled.

use std::time::Duration;

use log::Level;
use tokio::time::Instant;

use super::event_log::Record;
use super::logbook::Logbook;
use crate::config::Config;
use crate::reconcile::{self, Message};

/// How long a use stays noted in the kernel after other rules are in force: a packet may still be on its way
/// through the old ones.
const LINGER: Duration = Duration::from_secs(2);

/// What there is to remember.
#[derive(Default)]
pub struct OneTime {
    /// When uses that the files know may be forgotten.
    forget: Option<Instant>,
    /// What failed last, to be told once and not with every attempt.
    failed: Vec<Message>,
}

impl OneTime {
    /// No use is noted in the kernel.
    pub fn end(&mut self) {
        *self = Self::default();
    }

    /// The next sequence is in force.
    pub fn linger(&mut self) {
        self.forget = Some(Instant::now() + LINGER);
    }

    /// True once the uses may be forgotten that the files know.
    pub fn may_forget(&mut self) -> bool {
        *self.forget.get_or_insert_with(|| Instant::now() + LINGER) <= Instant::now()
    }

    /// Logs what reconciling said.
    pub fn note(&mut self, said: Vec<Message>, failed: bool, logbook: &mut Logbook) {
        let (errors, others): (Vec<_>, Vec<_>) =
            said.into_iter().partition(|said| failed && said.level == Level::Error);
        let new = if errors == self.failed { Vec::new() } else { errors.clone() };
        self.failed = errors;
        log(new.into_iter().chain(others), logbook);
    }

    /// Warns of files that could not be changed if a sequence were used now.
    pub fn rehearse(&self, config: &Config, logbook: &mut Logbook) {
        if self.failed.is_empty() {
            log(reconcile::rehearse(config), logbook);
        }
    }
}

fn log(said: impl IntoIterator<Item = Message>, logbook: &mut Logbook) {
    for Message { level, door, text } in said {
        logbook.note_at(level, &Record { door: Some(door), ..Record::of("onetime", text) });
    }
}
