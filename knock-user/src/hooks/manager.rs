//! What is to run, and when: what becomes of grants on one side, the journal and the running hooks on the other.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs;
use std::time::Duration;

use anyhow::{Result, bail};
use knock_common::abi::event::Kind;
use knock_common::abi::grant::HOST_BITS;
use knock_common::abi::rules::Action;
use knock_common::addr::Addr;
use log::Level;
use tokio::time::Instant;

use super::journal::{Debt, GrantId, Journal};
use super::output::printable;
use super::process::Ending;
use super::runner::{Begun, Finished, Job, MOST_WAITING, Part, Runner};
use super::script::{Occasion, Reason, Script};
use crate::config::{Config, HOOK_TIMEOUT, Hooks, MAX_HOOKS};
use crate::grants::{Change, End, Knock, Life, Lives};
use crate::kernel::format_source;
use crate::paths::Paths;

/// Something to log.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct HookMessage {
    /// How loud.
    pub level: Level,
    /// Whom it is about; `None` if it is about no hook.
    pub about: Option<About>,
    /// The line.
    pub text: String,
}

/// Whom a line is about.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct About {
    /// The source.
    pub source: String,
    /// Name of the door.
    pub door: String,
    /// Name of the service.
    pub service: String,
}

/// A door with hooks.
struct Door {
    name: String,
    service: String,
    action: Action,
    hooks: Hooks,
}

/// When something is tried again that failed.
const AGAIN: Duration = Duration::from_secs(10);

/// The hook manager of the hooks.
pub struct HookManager {
    journal: Journal,
    runner: Runner,
    boot: String,
    doors: HashMap<u32, Door>,
    /// Debts whose stop command waits or runs.
    ended: HashSet<u64>,
    /// Debts of an earlier daemon whose start command it did not come to.
    unstarted: HashSet<u64>,
    retry: Option<Instant>,
    said: Vec<HookMessage>,
}

impl HookManager {
    /// Takes over what an earlier daemon owed, for a gate that will stand from `now` (boot time in ns)
    /// on as `config` says.
    #[must_use]
    pub fn open(paths: &Paths, config: &Config, now: u64) -> Self {
        let mut manager = Self::bare(paths);
        manager.configure(config, now);
        manager
    }

    fn bare(paths: &Paths) -> Self {
        let mut said = Vec::new();
        let journal = Journal::read(&paths.state).unwrap_or_else(|error| {
            let text = format!("stop commands of an earlier daemon cannot be read and will not run: {error:#}");
            said.push(HookMessage { level: Level::Error, about: None, text });
            Journal::empty(&paths.state)
        });
        let unstarted = journal.debts().iter().filter(|(_, debt)| debt.start.is_some()).map(|(number, _)| *number);
        Self {
            unstarted: unstarted.collect(),
            journal,
            runner: Runner::new(MAX_HOOKS as usize, HOOK_TIMEOUT),
            boot: boot_id(),
            doors: HashMap::new(),
            ended: HashSet::new(),
            retry: None,
            said,
        }
    }

    /// Goes on with other rules, which are in force from `now` on.
    pub fn configure(&mut self, config: &Config, now: u64) {
        self.runner.set_limits(config.options.max_hooks as usize, config.options.hook_timeout);
        let hooked = config.doors.iter().filter(|door| !door.hooks.is_empty());
        let describe = |door: &crate::config::Door| Door {
            name: door.name.as_str().to_owned(),
            service: config.service_of(door).name.as_str().to_owned(),
            action: door.action,
            hooks: door.hooks.clone(),
        };
        self.doors = hooked.map(|door| (door.name.tag(), describe(door))).collect();
        let tags: Vec<_> = self.doors.keys().copied().collect();
        self.journal.set_doors(&tags, now, &self.boot);
        self.sync();
    }

    /// Which doors have hooks, by their tags, and from when on: boot time in ns. Grants that are older than the hooks
    /// are left as they are.
    #[must_use]
    pub fn follows(&self, door: u32) -> Option<u64> {
        self.doors.get(&door).and_then(|_| self.journal.since(door, &self.boot))
    }

