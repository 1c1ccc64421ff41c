//! What the daemon has to remember of one-time sequences while they are reconciled.

use std::time::Duration;

use knock_common::abi::event::Kind;
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
    /// True if an event of this door may have used a one-time sequence up.
    pub fn is_used_up(config: &Config, door: u32, kind: Kind) -> bool {
        matches!(kind, Kind::Opened | Kind::Extended | Kind::Closed | Kind::Refused | Kind::Spent)
            && config.door_by_tag(door).is_some_and(|door| door.one_time.is_some())
    }

    /// No use is noted in the kernel.
    pub fn end(&mut self) {
        *self = Self::default();
    }

    /// The next sequence is in force.
    pub fn linger(&mut self, now: Instant) {
        self.forget = Some(now + LINGER);
    }

    /// True once the uses may be forgotten that the files know.
    pub fn may_forget(&mut self, now: Instant) -> bool {
        *self.forget.get_or_insert(now + LINGER) <= now
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

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;
    use std::path::Path;

    use super::*;
    use crate::config::LogTarget;
    use crate::daemon::logging::Log;
    use crate::paths::Paths;
    use crate::runtime::EVENTS;

    /// A door `once` with a file of sequences, and a door `fixed` without.
    fn config(folder: &Path) -> Config {
        let sheet = folder.join("once.txt");
        fs::write(&sheet, "7000, 8000\n").unwrap();
        fs::set_permissions(&sheet, fs::Permissions::from_mode(0o600)).unwrap();
        let text = format!(
            "options.interfaces = [\"eth0\"]\nservices.s.ports = [22]\n\
             doors.once = {{ service = \"s\", one_time_sequences = {sheet:?} }}\n\
             doors.fixed = {{ service = \"s\", sequence = [1, 3, 2] }}\n"
        );
        Config::parse(&text, "k.toml").unwrap_or_else(|error| panic!("{error}")).0
    }

    fn logbook(folder: &Path) -> Logbook {
        let paths = Paths { run: folder.into(), ..Paths::below(folder) };
        Logbook::new(&config(folder), false, Log::open(&LogTarget::File(folder.join("log"))).unwrap(), &paths)
    }

    fn message(level: Level, text: &str) -> Message {
        Message { level, door: "once".to_owned(), text: text.to_owned() }
    }

    #[test]
    fn what_completes_a_door_may_use_its_sequence_up() {
        let folder = tempfile::tempdir().unwrap();
        let config = config(folder.path());
        let tag = |name: &str| config.doors.iter().find(|door| door.name.as_str() == name).unwrap().name.tag();
        for kind in [Kind::Opened, Kind::Extended, Kind::Closed, Kind::Refused, Kind::Spent] {
            assert!(OneTime::is_used_up(&config, tag("once"), kind), "{kind:?}");
            assert!(!OneTime::is_used_up(&config, tag("fixed"), kind), "{kind:?}");
        }
        for kind in [Kind::Stage, Kind::Wrong, Kind::Denied] {
            assert!(!OneTime::is_used_up(&config, tag("once"), kind), "{kind:?}");
        }
        assert!(!OneTime::is_used_up(&config, tag("once") + 1, Kind::Opened));
    }

    #[test]
    fn uses_are_forgotten_only_when_no_packet_can_be_on_its_way_through_the_old_rules() {
        let now = Instant::now();
        let mut one_time = OneTime::default();
        // The daemon came when the next rules were in force: since when, nobody knows.
        assert!(!one_time.may_forget(now) && !one_time.may_forget(now + LINGER - Duration::from_nanos(1)));
        assert!(one_time.may_forget(now + LINGER));
        one_time.linger(now + LINGER);
        assert!(!one_time.may_forget(now + LINGER) && one_time.may_forget(now + LINGER * 2));
        one_time.end();
        assert!(!one_time.may_forget(now + LINGER * 3));
    }

    #[test]
    fn what_fails_again_and_again_is_said_once_and_all_else_each_time() {
        let folder = tempfile::tempdir().unwrap();
        let (mut logbook, mut one_time) = (logbook(folder.path()), OneTime::default());
        let said =
            |text: &str| fs::read_to_string(folder.path().join(EVENTS)).unwrap_or_default().matches(text).count();
        for _ in 0..3 {
            let all = vec![message(Level::Error, "cannot be read"), message(Level::Info, "two are left")];
            one_time.note(all, true, &mut logbook);
        }
        assert_eq!((said("cannot be read"), said("two are left")), (1, 3));
        // It was mended, and is broken anew.
        one_time.note(Vec::new(), false, &mut logbook);
        one_time.note(vec![message(Level::Error, "cannot be read")], true, &mut logbook);
        assert_eq!(said("cannot be read"), 2);
        // That a door is shut, though nothing failed, is no such trouble.
        (0..2).for_each(|_| one_time.note(vec![message(Level::Error, "is shut")], false, &mut logbook));
        assert_eq!(said("is shut"), 2);
    }

    #[test]
    fn a_file_that_could_not_be_changed_is_warned_of_unless_that_is_known() {
        let folder = tempfile::tempdir().unwrap();
        let (config, mut logbook) = (config(folder.path()), logbook(folder.path()));
        let mut one_time = OneTime::default();
        let warned = || fs::read_to_string(folder.path().join(EVENTS)).unwrap_or_default().matches("cannot be").count();
        one_time.rehearse(&config, &mut logbook);
        assert_eq!(warned(), 0);
        fs::remove_file(folder.path().join("once.txt")).unwrap();
        one_time.rehearse(&config, &mut logbook);
        assert_eq!(warned(), 1);
        one_time.note(vec![message(Level::Error, "it is gone")], true, &mut logbook);
        one_time.rehearse(&config, &mut logbook);
        assert_eq!(warned(), 1);
    }
}
