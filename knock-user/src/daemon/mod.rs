//! The daemon: reads the kernel's events, logs them, sweeps expired grants, reloads on SIGHUP. The
//! gate does not need it: without it everything goes on but the log.

mod alarm;
mod deadlines;
mod denials;
mod links;
mod lockout;
mod logging;
mod names;
mod notify;
mod onetime;
mod peer;
mod privileges;
mod quota;
mod record;
mod ring;
mod trace;
mod trial;
mod troubles;
mod viewers;

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use knock_common::counter::Counter;
use knock_common::event::{Event as KernelEvent, Kind};
use log::{Level, debug, error, info, log, warn};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::Instant;

use crate::config::{Config, DEFAULT_CONFIG, OnExit, Severity, remarks_on_listeners, remarks_on_published};
use crate::firewall::{Firewall, Manner, State, Swept, boot_now};
use crate::hooks::{Finished, Keeper};
use crate::paths::Paths;
use crate::runtime::{DaemonInfo, Force, Lock, Reload, show_to};
use crate::session::Session;
use crate::{limits, memory};
use alarm::Alarm;
use deadlines::Deadlines;
use denials::Denials;
use links::{Announced, Links};
use lockout::Lockouts;
use logging::Log;
use names::Names;
use notify::Notify;
use onetime::OneTime;
use privileges::Privileges;
use quota::{Line, Quota};
use record::{EventLog, Record};
use troubles::Troubles;
use viewers::Viewers;

/// Arguments of `knockctl run`.
#[derive(clap::Args, Clone, Debug)]
pub struct RunArgs {
    /// The config file
    #[arg(short, long, value_name = "FILE", default_value = DEFAULT_CONFIG)]
    pub config: PathBuf,
    /// Deny nothing: count and log what would be denied
    #[arg(long)]
    pub observe: bool,
    /// Take the gate down again after this time, unless `knockctl confirm` is said
    #[arg(long, value_name = "SPAN", value_parser = crate::settings::span::span)]
    pub trial: Option<Duration>,
}

/// What is told while it is so.
const NOT_NOTED: &str = "`knockctl` does not see that the daemon runs, nor what becomes of a reload";

/// How often the grant table is looked through while it holds grants.
const SWEEP: Duration = Duration::from_secs(1);
/// The same while it holds none: `knockctl allow` writes to it without telling.
const IDLE_SWEEP: Duration = Duration::from_secs(5);

/// How many times as long as a sweep took there is none: sweeps take a twenty-first of a CPU at most. Grants end in
/// time without them.
const SHARE: u32 = 20;
/// The same while there are more than one sweep takes out: they keep room from others.
const SHARE_BEHIND: u32 = 4;
/// Grants that a sweep has taken out, of which what they took in memory is worth giving back.
const MANY: usize = 4096;

/// How long after a change of the gate a spare program is loaded: where everything starts, others need the CPU more.
const CALM: Duration = Duration::from_secs(2);

/// How long no events are read after as many as are read at once: who can make the kernel tell of a million a second is not to have a CPU of
/// the host for that. What does not fit into the ring buffer meanwhile is counted.
const BREATH: Duration = Duration::from_millis(20);

/// How long hooks are waited for at the end; `knockctl unload` waits longer.
const WIND_UP: Duration = Duration::from_secs(5);