    /// Grants for which something is owed, and whether they are of this boot.
    #[must_use]
    pub fn lives(&self) -> HashSet<(Life, bool)> {
        let debts = self.journal.debts().values();
        debts.map(|debt| (debt.grant.life(), debt.grant.boot == self.boot)).collect()
    }

    /// Takes what an event has told of grants.
    pub fn hear(&mut self, changes: &[Change]) {
        self.take_ends(changes);
        self.take_knocks(changes);
        self.begin();
    }

    /// Takes what a look at the whole table has told of grants.
    pub fn look(&mut self, changes: &[Change]) {
        self.take_ends(changes);
        self.resume();
        self.take_knocks(changes);
        self.begin();
    }

    fn take_knocks(&mut self, changes: &[Change]) {
        for change in changes {
            match change {
                Change::Opened(life, knock) if knock.kind != Some(Kind::Extended) => {
                    self.enter(life, knock, Reason::Opened);
                }
                Change::Opened(life, knock) | Change::Extended(life, knock) => {
                    self.enter(life, knock, Reason::Extended);
                }
                Change::Closed(key, knock) => self.closed(key.bits, knock),
                Change::Ended(..) => {}
            }
        }
    }

    /// A door wrote a grant, or found it live: its start command runs, and its stop command is owed.
    /// Once for each grant, unless there is no stop command: then a knock does what it always does. But datagrams of a
    /// service with `keepalive` come faster than hooks end: what they tell waits once at most.
    fn enter(&mut self, life: &Life, knock: &Knock, reason: Reason) {
        let Knock { door: door_tag, source, .. } = *knock;
        let Some(door) = self.doors.get(&door_tag) else { return };
        let key = &life.key;
        let occasion = |reason| Occasion { reason, source, bits: key.bits, door: &door.name, service: &door.service };
        let script =
            |command: Option<&str>, reason| command.map(|command| Script::new(command, &occasion(reason))).transpose();
        let is_v4 = source.is_v4();
        let scripts = script(door.hooks.start.command(is_v4), reason)
            .and_then(|start| Ok((start, script(door.hooks.stop.command(is_v4), Reason::Ended)?)));
        let about =
            About { source: format_source(source, HOST_BITS), door: door.name.clone(), service: door.service.clone() };
        let (start, stop) = match scripts {
            Ok((None, None)) => return,
            Ok(scripts) => scripts,
            Err(error) => {
                let text = format!("{}: command not run: {error:#}", about.door);
                return self.say(Level::Error, Some(about), text);
            }
        };
        let extends = reason == Reason::Extended;
        if extends && stop.is_none() && self.runner.extends(&about.door, &about.source) {
            return;
        }
        let grant = GrantId::new(life, &self.boot);
        let mut debts = self.journal.of(&grant).iter().filter_map(|number| self.journal.debts().get_key_value(number));
        let known = debts.find(|(_, debt)| debt.door_tag == door_tag);
        let number = match known {
            Some((_, debt)) if debt.stop.is_some() || !extends => return,
            Some((number, _)) => *number,
            None => self.journal.owe(Debt {
                grant,
                door_tag,
                door: about.door.clone(),
                service: about.service.clone(),
                ip: about.source.clone(),
                start: start.clone(),
                stop,
            }),
        };
        if let Some(script) = start {
            self.queue(Some(number), Part::Start, extends, key.source, about, script);
        }
    }

    /// A close door was completed.
    fn closed(&mut self, bits: u32, knock: &Knock) {
        let source = knock.source;
        let Some(door) = self.doors.get(&knock.door).filter(|door| door.action == Action::Close) else { return };
        let Some(command) = door.hooks.start.command(source.is_v4()) else { return };
        let (door, service) = (door.name.as_str(), door.service.as_str());
        let occasion = Occasion { reason: Reason::Closed, source, bits, door, service };
        let about =
            About { source: format_source(source, HOST_BITS), door: door.to_owned(), service: service.to_owned() };
        match Script::new(command, &occasion) {
            Ok(script) => self.queue(None, Part::Start, false, source, about, script),
            Err(error) => {
                let text = format!("{}: command not run: {error:#}", about.door);
                self.say(Level::Error, Some(about), text);
            }
        }
    }

