//! What the daemon writes of events, to its log and to the event log, within the rates that the config gives.

use knock_common::abi::event::{Event, Kind};
use log::{Level, log};
use tokio::time::Instant;

use super::deadlines::Deadlines;
use super::denial_rate::Denials;
use super::event_log::{EventLog, Record};
use super::log_rate::{LineKind, LogRate};
use super::logging::Log;
use super::names::Names;
use super::rounds::instant;
use crate::config::Config;
use crate::grants::{Change, End};
use crate::hooks::HookMessage;
use crate::paths::Paths;

/// Both logs, and what is counted for them.
pub struct Logbook {
    output: Log,
    events: EventLog,
    names: Names,
    deadlines: Deadlines,
    denials: Denials,
    log_rate: LogRate,
}

impl Logbook {
    /// Nothing is written yet. `observe`: nothing is denied.
    pub fn new(config: &Config, observe: bool, output: Log, paths: &Paths) -> Self {
        Self {
            output,
            events: EventLog::new(paths),
            names: Names::of(config, observe),
            deadlines: Deadlines::default(),
            denials: Denials::new(config.options.log_denied_rate),
            log_rate: LogRate::new(config.options.log_rate),
        }
    }

    /// Goes on under another config.
    pub fn configure(&mut self, config: &Config, observe: bool) {
        self.names = Names::of(config, observe);
        self.denials.set_rate(config.options.log_denied_rate);
        self.log_rate.set_rate(config.options.log_rate);
    }

    /// Where lines go that are no events.
    pub const fn output(&self) -> &Log {
        &self.output
    }

    /// Writes to the log and to the event log.
    pub fn note(&mut self, record: &Record) {
        self.output.event(record);
        self.events.append(record);
    }

    /// The same, as loud as this.
    pub fn note_at(&mut self, level: Level, record: &Record) {
        self.output.event_at(level, record);
        self.events.append(record);
    }

    /// Writes to the event log what the log says in other words.
    pub fn append(&mut self, record: &Record) {
        self.events.append(record);
    }

    /// Writes what there is to say of hooks.
    pub fn note_hooks(&mut self, all: impl IntoIterator<Item = HookMessage>) {
        for said in all {
            let level = said.level;
            let record = Record::of_hook(said);
            if level <= Level::Info {
                self.note_at(level, &record);
            } else {
                log!(level, "{}", record.text);
                self.append(&record);
            }
        }
    }

    /// Writes what the kernel tells of. False for a denial that is only counted.
    pub fn hear(&mut self, event: &Event, kind: Kind) -> bool {
        let is_told = kind == Kind::Denied || self.log_rate.admit(LineKind::Kernel(kind));
        match kind {
            // Attempts that were never logged get no timeout line.
            Kind::Stage if is_told => self.deadlines.set(event.source, event.door, event.until, event.step),
            Kind::Stage => self.deadlines.renew(event.source, event.door, event.until, event.step),
            Kind::Wrong | Kind::Opened | Kind::Extended | Kind::Closed | Kind::Refused | Kind::Spent => {
                self.deadlines.clear(event.source, event.door);
            }
            Kind::Denied if !self.denials.admit() => return false,
            Kind::Denied
            | Kind::Elsewhere
            | Kind::Clock
            | Kind::Early
            | Kind::Mode
            | Kind::Outlived
            | Kind::Unlisted => {}
        }
        if is_told {
            for record in self.names.records(event, kind) {
                self.note(&record);
            }
        }
        true
    }

    /// Writes that a grant has ended with its time. What else becomes of one is in the words of its packet.
    pub fn hear_of(&mut self, change: &Change) {
        if let Change::Ended(life, End::Expired { door }) = change
            && self.log_rate.admit(LineKind::Expired)
        {
            let record = self.names.expired(&life.key, *door);
            self.note(&record);
        }
    }

    /// Writes which attempts have run out by `boot` (boot time in ns), and what the last second has left out.
    pub fn tick(&mut self, now: Instant, boot: u64) {
        if self.log_rate.renewal.is_some_and(|at| at <= now) {
            for (what, count) in self.log_rate.renew() {
                let text = format!("{what}: {count} more left out of the log (options.log_rate)");
                self.note(&Record { count: Some(count.into()), ..Record::of(what, text) });
            }
        }
        for timeout in self.deadlines.take_due(boot) {
            if self.log_rate.admit(LineKind::Timeout) {
                let record = self.names.timeout(timeout.source, timeout.door, timeout.stage);
                self.note(&record);
            }
        }
    }

    /// True once denials may be logged again.
    pub fn renews_denials(&self, now: Instant) -> bool {
        self.denials.renewal.is_some_and(|at| at <= now)
    }