/// Runs the daemon until it is told to end.
///
/// # Errors
///
/// A config with errors, another daemon, or a gate that cannot be put up.
pub fn run(args: &RunArgs, paths: &Paths, verbosity: u8) -> Result<()> {
    memory::be_sparing();
    let (mut config, findings) = Config::load(&args.config).map_err(refusal)?;
    let output = Log::open(&config.options.log)?;
    logging::start(&output, verbosity)?;
    findings.iter().for_each(|finding| output.finding(finding));
    tell_of_faults(&config, &output);
    crate::firewall::need_root()?;
    limits::raise(&config)?;
    if let Some(warning) = Session::own().and_then(|session| session.warning(&config, paths)) {
        warn!("{warning}");
    }
    let (lock, locked) = Lock::take_or_go_on(paths)?;
    // With the rights that there are now: later there are none to give it away. What goes wrong is told below.
    let _ = show_to(paths, config.options.status_group);
    if args.trial.is_some() {
        trial::need_no_gate(paths)?;
    }
    let trial_until = args.trial.map_or(0, trial::end_of);
    // What was said to another daemon.
    Force::take(paths);
    let manner = Manner { trace: verbosity >= 2, observe: args.observe, trial_until, force: false };
    let mut settled = crate::onetime::settle_pinned(&mut config, paths);
    let hooks = Keeper::open(paths, &config, boot_now());
    let firewall = Firewall::start(&config, paths, manner)?;
    crate::firewall::warn_of_filters(&config);
    let mut privileges = Privileges::default();
    privileges.settle(&config, hooks.owed())?;
    // With the rights that there are when a use has to be marked.
    if !settled.failed {
        settled.said.extend(crate::onetime::rehearse(&config));
    }
    let info = DaemonInfo::this(&std::path::absolute(&args.config)?, config.options.status_group);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut daemon = Daemon {
        paths: paths.clone(),
        state: firewall.state()?,
        names: Names::of(&config, manner.observe),
        log: EventLog::new(paths),
        hooks,
        one_time: OneTime::default(),
        lockouts: Lockouts::new(&config),
        swapped: false,
        lost: u64::MAX,
        unread: 0,
        stale: false,
        stock_at: Some(Instant::now() + CALM),
        troubles: Troubles::default(),
        deadlines: Deadlines::default(),
        next_sweep: Instant::now(),
        next_look: Instant::now(),
        next_retry: Instant::now(),
        rest: Instant::now(),
        denials: Denials::new(config.options.log_denied_rate),
        quota: Quota::new(config.options.log_rate),
        breath: None,
        manner,
        firewall,
        config,
        output,
        info,
        notify: Notify::new(),
        privileges,
        viewers: Viewers::new(paths),
        trial: None,
        is_noted: false,
        lock,
    };
    daemon.troubles.tell(NOT_NOTED, locked);
    if let Some(span) = args.trial {
        daemon.try_gate(span, trial_until);
    }
    daemon.note_one_time(settled.said, settled.failed);
    memory::give_back();
    runtime.block_on(daemon.serve())
}

/// All that the daemon reacts to.
enum Event {
    Kernel(ring::Read),
    Links(Announced),
    Hook(Finished),
    Tick,
    Reload,
    Confirm,
    Stop,
    /// Another daemon comes next: the gate stays, whatever the config says.
    MakeRoom,
}

struct Daemon {
    paths: Paths,
    config: Config,
    firewall: Firewall,
    state: State,
    names: Names,
    output: Log,
    log: EventLog,
    info: DaemonInfo,
    hooks: Keeper,
    notify: Notify,
    privileges: Privileges,
    viewers: Viewers,
    one_time: OneTime,
    lockouts: Lockouts,
    /// Other rules were put in force: another program runs, and tells of its verdicts elsewhere.
    swapped: bool,
    /// Events that the kernel could not tell of, as last seen.
    lost: u64,
    /// Events that were not read, as last written down.
    unread: u64,
    /// The state is that of rules before the last reload: it could not be opened anew.
    stale: bool,
    /// When a spare program is loaded.
    stock_at: Option<Instant>,
    /// What fails again and again.
    troubles: Troubles,
    deadlines: Deadlines,
    next_sweep: Instant,
    /// When pins and links are looked after, if no sweep comes first.
    next_look: Instant,
    /// Not before then are interfaces tried again that were refused.
    next_retry: Instant,
    /// Until when there is no sweep.
    rest: Instant,
    denials: Denials,
    quota: Quota,
    /// Until when no events are read.
    breath: Option<Instant>,
    manner: Manner,
    trial: Option<trial::Trial>,
    /// What `knockctl` is to know of the daemon is written.
    is_noted: bool,
    /// The last to go.
    lock: Lock,
}

