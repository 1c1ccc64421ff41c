//! Trials: begun, confirmed, and over.

use std::time::Duration;

use anyhow::Result;
use log::{error, info, warn};

use super::Daemon;
use super::event_log::Record;
use super::trial::{Before, Trial, end_of};
use crate::config::Config;
use crate::kernel::{Firewall, boot_now};
use crate::runtime;

/// When going back is tried again if it fails.
const AGAIN: Duration = Duration::from_secs(5);
/// What is told while it is so.
const NOT_NOTED: &str = "the trial is not seen by `knockctl confirm`";
/// The same.
const NOT_ENDED: &str = "the trial is over and cannot be ended";

impl Daemon {
    /// Begins the trial of the whole gate.
    pub(super) fn try_gate(&mut self, span: Duration, until: u64) {
        self.trial = Some(Trial { until, before: Before::Nothing, has_file: false, is_noted: false });
        self.note_trial();
        warn!("on trial: in {span:?} the gate is taken down, unless you say `knockctl confirm`");
    }

    /// Writes when the trial ends, unless that is written.
    pub(super) fn note_trial(&mut self) {
        let Some(trial) = self.trial.as_mut().filter(|trial| !trial.is_noted) else { return };
        let seconds = Duration::from_nanos(trial.until.saturating_sub(boot_now())).as_secs();
        let written = runtime::Trial { seconds, until: Some(trial.until) }.write(&self.paths);
        trial.is_noted = self.troubles.tell(NOT_NOTED, written).is_some();
        trial.has_file |= trial.is_noted;
    }

    /// True if the trial was due to end, and there is no gate any more. What fails is tried again.
    pub(super) fn trial_is_over(&mut self) -> bool {
        if self.trial.as_ref().is_none_or(|trial| trial.until > boot_now()) {
            return false;
        }
        let ended = self.on_trial_end();
        self.troubles.tell(NOT_ENDED, ended).unwrap_or(false)
    }

    /// Begins the trial of the rules that have just come into force, if one was asked for.
    pub(super) fn try_rules(&mut self, before: Config) {
        let Some(wanted) = runtime::Trial::read(&self.paths).filter(|trial| trial.until.is_none()) else { return };
        let span = Duration::from_secs(wanted.seconds);
        let until = end_of(span);
        // Of two trials, one after the other, the first knows what to go back to.
        let before = self.trial.take().map_or_else(|| Before::Rules(Box::new(before)), |trial| trial.before);
        self.trial = Some(Trial { until, before, has_file: true, is_noted: false });
        self.note_trial();
        warn!("on trial: in {span:?} the rules go back to what they were, unless you say `knockctl confirm`");
    }

    /// Somebody has confirmed the trial.
    pub(super) fn on_confirm(&mut self) {
        let Some(trial) = self.trial.take() else { return };
        runtime::Trial::end(&self.paths);
        let outcome = match trial.before {
            Before::Rules(_) => Ok(()),
            // The program has its end in it: load it without.
            Before::Nothing => {
                self.manner.trial_until = 0;
                self.put_in_force(self.config.clone(), false)
            }
        };
        let error = outcome.err().map(|error| format!("{error:#}"));
        if let Some(error) = &error {
            error!("confirm: {error}");
        }
        self.leave_word(error);
        self.logbook.note(&Record::of("confirm", "confirmed: the trial is over".to_owned()));
    }

    /// The time is up, or the daemon is to end: goes back, unless somebody has confirmed. True if there
    /// is no gate any more.
    pub(super) fn on_trial_end(&mut self) -> Result<bool> {
        let Some(trial) = self.trial.take() else { return Ok(false) };
        if !runtime::Trial::end(&self.paths) && trial.has_file {
            // The signal is on its way, or was lost.
            self.trial = Some(trial);
            self.on_confirm();
            return Ok(false);
        }
        let again = |before| Some(Trial { until: end_of(AGAIN), before, has_file: false, is_noted: true });
        match trial.before {
            Before::Nothing => {
                if let Err(error) = Firewall::unload(&self.paths) {
                    self.trial = again(Before::Nothing);
                    return Err(error.context("the gate on trial cannot be taken down"));
                }
                self.on_gate_down();
                self.logbook.note(&Record::of("trial", "not confirmed: the gate is taken down".to_owned()));
                Ok(true)
            }
            Before::Rules(config) => {
                // What they were may be rules that stood on no interface.
                if let Err(error) = self.put_in_force(Config::clone(&config), true) {
                    self.trial = again(Before::Rules(config));
                    return Err(error.context("the rules cannot go back to what they were"));
                }
                self.logbook
                    .note(&Record::of("trial", "not confirmed: the rules are what they were before".to_owned()));
                info!("the config file still holds what was tried: {}", self.config.path.display());
                Ok(false)
            }
        }
    }
}
