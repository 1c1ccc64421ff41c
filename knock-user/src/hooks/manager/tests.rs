//! The hook manager against a table in memory; the hooks themselves are real.

use std::cell::RefCell;
use std::path::{Path, PathBuf};

use knock_common::abi::event::Event;
use knock_common::abi::grant::{FOR_GOOD, Grant, GrantKey, HOST_BITS, Origin};
use knock_common::abi::rules::Name;

use crate::grants::Table;
use crate::hooks::manager::*;
use crate::kernel::GrantEntry;

const CONFIG: &str = r#"
    options.interfaces = ["eth0"]
    services.ssh.ports = [22]
    services.web.ports = [80]
    doors.both = { service = "ssh", sequence = [7, 9, 8], start_command = "echo both+ %IP% >> LOG", stop_command = "echo both- %IP% >> LOG" }
    doors.other = { service = "ssh", sequence = [17, 19, 18], start_command = "echo other+ >> LOG", stop_command = "echo other- >> LOG" }
    doors.start = { service = "ssh", sequence = [27, 29, 28], start_command = "echo $KNOCK_EVENT >> LOG" }
    doors.stop = { service = "web", sequence = [37, 39, 38], stop_command = "echo stop- >> LOG" }
    doors.shut = { service = "ssh", action = "close", sequence = [47, 49, 48], start_command = "echo shut >> LOG" }
    doors.plain = { service = "ssh", sequence = [57, 59, 58] }
"#;

/// A kernel's table.
#[derive(Default)]
struct Grants(RefCell<HashMap<GrantKey, Grant>>);

impl Table for Grants {
    fn get(&self, key: &GrantKey) -> Result<Option<Grant>> {
        Ok(self.0.borrow().get(key).copied())
    }
}

/// A table that cannot be read.
struct Unreadable;

impl Table for Unreadable {
    fn get(&self, _: &GrantKey) -> Result<Option<Grant>> {
        bail!("it cannot be read")
    }
}

/// A host with hooks that write into a file.
struct Lab {
    folder: tempfile::TempDir,
    runtime: tokio::runtime::Runtime,
    table: Grants,
    lives: Lives,
    manager: HookManager,
}

fn tag(name: &str) -> u32 {
    Name::new(name).unwrap().tag()
}

fn key(service: &str, last: u8) -> GrantKey {
    GrantKey { source: Addr::from_v4([192, 0, 2, last]), service: tag(service), bits: HOST_BITS }
}

fn config(folder: &Path, text: &str) -> Config {
    let text = text.replace("LOG", &folder.join("log").display().to_string());
    Config::parse(&text, "k.toml").unwrap().0
}

/// What a daemon begins with.
fn open(folder: &Path, text: &str, now: u64) -> (Lives, HookManager) {
    let config = config(folder, text);
    let manager = HookManager::open(&Paths::below(folder), &config, now);
    let mut lives = Lives::new(manager.lives());
    lives.configure(&config);
    (lives, manager)
}