impl Daemon {
    async fn serve(mut self) -> Result<()> {
        let mut hangup = signal(SignalKind::hangup())?;
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut confirm = signal(SignalKind::user_defined1())?;
        let mut make_room = signal(SignalKind::user_defined2())?;
        let ring = self.firewall.events()?;
        // SAFETY: the reader owns the descriptor of its map and keeps it open until it is dropped.
        let mut ring = unsafe { AsyncFd::register_with_interest(ring, Interest::READABLE) }
            .map_err(|error| anyhow::anyhow!("events cannot be awaited: {error}"))?;
        let mut trace = trace::start(&mut self.firewall, self.manner.trace);
        let mut links = Links::open()?;
        let mut alarm = Alarm::new()?;
        // What has come since the interfaces were listed.
        self.follow_links();
        // Only now may it be told something: the signals are caught.
        self.leave_notes();
        // Before anybody hears of the gate: the first denials are logged too.
        self.on_refill();
        self.viewers.admit(self.config.options.status_group);
        self.announce();
        self.log.append(&Record::of("start", self.standing()));
        self.notify.ready(&self.standing());
        loop {
            self.notify.turn();
            let wake = self.wake();
            let event = tokio::select! {
                finished = self.hooks.finished() => Event::Hook(finished),
                read = ring::drain(&mut ring), if self.breath.is_none() => Event::Kernel(read?),
                announced = links.next() => Event::Links(announced?),
                rung = alarm.at(wake) => { rung?; Event::Tick }
                _ = hangup.recv() => Event::Reload,
                _ = confirm.recv() => Event::Confirm,
                _ = terminate.recv() => Event::Stop,
                _ = interrupt.recv() => Event::Stop,
                _ = make_room.recv() => Event::MakeRoom,
            };
            match event {
                Event::Kernel(read) => {
                    read.events.iter().for_each(|event| self.on_kernel(event));
                    self.on_unread(read.unread);
                    if read.is_full {
                        self.breath = Some(Instant::now() + BREATH);
                    }
                }
                Event::Links(announced) => {
                    self.on_links(&announced);
                    self.notify.standing(&self.standing());
                }
                Event::Hook(finished) => self.hooks.on_finished(finished),
                Event::Tick => {
                    if self.trial_is_over() {
                        self.hooks.wind_up(WIND_UP).await;
                        self.note_hooks();
                        bail!("the trial was not confirmed: the gate is taken down");
                    }
                    self.on_tick();
                }
                Event::Confirm => self.on_confirm(),
                Event::Reload => self.on_reload(),
                Event::Stop => return self.on_stop().await,
                Event::MakeRoom => {
                    self.config.options.on_exit = OnExit::Keep;
                    return self.on_stop().await;
                }
            }
            if std::mem::take(&mut self.swapped) {
                trace = trace::restart(trace, &mut self.firewall, self.manner.trace);
            }
            self.note_hooks();
        }
    }

    fn announce(&self) {
        let level = if self.firewall.attached().is_empty() { Level::Warn } else { Level::Info };
        log!(level, "listening: {}", self.standing());
        if self.manner.observe {
            warn!("observing: nothing is denied; lines that say \"would deny\" tell what would be");
        }
    }

    /// Where the gate stands, or why it stands nowhere.
    fn standing(&self) -> String {
        let places: Vec<_> = self
            .firewall
            .attached()
            .iter()
            .map(|attached| format!("{} ({})", attached.name, attached.mode.name()))
            .collect();
        match self.firewall.nowhere() {
            Some(why) => format!("on no interface: NOTHING IS PROTECTED: {why}"),
            None => format!("{}: the gate stands", places.join(", ")),
        }
    }

    /// When there is next something to do.
    fn wake(&self) -> Instant {
        let own =
            [Some(self.next_sweep), Some(self.next_look), self.denials.renewal, self.deadlines.next().map(instant)];
        own.into_iter()
            .chain([self.breath, self.quota.renewal, self.stock_at])
            .chain([self.hooks.wake(), self.notify.wake(), self.trial_end(), self.lockouts.wake()])
            .flatten()
            .min()
            .unwrap_or(self.next_sweep)
    }

    /// A little after the end of the trial, so that it is over then.
    fn trial_end(&self) -> Option<Instant> {
        self.trial.as_ref().map(|trial| instant(trial.until) + Duration::from_millis(1))
    }

