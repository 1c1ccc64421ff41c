//! What is reconciled: the kernel's notes, the files and the config.

use std::fs;
use std::net::Ipv4Addr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use knock_common::abi::rules::Name;

use crate::reconcile::*;
use crate::syntax::Port;

/// A config with two doors that have files, `a` and `b`.
struct Lab {
    folder: tempfile::TempDir,
    config: Config,
}

impl Lab {
    fn new(a: &str, b: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in [("a", a), ("b", b)] {
            let path = folder.path().join(name);
            fs::write(&path, text).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        }
        let config = Self::load(&folder.path().join("a"), &folder.path().join("b"));
        Self { folder, config }
    }

    fn load(a: &std::path::Path, b: &std::path::Path) -> Config {
        let text = format!(
            "options.interfaces = [\"eth0\"]\nservices.s.ports = [22]\n\
             doors.a = {{ service = \"s\", one_time_sequences = {a:?} }}\n\
             doors.b = {{ service = \"s\", one_time_sequences = {b:?} }}\n\
             doors.c = {{ service = \"s\", sequence = [1, 3, 2] }}\n"
        );
        Config::parse(&text, "k.toml").unwrap_or_else(|error| panic!("{error}")).0
    }

    /// The config as a reload reads it.
    fn again(&self) -> Config {
        Self::load(&self.path("a"), &self.path("b"))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn text(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    /// The note that the kernel makes when a door is completed.
    fn use_up(&self, index: usize) -> (u64, Used) {
        let door = &self.config.doors[index];
        let source = Ipv4Addr::new(192, 0, 2, 7).into();
        (key(&door.name, &door.sequence), Used { at: boot_now(), source, door: door.name.tag(), reserved: 0 })
    }

    fn sequence(&self, index: usize) -> Vec<String> {
        self.config.doors[index].sequence.iter().map(Port::to_string).collect()
    }

    fn left(&self, index: usize) -> usize {
        self.config.doors[index].one_time.as_ref().unwrap().left
    }
}

const FIVE: &str = "# mine\n7000, 8000\n7001, 8001\n7002, 8002\n7003, 8003\n7004, 8004\n";

#[test]
fn a_used_sequence_is_marked_and_the_next_comes() {
    let mut lab = Lab::new(FIVE, "9000:udp, 9001\n");
    assert_eq!((lab.sequence(0), lab.left(0)), (vec!["7000/tcp".into(), "8000/tcp".into()], 5));
    let note = lab.use_up(0);
    let outcome = reconcile(&mut lab.config, &[note]);
    assert!(outcome.changed && !outcome.failed);
    assert_eq!(outcome.marked, [note.0]);
    assert_eq!((lab.sequence(0), lab.left(0)), (vec!["7001/tcp".into(), "8001/tcp".into()], 4));
    assert_eq!((lab.sequence(1), lab.left(1)), (vec!["9000/udp".into(), "9001/tcp".into()], 1));
    let text = lab.text("a");
    let lines: Vec<_> = text.lines().collect();
    assert!(lines[1].starts_with("# used 2") && lines[1].ends_with(" by 192.0.2.7: 7000, 8000"), "{text}");
    assert_eq!(format!("# mine\n7000, 8000\n{}\n", lines[2..].join("\n")), FIVE);
    assert_eq!(lab.text("b"), "9000:udp, 9001\n");
    // The kernel still has its note; nothing more is to be done but to forget it.
    let outcome = reconcile(&mut lab.config, &[note]);
    assert!(!outcome.changed && outcome.said.is_empty());
    assert_eq!(outcome.marked, [note.0]);
}

#[test]
fn a_reload_brings_no_used_sequence_back() {
    let lab = Lab::new(FIVE, "9000, 9001\n");
    let note = lab.use_up(0);
    // Nobody lived to mark it; the file still has it.
    let mut config = lab.again();
    assert_eq!(config.doors[0].sequence, lab.config.doors[0].sequence);
    assert!(reconcile(&mut config, &[note]).changed);
    assert_ne!(config.doors[0].sequence, lab.config.doors[0].sequence);
    assert_eq!(lab.again().doors[0].sequence, config.doors[0].sequence);
}

#[test]
fn a_file_that_cannot_be_written_keeps_the_note() {
    let mut lab = Lab::new(FIVE, "9000, 9001\n");
    let note = lab.use_up(0);
    let in_the_way = lab.path("a.new");
    fs::create_dir(&in_the_way).unwrap();
    let before = lab.config.clone();
    let outcome = reconcile(&mut lab.config, &[note]);
    assert!(outcome.failed && !outcome.changed && outcome.marked.is_empty());
    assert_eq!(lab.config, before);
    assert!(outcome.said[0].level == Level::Error && outcome.said[0].text.contains("cannot be marked"));
    fs::remove_dir(&in_the_way).unwrap();
    assert!(reconcile(&mut lab.config, &[note]).changed);
    fs::remove_file(lab.path("a")).unwrap();
    let outcome = reconcile(&mut lab.config, &[note]);
    assert!(outcome.failed && outcome.marked.is_empty(), "a note is kept while no file says the same");
}

#[test]
fn the_last_sequence_shuts_the_door_until_there_are_more() {
    let mut lab = Lab::new("7000, 8000\n", "9000, 9001\n");
    let note = lab.use_up(0);
    let outcome = reconcile(&mut lab.config, &[note]);
    assert!(outcome.changed);
    assert!(lab.sequence(0).is_empty());
    assert!(outcome.said.iter().any(|said| said.level == Level::Error && said.text.contains("the door is shut")));
    assert_eq!(outcome.marked, [note.0]);
    let rules = crate::rules::RuleSet::compile(&lab.config).unwrap();
    assert_eq!((rules.doors[0].steps, rules.doors[0].left, rules.doors[1].left), (0, 0, 1));
    assert!(rules.knocks.iter().all(|knock| knock.steps[0] == 0 && !knock.starts.contains(&1)));
    fs::write(lab.path("a"), lab.text("a") + "7000, 8000\n7005\n").unwrap();
    lab.config = lab.again();
    // The first of the new lines was used before.
    assert_eq!((lab.sequence(0), lab.left(0)), (vec!["7005/tcp".into()], 1));
}

#[test]
fn few_that_are_left_are_told_of() {
    let mut lab = Lab::new(FIVE, "9000, 9001\n");
    let mut levels = Vec::new();
    for _ in 0..5 {
        let note = lab.use_up(0);
        let outcome = reconcile(&mut lab.config, &[note]);
        levels.extend(outcome.said.iter().filter(|said| said.text.contains(" left in ")).map(|said| said.level));
        assert!(outcome.said.iter().all(|said| !said.text.contains("70") && !said.text.contains("80")), "{outcome:?}");
    }
    assert_eq!(levels, [Level::Info, Level::Warn, Level::Warn, Level::Warn, Level::Error]);
}

#[test]
fn uses_of_several_doors_are_reconciled_together() {
    let mut lab = Lab::new(FIVE, "9000, 9001\n9002, 9003\n");
    let notes = [lab.use_up(0), lab.use_up(1)];
    let outcome = reconcile(&mut lab.config, &notes);
    assert_eq!(outcome.marked.len(), 2);
    assert_eq!((lab.sequence(0)[0].as_str(), lab.sequence(1)[0].as_str()), ("7001/tcp", "9002/tcp"));
}

#[test]
fn two_doors_may_have_one_file() {
    let mut lab = Lab::new(FIVE, "1\n");
    lab.config = Lab::load(&lab.path("a"), &lab.path("a"));
    // One knock completes both.
    let notes = [lab.use_up(0), lab.use_up(1)];
    let outcome = reconcile(&mut lab.config, &notes);
    assert_eq!(outcome.marked.len(), 2);
    assert_eq!((lab.sequence(0)[0].as_str(), lab.sequence(1)[0].as_str()), ("7001/tcp", "7001/tcp"));
    assert_eq!(lab.text("a").matches("# used ").count(), 1);
}

#[test]
fn what_could_not_be_marked_is_told_before_it_is_used() {
    let lab = Lab::new(FIVE, "9000, 9001\n");
    assert_eq!(rehearse(&lab.config), []);
    fs::create_dir(lab.path("b.new")).unwrap();
    let said = rehearse(&lab.config);
    assert_eq!(said.len(), 1);
    assert_eq!((said[0].level, said[0].door.as_str()), (Level::Warn, "b"));
    assert!(
        said[0].text.contains("the door will shut after its next use") && !said[0].text.contains("9000"),
        "{said:?}"
    );
}

#[test]
fn a_note_of_a_sequence_that_no_file_has_is_kept() {
    let mut lab = Lab::new(FIVE, "9000, 9001\n");
    let note = lab.use_up(0);
    fs::write(lab.path("a"), "7777\n").unwrap();
    let outcome = reconcile(&mut lab.config, &[note]);
    assert!(!outcome.changed && outcome.marked.is_empty());
}

#[test]
fn the_same_ports_are_another_sequence_for_another_door() {
    let (a, b) = (Name::new("a").unwrap(), Name::new("b").unwrap());
    let tcp = |number| Port::tcp(number).unwrap();
    assert_ne!(key(&a, &[tcp(1), tcp(2)]), key(&b, &[tcp(1), tcp(2)]));
    assert_ne!(key(&a, &[tcp(1), tcp(2)]), key(&a, &[tcp(2), tcp(1)]));
    assert_ne!(key(&a, &[tcp(1)]), key(&a, &[Port { transport: knock_common::packet::Transport::Udp, ..tcp(1) }]));
}

#[test]
fn rules_of_a_while_ago_bring_no_used_sequence_back() {
    let folder = tempfile::tempdir().unwrap();
    let paths = Paths::below(folder.path());
    let mut lab = Lab::new(FIVE, "9000, 9001\n");
    let before = lab.config.clone();
    let note = lab.use_up(0);
    assert!(reconcile(&mut lab.config, &[note]).changed);
    // The kernel has forgotten by now; the old rules are put in force again.
    let mut old = before.clone();
    assert!(reconcile_pinned(&mut old, &paths).changed);
    assert_eq!(old.doors[0].sequence, lab.config.doors[0].sequence);
    assert_eq!(old.doors[1].sequence, before.doors[1].sequence);
    // If the file cannot say whether the sequence was used, it counts as used, until it can.
    fs::rename(lab.path("a"), lab.path("away")).unwrap();
    let mut old = before.clone();
    assert!(reconcile_pinned(&mut old, &paths).failed);
    assert!(old.doors[0].sequence.is_empty());
    fs::rename(lab.path("away"), lab.path("a")).unwrap();
    reconcile_pinned(&mut old, &paths);
    assert_eq!(old.doors[0].sequence, lab.config.doors[0].sequence);
}