impl Lab {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let (lives, manager) = open(folder.path(), CONFIG, 0);
        Self { folder, runtime, table: Grants::default(), lives, manager }
    }

    /// Other rules.
    fn configure(&mut self, text: &str, now: u64) {
        let config = config(self.folder.path(), text);
        self.manager.configure(&config, now);
        self.lives.configure(&config);
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("log")
    }

    /// What the hooks have written, in its order, once all have ended.
    fn log(&mut self) -> Vec<String> {
        let manager = &mut self.manager;
        self.runtime.block_on(async {
            manager.begin();
            while manager.runner.running() > 0 {
                let finished = manager.finished().await;
                manager.on_finished(finished);
            }
        });
        std::fs::read_to_string(self.path()).unwrap_or_default().lines().map(str::to_owned).collect()
    }

    fn event(&mut self, kind: Kind, door: &str, service: &str, last: u8, at: u64) {
        let key = key(service, last);
        let event = Event {
            at,
            until: FOR_GOOD,
            source: key.source,
            door: tag(door),
            service: key.service,
            port: 8,
            kind: kind as u8,
            step: 3,
            transport: 6,
            bits: 128,
            ..Event::NONE
        };
        let _inside = self.runtime.enter();
        let changes = self.lives.hear(&event, kind, &self.table, &|door| self.manager.follows(door));
        self.manager.hear(&changes);
    }

    fn grant(&self, door: &str, service: &str, last: u8, since: u64) {
        let grant = Grant { until: FOR_GOOD, since, door: tag(door), origin: Origin::Knock as u32, ..Grant::NONE };
        self.table.0.borrow_mut().insert(key(service, last), grant);
    }

    /// A door writes a grant, and the event comes.
    fn open(&mut self, door: &str, service: &str, last: u8, since: u64) {
        self.grant(door, service, last, since);
        self.event(Kind::Opened, door, service, last, since);
    }

    fn end(&self, service: &str, last: u8) {
        self.table.0.borrow_mut().remove(&key(service, last));
    }

    fn sweep(&mut self) {
        self.look(Vec::new());
    }

    /// A sweep that takes these out.
    fn look(&mut self, expired: Vec<GrantEntry>) {
        let follows = |door| self.manager.follows(door);
        let mut look = self.lives.look(&follows);
        let mut live: Vec<_> =
            self.table.0.borrow().iter().map(|(key, grant)| GrantEntry { key: *key, grant: *grant }).collect();
        live.retain(|entry| look.see(entry));
        let changes = look.end(&self.table, &live, expired);
        let _inside = self.runtime.enter();
        self.manager.look(&changes);
    }

    /// `kill -9`, and another daemon.
    fn restart(&mut self, text: &str, now: u64) {
        (self.lives, self.manager) = open(self.folder.path(), text, now);
    }
}

#[test]
fn a_grant_has_one_start_and_one_stop() {
    let mut lab = Lab::new();
    lab.open("both", "ssh", 7, 100);
    assert_eq!(lab.log(), ["both+ 192.0.2.7"]);
    for _ in 0..3 {
        lab.event(Kind::Extended, "both", "ssh", 7, 150);
        lab.sweep();
    }
    assert_eq!(lab.log(), ["both+ 192.0.2.7"]);
    lab.end("ssh", 7);
    for _ in 0..3 {
        lab.sweep();
    }
    assert_eq!(lab.log(), ["both+ 192.0.2.7", "both- 192.0.2.7"]);
    assert_eq!(lab.manager.owed(), 0);
}

#[test]
fn without_a_stop_command_every_knock_runs_the_start_command() {
    let mut lab = Lab::new();
    lab.open("start", "ssh", 7, 100);
    lab.event(Kind::Extended, "start", "ssh", 7, 150);
    lab.sweep();
    assert_eq!(lab.log(), ["opened", "extended"]);
    lab.end("ssh", 7);
    lab.sweep();
    assert_eq!(lab.log(), ["opened", "extended"]);
    assert!(lab.manager.journal.debts().is_empty());
}

#[test]
fn what_extends_a_grant_again_and_again_waits_once_for_each_source() {
    let mut lab = Lab::new();
    lab.open("start", "ssh", 7, 100);
    lab.open("start", "ssh", 8, 100);
    for at in 0..60 {
        lab.event(Kind::Extended, "start", "ssh", 7, 150 + at);
        lab.event(Kind::Extended, "start", "ssh", 8, 150 + at);
    }
    let mut lines = lab.log();
    lines.sort();
    assert_eq!(lines, ["extended", "extended", "opened", "opened"]);
    // A later one is told again, and nothing is owed for those that were not.
    lab.event(Kind::Extended, "start", "ssh", 7, 300);
    assert_eq!(lab.log().len(), 5);
    lab.end("ssh", 7);
    lab.end("ssh", 8);
    lab.sweep();
    assert!(lab.manager.journal.debts().is_empty());
}