    fn on_kernel(&mut self, event: &KernelEvent) {
        let Some(kind) = Kind::from_number(event.kind) else { return };
        let is_told = kind == Kind::Denied || self.quota.admit(Line::Kernel(kind));
        match kind {
            // Who is not told of does not run out either.
            Kind::Stage if is_told => self.deadlines.set(event.source, event.door, event.until, event.step),
            Kind::Stage => self.deadlines.renew(event.source, event.door, event.until, event.step),
            Kind::Wrong | Kind::Opened | Kind::Extended | Kind::Closed | Kind::Refused | Kind::Spent => {
                self.deadlines.clear(event.source, event.door);
            }
            Kind::Denied if !self.denials.admit() => return,
            Kind::Denied => {}
        }
        if matches!(kind, Kind::Opened | Kind::Extended) {
            self.next_sweep = self.next_sweep.min(instant(event.until)).max(Instant::now()).max(self.rest);
        }
        if is_told {
            for record in self.names.records(event, kind) {
                self.note(&record);
            }
        }
        self.hooks.hear(event, kind, &self.state);
        self.hear_of_lockouts(event, kind);
        if self.uses_up(event.door, kind) {
            self.next_sweep = Instant::now();
        }
        if self.hooks.owed() > 0 {
            // A revoke tells nobody.
            self.next_sweep = self.next_sweep.min(Instant::now() + SWEEP).max(self.rest);
        }
    }

    /// Counts what the kernel's program tells and this version does not know, and says so when the first comes.
    fn on_unread(&mut self, count: u64) {
        if count == 0 {
            return;
        }
        if self.info.unread_events == 0 {
            let text = "events of another size or kind than this version knows are not read: the program is another \
                        version's: restart the daemon; `knockctl status` counts them";
            warn!("{text}");
            self.log.append(&Record::of("lost", text.to_owned()));
        }
        self.info.unread_events += count;
        self.next_sweep = self.next_sweep.min(Instant::now() + SWEEP).max(self.rest);
    }

    fn on_tick(&mut self) {
        let now = Instant::now();
        self.breath = self.breath.filter(|until| *until > now);
        if self.quota.renewal.is_some_and(|at| at <= now) {
            self.on_new_second();
        }
        for timeout in self.deadlines.take_due(boot_now()) {
            if !self.quota.admit(Line::Timeout) {
                continue;
            }
            let record = self.names.timeout(timeout.source, timeout.door, timeout.stage);
            self.note(&record);
        }
        if self.denials.renewal.is_some_and(|at| at <= now) {
            self.on_refill();
        }
        self.output.tell_lost();
        self.lock_out_due();
        if self.stock_at.take_if(|at| *at <= now).is_some()
            && let Err(error) = self.firewall.stock(&self.config)
        {
            debug!("no spare program: {error:#}");
        }
        let sweeps = self.next_sweep <= now;
        if sweeps || self.next_look <= now {
            self.look_after_gate(now);
            self.make_up();
        }
        if sweeps {
            if self.stale {
                self.reopen();
            }
            self.tell_lost_events();
            let swept = self.sweep();
            if self.troubles.tell("grants cannot be swept", swept).is_none() {
                self.next_sweep = now + IDLE_SWEEP;
            }
            self.check_one_time();
        }
        self.hooks.begin();
    }

    /// A look through the grants, and what follows from it. One through a million takes a while: the next comes
    /// only after many times as long.
    fn sweep(&mut self) -> Result<()> {
        let begun = Instant::now();
        if begun < self.rest {
            self.next_sweep = self.rest;
            return Ok(());
        }
        let locked_out = self.locked_out()?;
        let hooks = &self.hooks;
        let mut sites = self.lockouts.begin_sites();
        let Swept { expired, wanted, next } = self.state.sweep(|entry| {
            let source = entry.key.source;
            if let Some(sites) = sites.as_mut().filter(|_| !source.is_v4()) {
                sites.insert(source.site());
            }
            hooks.knows(entry.grant.door) || !locked_out.is_empty() && locked_out.contains(&source.site())
        })?;
        self.lockouts.take_sites(sites);
        for entry in &expired {
            if self.quota.admit(Line::Expired) {
                let record = self.names.expired(entry);
                self.note(&record);
            }
        }
        self.hooks.compare(&self.state, &wanted, &expired);
        self.sweep_lockouts(&wanted)?;
        if expired.len() >= MANY {
            drop((expired, wanted));
            memory::give_back();
        }
        let now = Instant::now();
        let has_more = next.is_some_and(|end| end <= boot_now());
        self.rest = now + (now - begun) * if has_more { SHARE_BEHIND } else { SHARE };
        let pause = if next.is_some() || self.hooks.owed() > 0 { SWEEP } else { IDLE_SWEEP };
        self.next_sweep = now + pause;
        if let Some(end) = next {
            self.next_sweep = self.next_sweep.min(instant(end) + Duration::from_millis(1));
        }
        self.next_sweep = self.next_sweep.max(self.rest);
        Ok(())
    }

