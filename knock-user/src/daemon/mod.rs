//! The daemon: reads the kernel's events, logs them, sweeps expired grants, reloads on SIGHUP. The
//! gate does not need it: without it everything goes on but the log.

mod alarm;
mod breath;
mod confirming;
mod deadlines;
mod denial_rate;
mod event_log;
mod following;
mod latest;
mod lockout;
mod log_rate;
mod logbook;
mod logging;
mod lost_events;
mod names;
mod netlink;
mod notes;
mod notify;
mod onetime;
mod peer_groups;
mod privileges;
mod reconciling;
mod reload;
mod ring;
mod rounds;
mod stock;
mod sweep;
mod trace;
mod trial;
mod troubles;
mod viewers;

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use knock_common::abi::event::{Event as KernelEvent, Kind};
use log::{Level, debug, log, warn};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::Instant;

use crate::config::{Config, DEFAULT_CONFIG, OnExit, Severity, remarks_on_listeners, remarks_on_published};
use crate::grants::{Change, Lives};
use crate::hooks::{Finished, HookManager};
use crate::kernel::{Firewall, Manner, State, boot_now};
use crate::paths::Paths;
use crate::runtime::{DaemonInfo, Force, Lock, show_to};
use crate::session::Session;
use crate::{limits, memory};
use alarm::Alarm;
use breath::Breath;
use event_log::Record;
use following::{Following, Gate as _, Telling};
use latest::Latest;
use lockout::Lockouts;
use logbook::Logbook;
use logging::Log;
use lost_events::LostEvents;
use netlink::{Announced, Links};
use notes::Notes;
use notify::Notify;
use onetime::OneTime;
use privileges::Privileges;
use rounds::{Rounds, instant};
use stock::Stock;
use trace::Trace;
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
    #[arg(long, value_name = "SPAN", value_parser = crate::syntax::span::span)]
    pub trial: Option<Duration>,
}

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
    crate::kernel::need_root()?;
    crate::host::random::tell_while_waiting(notify::wait_for_random);
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
    let mut reconciled = crate::reconcile::reconcile_pinned(&mut config, paths);
    let hooks = HookManager::open(paths, &config, boot_now());
    let mut grants = Lives::new(hooks.lives());
    grants.configure(&config);
    let firewall = Firewall::start(&config, paths, manner)?;
    crate::kernel::warn_of_filters(&config);
    let mut privileges = Privileges::default();
    privileges.adjust(&config, hooks.owed())?;
    // With the rights that there are when a use has to be marked.
    if !reconciled.failed {
        reconciled.said.extend(crate::reconcile::rehearse(&config));
    }
    let info = DaemonInfo::this(&std::path::absolute(&args.config)?, config.options.status_group);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut troubles = Troubles::default();
    let mut daemon = Daemon {
        paths: paths.clone(),
        state: Latest::new(firewall.state()?),
        logbook: Logbook::new(&config, manner.observe, output, paths),
        rounds: Rounds::new(Instant::now()),
        grants,
        hooks,
        one_time: OneTime::default(),
        lockouts: Lockouts::new(&config),
        lost_events: LostEvents::default(),
        stock: Stock::after(Instant::now()),
        breath: Breath::default(),
        trace: Trace::new(manner.trace),
        following: Following::new(Instant::now()),
        manner,
        firewall,
        config,
        notify: Notify::new(),
        privileges,
        viewers: Viewers::new(paths),
        trial: None,
        notes: Notes::new(paths, info, lock, locked, &mut troubles),
        troubles,
    };
    if let Some(span) = args.trial {
        daemon.try_gate(span, trial_until);
    }
    daemon.one_time.note(reconciled.said, reconciled.failed, &mut daemon.logbook);
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
    /// The pins of the rules that are in force.
    state: Latest<State>,
    logbook: Logbook,
    rounds: Rounds,
    grants: Lives,
    hooks: HookManager,
    notify: Notify,
    privileges: Privileges,
    viewers: Viewers,
    one_time: OneTime,
    lockouts: Lockouts,
    lost_events: LostEvents,
    stock: Stock,
    breath: Breath,
    trace: Trace,
    following: Following,
    /// What fails again and again.
    troubles: Troubles,
    manner: Manner,
    trial: Option<trial::Trial>,
    /// With the lock: the last to go.
    notes: Notes,
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
        self.trace.follow(&mut self.firewall);
        let mut links = Links::open()?;
        let mut alarm = Alarm::new()?;
        // What has come since the interfaces were listed.
        let mut telling = Telling { troubles: &mut self.troubles, logbook: &mut self.logbook };
        Following::follow(&mut self.firewall, &mut telling);
        // Only now may it be told something: the signals are caught.
        self.notes.leave(&mut self.troubles);
        // Before anybody hears of the gate: the first denials are logged too.
        self.on_refill();
        self.viewers.admit(self.config.options.status_group);
        self.announce();
        let started = Record::of("start", self.standing());
        self.logbook.append(&started);
        self.notify.ready(&self.standing());
        loop {
            self.notify.turn();
            let wake = self.wake();
            let event = tokio::select! {
                finished = self.hooks.finished() => Event::Hook(finished),
                read = ring::drain(&mut ring), if !self.breath.lasts() => Event::Kernel(read?),
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
                        self.breath.take(Instant::now());
                    }
                }
                Event::Links(announced) => {
                    let mut telling = Telling { troubles: &mut self.troubles, logbook: &mut self.logbook };
                    Following::hear(&announced, &mut self.firewall, &mut telling);
                    self.notify.standing(&self.standing());
                }
                Event::Hook(finished) => self.hooks.on_finished(finished),
                Event::Tick => {
                    if self.trial_is_over() {
                        self.hooks.wind_up(WIND_UP).await;
                        self.logbook.note_hooks(self.hooks.take_said());
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
            self.logbook.note_hooks(self.hooks.take_said());
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
        self.firewall.standing()
    }

    /// When there is next something to do.
    fn wake(&self) -> Instant {
        let parts = [
            self.hooks.wake(),
            self.notify.wake(),
            self.trial_end(),
            self.lockouts.wake(),
            self.logbook.wake(),
            self.breath.wake(),
            self.stock.wake(),
        ];
        parts.into_iter().flatten().fold(self.rounds.wake(), Instant::min)
    }

    /// A little after the end of the trial, so that it is over then.
    fn trial_end(&self) -> Option<Instant> {
        self.trial.as_ref().map(|trial| instant(trial.until) + Duration::from_millis(1))
    }

    fn on_kernel(&mut self, event: &KernelEvent) {
        let Some(kind) = Kind::from_number(event.kind) else { return };
        if !self.logbook.hear(event, kind) {
            return;
        }
        if matches!(kind, Kind::Opened | Kind::Extended) {
            self.rounds.sweep_by(event.until);
        }
        let changes = self.grants.hear(event, kind, &*self.state, &|door| self.hooks.follows(door));
        if !changes.is_empty() {
            self.on_grants(&changes, HookManager::hear);
        }
        self.lockouts.hear_of(event, kind, self.manner.observe);
        if OneTime::is_used_up(&self.config, event.door, kind) {
            self.rounds.hurry_now();
        }
        if self.hooks.owed() > 0 {
            // A revoke tells nobody.
            self.rounds.sweep_soon();
        }
    }

    /// Hands on what has become of grants, to the hooks in their way.
    fn on_grants(&mut self, changes: &[Change], hooks: impl FnOnce(&mut HookManager, &[Change])) {
        changes.iter().for_each(|change| self.logbook.hear_of(change));
        hooks(&mut self.hooks, changes);
        changes.iter().for_each(|change| self.lockouts.let_off(change, &self.state));
    }

    /// The gate was taken down, and every grant has ended with it.
    fn on_gate_down(&mut self) {
        let changes = self.grants.end_all();
        self.on_grants(&changes, HookManager::hear);
    }

    /// Counts what the kernel's program tells and this version does not know, and says so when the first comes.
    fn on_unread(&mut self, count: u64) {
        if count == 0 {
            return;
        }
        if self.notes.count_unread(count) {
            let text = "events of another size or kind than this version knows are not read: the program is another \
                        version's: restart the daemon; `knockctl status` counts them";
            warn!("{text}");
            self.logbook.append(&Record::of("lost", text.to_owned()));
        }
        self.rounds.sweep_soon();
    }

    fn on_tick(&mut self) {
        let now = Instant::now();
        self.breath.tick(now);
        self.logbook.tick(now, boot_now());
        if self.logbook.renews_denials(now) {
            self.on_refill();
        }
        self.logbook.output().tell_lost();
        self.lockouts.lock_out_due(&self.config, &self.state, &mut self.troubles, &mut self.logbook);
        if self.stock.is_due(now)
            && let Err(error) = self.firewall.stock(&self.config)
        {
            debug!("no standby program: {error:#}");
        }
        let sweeps = self.rounds.sweeps(now);
        if self.rounds.looks(now) {
            self.rounds.looked(now);
            let mut telling = Telling { troubles: &mut self.troubles, logbook: &mut self.logbook };
            if self.following.look_after(now, &mut self.firewall, &mut telling) {
                self.notify.standing(&self.standing());
            }
            self.make_up();
        }
        if sweeps {
            if self.state.is_behind() {
                self.reopen();
            }
            self.tell_lost_events();
            let swept = self.sweep();
            if self.troubles.tell("grants cannot be swept", swept).is_none() {
                self.rounds.failed(now);
            }
            self.check_one_time();
        }
        self.hooks.begin();
    }

    /// Makes up for what could not be written.
    fn make_up(&mut self) {
        self.notes.make_up(&mut self.troubles);
        self.firewall.tell_again();
        self.viewers.admit_again();
        self.note_trial();
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
                self.on_gate_down();
                "shutting down: the gate is taken down"
            }
        };
        self.notify.stopping(text);
        self.logbook.note(&Record::of("stop", text.to_owned()));
        self.hooks.wind_up(WIND_UP).await;
        self.logbook.note_hooks(self.hooks.take_said());
        Ok(())
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