    /// Begins the next second of denials, and writes how many were left out, `unlogged` being the kernel's count by now.
    pub fn renew_denials(&mut self, unlogged: u64) {
        let count = self.denials.renew(unlogged);
        if count > 0 {
            let text = format!("did not knock: {count} more left out of the log");
            self.note(&Record { count: Some(count), ..Record::of("denied", text) });
        }
    }

    /// Denials that each CPU may tell of in a second.
    pub fn tokens(&self) -> u64 {
        self.denials.tokens()
    }

    /// When there is next something to write.
    pub fn wake(&self) -> Option<Instant> {
        let times = [self.denials.renewal, self.deadlines.next().map(instant), self.log_rate.renewal];
        times.into_iter().flatten().min()
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;
    use std::time::Duration;

    use knock_common::abi::grant::{GrantKey, HOST_BITS};
    use knock_common::addr::Addr;

    use super::*;
    use crate::config::LogTarget;
    use crate::grants::Life;
    use crate::runtime::EVENTS;

    const CONFIG: &str = "[options]\ninterfaces = [\"eth0\"]\nlog_rate = 2\nlog_denied_rate = 1\n[services.s]\n\
        ports = [\"22/tcp\"]\n[doors.d]\nservice = \"s\"\nsequence = [\"1/tcp\", \"2/tcp\"]\ncmd_timeout = \"1m\"\n";
    const RUNS_OUT: u64 = 5;

    fn logbook(folder: &Path) -> Logbook {
        let (config, _) = Config::parse(CONFIG, "test.toml").unwrap();
        let paths = Paths { run: folder.into(), ..Paths::below(folder) };
        Logbook::new(&config, false, Log::open(&LogTarget::File(folder.join("log"))).unwrap(), &paths)
    }

    fn event(kind: Kind, source: u8) -> Event {
        let source = Addr::from_v4([192, 0, 2, source]);
        Event { source, kind: kind as u8, until: RUNS_OUT, step: 1, ..Event::NONE }
    }

    /// How many lines the event log has of each of these events.
    fn written<const N: usize>(folder: &Path, events: [&str; N]) -> [usize; N] {
        let text = fs::read_to_string(folder.join(EVENTS)).unwrap();
        events.map(|event| text.matches(&format!("\"event\":\"{event}\"")).count())
    }

    #[test]
    fn a_flood_has_its_share_of_the_log_and_the_rest_is_counted() {
        let folder = tempfile::tempdir().unwrap();
        let mut logbook = logbook(folder.path());
        for source in 0..10 {
            assert!(logbook.hear(&event(Kind::Wrong, source), Kind::Wrong));
        }
        assert!(logbook.hear(&event(Kind::Opened, 1), Kind::Opened));
        let denials = (0..10).filter(|source| logbook.hear(&event(Kind::Denied, *source), Kind::Denied)).count();
        assert_eq!(denials, 1);
        assert_eq!(written(folder.path(), ["wrong", "opened", "denied"]), [2, 1, 1]);
        // Those of denials are counted from a moment later on.
        let later = logbook.wake().unwrap() + Duration::from_secs(1);
        logbook.tick(later, 0);
        assert!(logbook.renews_denials(later));
        logbook.renew_denials(0);
        assert_eq!(written(folder.path(), ["wrong", "opened", "denied"]), [3, 1, 2]);
        let text = fs::read_to_string(folder.path().join("log")).unwrap();
        assert!(text.contains("wrong: 8 more left out") && text.contains("did not knock: 9 more left out"), "{text}");
    }

    #[test]
    fn the_end_of_a_grant_is_written_if_no_packet_tells_of_it() {
        let folder = tempfile::tempdir().unwrap();
        let mut logbook = logbook(folder.path());
        let key = GrantKey { source: Addr::from_v4([192, 0, 2, 7]), service: 0, bits: HOST_BITS };
        for why in [End::Closed, End::Superseded, End::Removed, End::GateDown, End::Expired { door: 0 }] {
            logbook.hear_of(&Change::Ended(Life { key, since: 1 }, why));
        }
        assert_eq!(written(folder.path(), ["expired", "closed"]), [1, 0]);
        let text = fs::read_to_string(folder.path().join("log")).unwrap();
        assert!(text.contains("192.0.2.7: (no longer configured): expired") && text.lines().count() == 1, "{text}");
    }

    #[test]
    fn attempts_that_were_never_logged_get_no_timeout_line() {
        let folder = tempfile::tempdir().unwrap();
        let mut logbook = logbook(folder.path());
        (1..=5).for_each(|source| assert!(logbook.hear(&event(Kind::Stage, source), Kind::Stage)));
        // One of the two that were logged ends by a wrong knock.
        logbook.hear(&event(Kind::Wrong, 1), Kind::Wrong);
        logbook.tick(Instant::now(), RUNS_OUT);
        assert_eq!(written(folder.path(), ["stage", "wrong", "timeout"]), [2, 1, 1]);
    }
}
