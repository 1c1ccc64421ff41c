//! Other rules: on SIGHUP, when a trial ends, and when a one-time sequence is used.

use anyhow::Result;
use log::{error, info};
use tokio::time::Instant;

use super::event_log::Record;
use super::following::{Following, Telling};
use super::logging::Log;
use super::stock::Stock;
use super::{Daemon, refusal, tell_of_faults};
use crate::config::Config;
use crate::kernel::{Manner, boot_now};
use crate::memory;
use crate::runtime::{Force, Trial};

/// What a reload brings: all that can be refused of it before anything is changed.
struct Next {
    config: Config,
    /// The log, if it is another one.
    output: Option<Log>,
}

impl Next {
    /// Reads the file of `config` anew. What is weak in it is said in the log that there is.
    fn read(config: &Config, log: &Log) -> Result<Self> {
        let (next, findings) = Config::load(&config.path).map_err(refusal)?;
        findings.iter().for_each(|finding| log.finding(finding));
        let is_same = next.options.log == config.options.log;
        let output = if is_same { None } else { Some(Log::open(&next.options.log)?) };
        Ok(Self { config: next, output })
    }
}

impl Daemon {
    pub(super) fn on_reload(&mut self) {
        // Whatever becomes of the config: somebody may have rotated the log.
        if let Err(error) = self.logbook.output().reopen() {
            error!("{error:#}: the log goes on in the old file");
        }
        info!("re-reading config file: {}", self.config.path.display());
        self.notify.reloading();
        let force = Force::take(&self.paths);
        let error = self.reload(force).err().map(|error| format!("{error:#}"));
        if error.is_some() && self.trial.is_none() {
            // What was asked for is not to be tried with the next config.
            Trial::end(&self.paths);
        }
        match &error {
            None => self.announce(),
            Some(error) => error!("reload: {error}: the gate goes on as it was"),
        }
        let text = error.as_ref().map_or_else(|| "reloaded".to_owned(), |error| format!("reload failed: {error}"));
        self.leave_word(error.clone());
        self.logbook.append(&Record::of("reload", text));
        match &error {
            Some(error) => self.notify.as_before(error),
            None => {
                self.notify.ready(&self.standing());
                // Behind it: nobody is to wait for this.
                tell_of_faults(&self.config, self.logbook.output());
            }
        }
    }

    /// Leaves word for who has asked for other rules: they are in force, or why they are not.
    pub(super) fn leave_word(&mut self, error: Option<String>) {
        self.notes.leave_word(error, self.config.options.status_group, &mut self.troubles);
    }

    pub(super) fn reload(&mut self, force: bool) -> Result<()> {
        let Next { config, output } = Next::read(&self.config, self.logbook.output())?;
        let before = self.config.clone();
        self.put_in_force(config, force)?;
        self.one_time.rehearse(&self.config, &mut self.logbook);
        self.try_rules(before);
        if let Some(output) = output {
            self.logbook.output().replace(&output);
        }
        if let Err(error) = self.privileges.adjust(&self.config, self.hooks.owed()) {
            error!("{error:#}");
        }
        Ok(())
    }

    /// Swaps the rules for those of `config`, which take the gate off its last interface only with `force`. With an
    /// error nothing has changed.
    pub(super) fn put_in_force(&mut self, mut config: Config, force: bool) -> Result<()> {
        // A pin that somebody removed a moment ago would be gone with what is in its map.
        let mut telling = Telling { troubles: &mut self.troubles, logbook: &mut self.logbook };
        Following::put_pins_back(&mut self.firewall, &mut telling);
        // Also rules of a while ago, whose one-time sequences were used since.
        let reconciled = crate::reconcile::reconcile_pinned(&mut config, &self.paths);
        self.swap(config, force)?;
        self.one_time.note(reconciled.said, reconciled.failed, &mut self.logbook);
        Ok(())
    }

    /// The same where one-time sequences are reconciled.
    pub(super) fn swap(&mut self, config: Config, force: bool) -> Result<()> {
        let now = boot_now();
        let changed = self.firewall.swap(&config, Manner { force, ..self.manner });
        self.stock = Stock::after(Instant::now());
        changed?;
        // Another program runs, and tells of its verdicts elsewhere.
        self.trace.follow(&mut self.firewall);
        self.hooks.configure(&config, now);
        self.grants.configure(&config);
        self.lockouts.configure(&config);
        self.viewers.admit(config.options.status_group);
        self.reopen();
        self.logbook.configure(&config, self.manner.observe);
        self.rounds.hurry_now();
        self.config = config;
        memory::give_back();
        Ok(())
    }

    /// Opens the pinned state of the rules that are in force.
    pub(super) fn reopen(&mut self) {
        let state = self.troubles.tell("the pins cannot be opened", self.firewall.state());
        self.state.renew(state);
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;
    use std::path::Path;

    use super::*;

    const RULES: &str = "services.s.ports = [22]\ndoors.d = { service = \"s\", sequence = [7023, 7001, 7042] }\n";

    /// Writes the config file of a folder, with this log in it.
    fn write(folder: &Path, log: &str, rules: &str) {
        let path = folder.join("knock.toml");
        let log = folder.join(log);
        fs::write(&path, format!("options.interfaces = [\"eth0\"]\noptions.log = {log:?}\n{rules}")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    }

    /// A daemon's config and log.
    fn started(folder: &Path) -> (Config, Log) {
        write(folder, "log", RULES);
        let (config, _) = Config::load(&folder.join("knock.toml")).unwrap_or_else(|error| panic!("{error}"));
        let log = Log::open(&config.options.log).unwrap();
        (config, log)
    }

    #[test]
    fn a_reload_opens_a_log_that_is_another_one_and_no_other() {
        let folder = tempfile::tempdir().unwrap();
        let (config, log) = started(folder.path());
        assert!(Next::read(&config, &log).unwrap().output.is_none());
        write(folder.path(), "other", RULES);
        let next = Next::read(&config, &log).unwrap();
        assert!(next.output.is_some() && folder.path().join("other").exists());
        assert_ne!(next.config.options.log, config.options.log);
    }

    #[test]
    fn what_is_weak_is_said_in_the_log_that_there_is() {
        let folder = tempfile::tempdir().unwrap();
        let (config, log) = started(folder.path());
        let weak = RULES.replace("7023, 7001, 7042", "7023");
        write(folder.path(), "other", &weak);
        Next::read(&config, &log).unwrap();
        let said = |name: &str| fs::read_to_string(folder.path().join(name)).unwrap();
        assert!(said("log").contains("door") && said("other").is_empty(), "{} {}", said("log"), said("other"));
    }

    #[test]
    fn a_reload_is_refused_without_a_word_of_the_sequences() {
        let folder = tempfile::tempdir().unwrap();
        let (config, log) = started(folder.path());
        write(folder.path(), "log", &RULES.replace("7042]", "7042"));
        let error = Next::read(&config, &log).err().map(|error| format!("{error:#}")).expect("no TOML");
        assert!(!error.contains("7001") && error.contains("knock.toml"), "{error}");
        // A log that cannot be opened: before anything is changed.
        write(folder.path(), "missing/log", RULES);
        let error = Next::read(&config, &log).err().map(|error| format!("{error:#}")).expect("no log");
        assert!(error.contains("missing/log"), "{error}");
    }
}