    /// Runs what is owed for grants that have ended, in the order in which it came to be owed.
    fn take_ends(&mut self, changes: &[Change]) {
        if self.journal.debts().is_empty() {
            return;
        }
        let mut over = BTreeMap::new();
        for change in changes {
            let Change::Ended(life, why) = change else { continue };
            let numbers = self.journal.of(&GrantId::new(life, &self.boot));
            over.extend(numbers.iter().filter(|_| *why != End::Reboot).map(|number| (*number, *why)));
        }
        if changes.iter().any(|change| matches!(change, Change::Ended(_, End::Reboot))) {
            // Those of earlier boots have all ended with them.
            let debts = self.journal.debts().iter().filter(|(_, debt)| debt.grant.boot != self.boot);
            over.extend(debts.map(|(number, _)| (*number, End::Reboot)));
        }
        for (number, why) in over {
            if !self.ended.contains(&number)
                && let Some(debt) = self.journal.debts().get(&number).cloned()
            {
                self.end(number, debt, why);
            }
        }
    }

    fn end(&mut self, number: u64, debt: Debt, why: End) {
        self.unstarted.remove(&number);
        let Some(script) = debt.stop else {
            return self.journal.settled(number);
        };
        self.ended.insert(number);
        let whose = debt.grant.life().key.source;
        let how = if matches!(why, End::Expired { .. }) { "command timeout" } else { "the grant has ended" };
        let about = About { source: debt.ip, door: debt.door, service: debt.service };
        let text = format!("{}: {}: {how}", about.source, about.door);
        self.say(Level::Info, Some(about.clone()), text);
        self.queue(Some(number), Part::Stop, false, whose, about, script);
    }

    /// Runs the start commands that an earlier daemon did not come to, while their grants live.
    fn resume(&mut self) {
        for number in std::mem::take(&mut self.unstarted) {
            let Some(debt) = self.journal.debts().get(&number).cloned() else { continue };
            if let Some(script) = debt.start {
                let about = About { source: debt.ip, door: debt.door, service: debt.service };
                self.queue(Some(number), Part::Start, false, debt.grant.life().key.source, about, script);
            }
        }
    }

    fn queue(&mut self, debt: Option<u64>, part: Part, extends: bool, whose: Addr, about: About, script: Script) {
        let About { source, door, service } = about;
        if let Err(job) = self.runner.queue(Job { debt, part, extends, whose, source, door, service, script }) {
            let text = format!(
                "{}: command not run: {MOST_WAITING} hooks are waiting (options.max_hooks, options.hook_timeout)",
                job.door
            );
            if let Some(number) = job.debt {
                self.journal.started(number);
            }
            self.say(Level::Error, Some(about_job(&job)), text);
        }
    }

    /// Starts what may run, but first everything that is owed is on the disk.
    pub fn begin(&mut self) {
        self.sync();
        for begun in self.runner.begin() {
            match begun {
                Begun::Running(job) => {
                    match (job.debt, job.part) {
                        (Some(number), Part::Start) => self.journal.started(number),
                        (Some(number), Part::Stop) => {
                            self.ended.remove(&number);
                            self.journal.settled(number);
                        }
                        (None, _) => {}
                    }
                    let text = format!("{}: running command: {}", job.door, printable(&job.script.command));
                    self.say(Level::Info, Some(about_job(&job)), text);
                }
                Begun::Failed(job, error, again) => {
                    let again = if again { ": it is tried again" } else { "" };
                    let text = format!("{}: command cannot be started: {error}{again}", job.door);
                    self.say(Level::Error, Some(about_job(&job)), text);
                }
            }
        }
        self.sync();
    }

    fn sync(&mut self) {
        if !self.journal.is_behind() || self.retry.is_some_and(|retry| retry > Instant::now()) {
            return;
        }
        self.retry = None;
        if let Err(error) = self.journal.sync() {
            let text = format!(
                "{error:#}: stop commands cannot be noted and would be lost with this daemon: make room there, and let \
                 root write"
            );
            self.say(Level::Error, None, text);
            self.retry = Some(Instant::now() + AGAIN);
        }
    }