    /// Lets the kernel tell of denials again, and says how many it left out.
    fn on_refill(&mut self) {
        let unlogged = self.state.counters().map(|counters| {
            counters.iter().find(|(counter, _)| *counter == Counter::DenialUnlogged).map_or(0, |(_, count)| *count)
        });
        if let Some(count) = self.troubles.tell("counters cannot be read", unlogged) {
            let count = self.denials.renew(count);
            if count > 0 {
                let text = format!("did not knock: {count} more left out of the log");
                self.note(&Record { count: Some(count), ..Record::of("denied", text) });
            }
        }
        let refilled = self.state.refill_tokens(self.denials.tokens());
        self.troubles.tell("denials are not logged", refilled);
    }

    /// Says how many lines the last second left out.
    fn on_new_second(&mut self) {
        for (what, count) in self.quota.renew() {
            let text = format!("{what}: {count} more left out of the log (options.log_rate)");
            self.note(&Record { count: Some(count.into()), ..Record::of(what, text) });
        }
    }

    fn on_reload(&mut self) {
        // Whatever becomes of the config: somebody may have rotated the log.
        if let Err(error) = self.output.reopen() {
            error!("{error:#}: the log goes on in the old file");
        }
        info!("re-reading config file: {}", self.config.path.display());
        self.notify.reloading();
        let force = Force::take(&self.paths);
        let error = self.reload(force).err().map(|error| format!("{error:#}"));
        if error.is_some() && self.trial.is_none() {
            // What was asked for is not to be tried with the next config.
            crate::runtime::Trial::end(&self.paths);
        }
        match &error {
            None => self.announce(),
            Some(error) => error!("reload: {error}: the gate goes on as it was"),
        }
        let text = error.as_ref().map_or_else(|| "reloaded".to_owned(), |error| format!("reload failed: {error}"));
        self.leave_word(error.clone());
        self.log.append(&Record::of("reload", text));
        match &error {
            Some(error) => self.notify.as_before(error),
            None => {
                self.notify.ready(&self.standing());
                // Behind it: nobody is to wait for this.
                tell_of_faults(&self.config, &self.output);
            }
        }
    }

    /// Leaves word for who has asked for other rules: they are in force, or why they are not.
    fn leave_word(&mut self, error: Option<String>) {
        self.info.reloads += 1;
        self.info.last_reload = Some(Reload { ok: error.is_none(), error });
        self.info.status_group = self.config.options.status_group;
        self.leave_notes();
    }

    /// Writes what `knockctl` is to know of the daemon. What cannot be written now is written later, and said once.
    fn leave_notes(&mut self) {
        let written = self.lock.make_up().and_then(|()| self.info.write(&self.paths));
        self.is_noted = self.troubles.tell(NOT_NOTED, written).is_some();
    }

    /// Makes up for what could not be written.
    fn make_up(&mut self) {
        if !self.is_noted || !self.lock.is_whole() {
            self.leave_notes();
        }
        self.firewall.tell_again();
        self.viewers.admit_again();
        self.note_trial();
    }

    fn reload(&mut self, force: bool) -> Result<()> {
        let (config, findings) = Config::load(&self.config.path).map_err(refusal)?;
        findings.iter().for_each(|finding| self.output.finding(finding));
        let is_same = config.options.log == self.config.options.log;
        let output = if is_same { None } else { Some(Log::open(&config.options.log)?) };
        let before = self.config.clone();
        self.put_in_force(config, force)?;
        self.rehearse_one_time();
        self.try_rules(before);
        if let Some(output) = output {
            self.output.replace(&output);
        }
        if let Err(error) = self.privileges.settle(&self.config, self.hooks.owed()) {
            error!("{error:#}");
        }
        Ok(())
    }

    /// Swaps the rules for those of `config`, which take the gate off its last interface only with `force`. With an
    /// error nothing has changed.
    fn put_in_force(&mut self, mut config: Config, force: bool) -> Result<()> {
        // A pin that somebody removed a moment ago would be gone with what is in its map.
        self.put_pins_back();
        // Also rules of a while ago, whose one-time sequences were used since.
        let settled = crate::onetime::settle_pinned(&mut config, &self.paths);
        self.swap(config, force)?;
        self.note_one_time(settled.said, settled.failed);
        Ok(())
    }