#[test]
fn every_door_of_a_grant_is_undone() {
    let mut lab = Lab::new();
    lab.open("both", "ssh", 7, 100);
    lab.event(Kind::Extended, "other", "ssh", 7, 150);
    lab.event(Kind::Extended, "other", "ssh", 7, 160);
    lab.event(Kind::Extended, "plain", "ssh", 7, 170);
    assert_eq!(lab.log(), ["both+ 192.0.2.7", "other+"]);
    lab.end("ssh", 7);
    lab.sweep();
    assert_eq!(lab.log()[2..], ["both- 192.0.2.7", "other-"]);
}

#[test]
fn a_grant_that_was_ended_and_written_again_between_two_sweeps_is_undone_first() {
    let mut lab = Lab::new();
    lab.open("both", "ssh", 7, 100);
    lab.open("both", "ssh", 7, 200);
    assert_eq!(lab.log(), ["both+ 192.0.2.7", "both- 192.0.2.7", "both+ 192.0.2.7"]);
    lab.sweep();
    assert_eq!(lab.manager.owed(), 1);
    // The same, but the second event was lost.
    lab.grant("both", "ssh", 7, 300);
    lab.sweep();
    assert_eq!(lab.log()[3..], ["both- 192.0.2.7", "both+ 192.0.2.7"]);
}

#[test]
fn a_grant_that_has_ended_before_its_event_came_is_undone_too() {
    let mut lab = Lab::new();
    lab.event(Kind::Opened, "both", "ssh", 7, 100);
    lab.sweep();
    assert_eq!(lab.log(), ["both+ 192.0.2.7", "both- 192.0.2.7"]);
    lab.event(Kind::Extended, "both", "ssh", 8, 100);
    lab.sweep();
    assert_eq!(lab.log()[2..], ["both+ 192.0.2.8", "both- 192.0.2.8"]);
}

#[test]
fn an_event_that_comes_late_is_not_about_a_younger_grant() {
    let mut lab = Lab::new();
    lab.open("both", "ssh", 7, 100);
    lab.grant("other", "ssh", 7, 300);
    lab.event(Kind::Extended, "both", "ssh", 7, 200);
    lab.event(Kind::Opened, "other", "ssh", 7, 300);
    assert_eq!(lab.log(), ["both+ 192.0.2.7", "both- 192.0.2.7", "other+"]);
}

#[test]
fn events_that_come_late_run_one_start_and_one_stop() {
    let mut lab = Lab::new();
    lab.grant("other", "ssh", 7, 300);
    lab.sweep();
    lab.event(Kind::Opened, "both", "ssh", 7, 100);
    lab.event(Kind::Extended, "both", "ssh", 7, 150);
    lab.event(Kind::Opened, "other", "ssh", 7, 300);
    lab.sweep();
    assert_eq!(lab.log(), ["other+", "both+ 192.0.2.7", "both- 192.0.2.7"]);
}

#[test]
fn of_two_doors_at_once_the_one_that_has_the_grant_is_undone_when_it_ends() {
    let mut lab = Lab::new();
    lab.grant("both", "ssh", 7, 100);
    lab.event(Kind::Opened, "other", "ssh", 7, 101);
    lab.event(Kind::Opened, "both", "ssh", 7, 100);
    lab.sweep();
    assert_eq!(lab.log(), ["other+", "both+ 192.0.2.7", "other-"]);
    lab.end("ssh", 7);
    lab.sweep();
    assert_eq!(lab.log()[3..], ["both- 192.0.2.7"]);
}

#[test]
fn a_close_door_undoes_and_then_runs_its_own() {
    let mut lab = Lab::new();
    lab.open("both", "ssh", 7, 100);
    lab.end("ssh", 7);
    lab.event(Kind::Closed, "shut", "ssh", 7, 150);
    lab.event(Kind::Closed, "shut", "ssh", 7, 160);
    assert_eq!(lab.log(), ["both+ 192.0.2.7", "both- 192.0.2.7", "shut", "shut"]);
}