    /// When there is next something to do without an event.
    #[must_use]
    pub fn wake(&self) -> Option<Instant> {
        [self.retry, self.runner.wake()].into_iter().flatten().min()
    }

    /// Waits for the end of a hook; for ever while none runs.
    pub async fn finished(&mut self) -> Finished {
        self.runner.finished().await
    }

    /// Tells how a hook ended, and lets the next one run.
    pub fn on_finished(&mut self, finished: Finished) {
        let Finished { job, ending, output } = finished;
        let about = about_job(&job);
        for line in output.lines() {
            self.say(Level::Info, Some(about.clone()), format!("{}: command says: {line}", job.door));
        }
        let (level, how) = match ending {
            Ending::Success => (Level::Debug, "command ended".to_owned()),
            Ending::Status(code) => (Level::Warn, format!("command returned non-zero status code ({code})")),
            Ending::Signal(signal) => (Level::Warn, format!("command was killed by signal {signal}")),
            Ending::TimedOut => (Level::Warn, "command took too long and was killed (options.hook_timeout)".to_owned()),
            Ending::Lost => (Level::Warn, "command ended, nobody knows how".to_owned()),
        };
        let text = format!("{}: {how}", job.door);
        self.say(level, Some(about), text);
        self.begin();
    }

    /// Lets what runs, and the stop commands that wait, come to their ends; waits for `patience` at
    /// most. What is still owed then is left to the next daemon.
    pub async fn wind_up(&mut self, patience: Duration) {
        let end = Instant::now() + patience;
        self.runner.forget_starts();
        self.begin();
        while self.runner.running() > 0 {
            match tokio::time::timeout_at(end, self.runner.finished()).await {
                Ok(finished) => self.on_finished(finished),
                Err(_) => break,
            }
        }
        if self.runner.running() > 0 {
            let text = format!("{} hooks still run and are left to themselves", self.runner.running());
            self.say(Level::Warn, None, text);
        }
        if self.runner.waiting() > 0 {
            let text = format!("{} stop commands are left to the next daemon", self.runner.waiting());
            self.say(Level::Warn, None, text);
        }
    }

    fn say(&mut self, level: Level, about: Option<About>, text: String) {
        self.said.push(HookMessage { level, about, text });
    }

    /// What is to be logged since the last call.
    pub fn take_said(&mut self) -> Vec<HookMessage> {
        std::mem::take(&mut self.said)
    }

    /// How many stop commands are owed.
    #[must_use]
    pub const fn owed(&self) -> usize {
        self.journal.stops()
    }
}

fn about_job(job: &Job) -> About {
    About { source: job.source.clone(), door: job.door.clone(), service: job.service.clone() }
}

/// The kernel's number for this boot.
fn boot_id() -> String {
    fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default().trim().to_owned()
}

/// How long all stop commands together may take when there is no daemon to run them.
const SETTLING: Duration = Duration::from_secs(60);

/// Runs every stop command that is owed, without a daemon: the gate was taken down. Removes the
/// journal. Returns the lines to show.
///
/// # Errors
///
/// If some could not be run: they stay owed.
pub fn settle(paths: &Paths) -> Result<Vec<String>> {
    let mut manager = HookManager::bare(paths);
    let mut grants = Lives::new(manager.lives());
    let mut lines = Vec::new();
    if manager.owed() > 0 {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async {
            manager.hear(&grants.end_all());
            manager.wind_up(SETTLING).await;
        });
        let loud = manager.take_said().into_iter().filter(|said| said.level <= Level::Info);
        lines.extend(loud.map(|said| said.text));
    }
    if manager.owed() > 0 {
        bail!("{}\n{} stop commands have not run: the next daemon runs them", lines.join("\n"), manager.owed());
    }
    Journal::remove(&paths.state);
    Ok(lines)
}

#[cfg(test)]
mod tests;