    /// The same where one-time sequences are settled.
    fn swap(&mut self, config: Config, force: bool) -> Result<()> {
        let now = boot_now();
        let changed = self.firewall.change(&config, Manner { force, ..self.manner });
        // From its end: the next one would have to wait for a spare program that is being loaded.
        self.stock_at = Some(Instant::now() + CALM);
        changed?;
        self.swapped = true;
        self.hooks.configure(&config, now);
        self.lockouts.configure(&config);
        self.viewers.admit(config.options.status_group);
        self.reopen();
        self.names = Names::of(&config, self.manner.observe);
        self.next_sweep = Instant::now();
        self.denials.set_rate(config.options.log_denied_rate);
        self.quota.set_rate(config.options.log_rate);
        self.config = config;
        memory::give_back();
        Ok(())
    }

    /// Opens the pinned state of the rules that are in force.
    fn reopen(&mut self) {
        let state = self.troubles.tell("the pins cannot be opened", self.firewall.state());
        self.stale = state.is_none();
        if let Some(state) = state {
            self.state = state;
        }
    }

    /// Says how many events the kernel could not tell of. Among them may be the denials that used the tokens up,
    /// which nobody would renew then.
    fn tell_lost_events(&mut self) {
        if self.unread != self.info.unread_events {
            self.unread = self.info.unread_events;
            let written = self.info.write(&self.paths);
            self.troubles.tell("it cannot be written down how many events were not read", written);
        }
        let Ok(counters) = self.state.counters() else { return };
        let lost = counters.iter().find(|(counter, _)| *counter == Counter::EventLost).map_or(0, |(_, count)| *count);
        let more = lost.saturating_sub(self.lost);
        self.lost = lost;
        if more > 0 {
            let text = format!("{more} events were lost: they came faster than they were read");
            self.note(&Record { count: Some(more), ..Record::of("lost", text) });
            self.on_refill();
        }
    }

    async fn on_stop(mut self) -> Result<()> {
        // Whoever ends it before he has confirmed does not want it.
        if self.on_trial_end()? {
            return Ok(());
        }
        let text = match self.config.options.on_exit {
            OnExit::Keep if self.firewall.attached().is_empty() => "shutting down: no interface has the gate",
            OnExit::Keep => "shutting down: the gate goes on standing",
            OnExit::Detach => {
                Firewall::unload(&self.paths).context("the gate cannot be taken down")?;
                self.hooks.end_all();
                "shutting down: the gate is taken down"
            }
        };
        self.notify.stopping(text);
        self.note(&Record::of("stop", text.to_owned()));
        self.hooks.wind_up(WIND_UP).await;
        self.note_hooks();
        Ok(())
    }

    /// The same for what there is to say of hooks.
    fn note_hooks(&mut self) {
        for said in self.hooks.take_said() {
            let level = said.level;
            let record = Record::of_hook(said);
            if level <= Level::Info {
                self.output.event_at(level, &record);
            } else {
                log!(level, "{}", record.text);
            }
            self.log.append(&record);
        }
    }

    /// Writes to the log and to the event log.
    fn note(&mut self, record: &Record) {
        self.output.event(record);
        self.log.append(record);
    }
}

/// Says what is loaded all the same, and does not protect: sequences that everybody knows, ports on which nothing listens.
fn tell_of_faults(config: &Config, output: &Log) {
    let published = remarks_on_published(config, Severity::Warning);
    published.iter().chain(&remarks_on_listeners(config)).for_each(|finding| output.finding(finding));
}

/// Without the lines of the file: they hold the sequences, and a log is read by many.
#[expect(clippy::needless_pass_by_value, reason = "for map_err")]
fn refusal(error: crate::config::ConfigError) -> anyhow::Error {
    anyhow::anyhow!("{error}")
}

/// A boot time in ns as an instant of this process.
fn instant(boot: u64) -> Instant {
    let left = boot.saturating_sub(boot_now());
    // A grant for good has no end; a day is as good as never.
    Instant::now() + Duration::from_nanos(left).min(Duration::from_secs(86_400))
}