#[test]
fn what_was_refused_runs_nothing() {
    let mut lab = Lab::new();
    for kind in [Kind::Refused, Kind::Wrong, Kind::Denied, Kind::Stage] {
        lab.event(kind, "both", "ssh", 7, 100);
    }
    assert_eq!(lab.log(), Vec::<String>::new());
}

#[test]
fn a_grant_by_hand_has_no_hook() {
    let mut lab = Lab::new();
    let grant = Grant { until: FOR_GOOD, since: 5, origin: Origin::Command as u32, ..Grant::NONE };
    lab.table.0.borrow_mut().insert(key("ssh", 7), grant);
    lab.sweep();
    assert_eq!(lab.log(), Vec::<String>::new());
    // A door that is knocked on meanwhile has its hooks until the grant ends.
    lab.event(Kind::Extended, "both", "ssh", 7, 100);
    lab.end("ssh", 7);
    lab.sweep();
    assert_eq!(lab.log(), ["both+ 192.0.2.7", "both- 192.0.2.7"]);
}

#[test]
fn a_lost_event_is_made_up_for() {
    let mut lab = Lab::new();
    lab.grant("both", "ssh", 7, 100);
    lab.sweep();
    // The event was not lost, only late.
    lab.event(Kind::Opened, "both", "ssh", 7, 100);
    assert_eq!(lab.log(), ["both+ 192.0.2.7"]);
}

#[test]
fn a_table_that_cannot_be_read_ends_nothing() {
    let mut lab = Lab::new();
    lab.open("both", "ssh", 7, 100);
    let _inside = lab.runtime.enter();
    let changes = lab.lives.look(&|_| None).end(&Unreadable, &[], Vec::new());
    lab.manager.look(&changes);
    assert_eq!(lab.manager.owed(), 1);
}

#[test]
fn another_daemon_undoes_what_ended_without_one() {
    let mut lab = Lab::new();
    lab.open("both", "ssh", 7, 100);
    lab.open("stop", "web", 8, 110);
    assert_eq!(lab.log(), ["both+ 192.0.2.7"]);
    lab.end("ssh", 7);
    // By then the config has another command, and no such door.
    lab.restart(&CONFIG.replace("both- %IP%", "changed"), 200);
    lab.sweep();
    assert_eq!(lab.log(), ["both+ 192.0.2.7", "both- 192.0.2.7"]);
    lab.restart(CONFIG, 300);
    lab.end("web", 8);
    lab.sweep();
    assert_eq!(lab.log()[2..], ["stop-"]);
    lab.restart(CONFIG, 400);
    lab.sweep();
    assert_eq!(lab.log().len(), 3);
}

#[test]
fn another_daemon_opens_what_was_opened_without_one() {
    let mut lab = Lab::new();
    lab.grant("both", "ssh", 7, 100);
    lab.restart(CONFIG, 200);
    lab.sweep();
    assert_eq!(lab.log(), ["both+ 192.0.2.7"]);
    lab.restart(CONFIG, 300);
    lab.sweep();
    assert_eq!(lab.log(), ["both+ 192.0.2.7"]);
}

#[test]
fn a_start_command_that_a_killed_daemon_did_not_come_to_runs_later() {
    let mut lab = Lab::new();
    for last in 1..=40 {
        lab.open("both", "ssh", last, 100);
    }
    // 16 were started; those are left to themselves.
    lab.restart(CONFIG, 200);
    lab.end("ssh", 40);
    lab.sweep();
    let deadline = std::time::Instant::now() + Duration::from_secs(20);
    while lab.log().len() < 40 && std::time::Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(20));
    }
    let mut lines = lab.log();
    lines.sort();
    let mut expected: Vec<_> = (1..=39).map(|last| format!("both+ 192.0.2.{last}")).collect();
    expected.push("both- 192.0.2.40".to_owned());
    expected.sort();
    assert_eq!(lines, expected);
}

#[test]
fn hooks_that_are_new_in_the_config_leave_older_grants_alone() {
    let mut lab = Lab::new();
    lab.grant("plain", "ssh", 7, 100);
    let more =
        CONFIG.replace("sequence = [57, 59, 58]", "sequence = [57, 59, 58], start_command = \"echo new >> LOG\"");
    lab.configure(&more, 150);
    lab.sweep();
    assert_eq!(lab.log(), Vec::<String>::new());
    lab.grant("plain", "ssh", 8, 160);
    lab.sweep();
    assert_eq!(lab.log(), ["new"]);
}

#[test]
fn a_service_that_is_gone_has_no_grants() {
    let mut lab = Lab::new();
    lab.open("stop", "web", 7, 100);
    lab.open("both", "ssh", 7, 100);
    lab.configure("options.interfaces = [\"eth0\"]\nservices.ssh.ports = [22]\n", 150);
    lab.sweep();
    // The other door is gone too, but its grant lives.
    assert_eq!(lab.log(), ["both+ 192.0.2.7", "stop-"]);
    lab.end("ssh", 7);
    lab.sweep();
    assert_eq!(lab.log()[2..], ["both- 192.0.2.7"]);
}

#[test]
fn a_reboot_ends_every_grant() {
    let mut lab = Lab::new();
    lab.open("both", "ssh", 7, 100);
    lab.log();
    let journal = lab.folder.path().join("state/hooks.jsonl");
    let text = std::fs::read_to_string(&journal).unwrap();
    std::fs::write(&journal, text.replace(&boot_id(), "00000000-0000-0000-0000-000000000000")).unwrap();
    lab.restart(CONFIG, 5);
    // By chance the same source has a grant that is as old.
    lab.sweep();
    assert_eq!(lab.log()[1], "both- 192.0.2.7");
}

#[test]
fn without_a_gate_all_is_undone_at_once() {
    let mut lab = Lab::new();
    lab.open("both", "ssh", 7, 100);
    lab.open("stop", "web", 8, 100);
    lab.log();
    let paths = Paths::below(lab.folder.path());
    let said = settle(&paths).unwrap();
    assert!(said.iter().any(|line| line.starts_with("both: running command: echo both- 192.0.2.7")), "{said:?}");
    let mut lines = lab.log();
    lines.sort();
    assert_eq!(lines, ["both+ 192.0.2.7", "both- 192.0.2.7", "stop-"]);
    assert!(!paths.state.exists());
    assert_eq!(settle(&paths).unwrap(), Vec::<String>::new());
}

#[test]
fn a_journal_that_cannot_be_written_is_told_and_hooks_go_on() {
    let mut lab = Lab::new();
    std::fs::remove_dir_all(lab.folder.path().join("state")).unwrap();
    std::fs::write(lab.folder.path().join("state"), "").unwrap();
    lab.restart(CONFIG, 0);
    lab.open("both", "ssh", 7, 100);
    lab.end("ssh", 7);
    lab.sweep();
    assert_eq!(lab.log(), ["both+ 192.0.2.7", "both- 192.0.2.7"]);
    let said = lab.manager.take_said();
    assert!(said.iter().any(|said| said.level == Level::Error && said.text.contains("cannot be noted")), "{said:?}");
}

#[test]
fn commands_are_told_of_in_the_words_of_knockd() {
    let mut lab = Lab::new();
    let text = CONFIG.replace("echo both+ %IP% >> LOG", "echo one >&2; exit 3");
    lab.configure(&text, 0);
    lab.open("both", "ssh", 7, 100);
    lab.log();
    let texts: Vec<_> = lab.manager.take_said().into_iter().map(|said| said.text).collect();
    assert_eq!(
        texts,
        [
            "both: running command: echo one >&2; exit 3",
            "both: command says: one",
            "both: command returned non-zero status code (3)",
        ]
    );
    let expired = GrantEntry { key: key("ssh", 7), grant: lab.table.0.borrow()[&key("ssh", 7)] };
    lab.end("ssh", 7);
    lab.look(vec![expired]);
    lab.log();
    let first = lab.manager.take_said().remove(0).text;
    assert_eq!(first, "192.0.2.7: both: command timeout");
}
