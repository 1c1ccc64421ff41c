//! What the daemon owes: for every grant of a door with hooks, whether its start command has run and
//! which stop command is to run when it ends. Kept in a file that outlives daemon and reboot.
//!
//! JSON lines, appended and synced; rewritten as a whole, under another name, when it is opened and
//! when most of it is settled. A line that was cut off by a crash counts for nothing.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap};
use std::fs::{self, File};
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use knock_common::abi::grant::GrantKey;
use knock_common::addr::Addr;
use log::warn;
use serde::{Deserialize, Serialize};

use super::script::Script;
use crate::files::{self, Folder, Way};
use crate::grants::Life;
use crate::memory;

/// What is owed for one grant and one door.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Debt {
    /// The grant.
    pub grant: GrantId,
    /// Tag of the door.
    pub door_tag: u32,
    /// Name of the door.
    pub door: String,
    /// Name of the service.
    pub service: String,
    /// The source that knocked.
    pub ip: String,
    /// What is still to run because the door has opened.
    pub start: Option<Script>,
    /// What is to run when the grant ends, as the config had it when the grant began.
    pub stop: Option<Script>,
}

/// One grant among all that ever were: the key of the kernel's table, when the grant was first
/// written, and in which boot.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct GrantId {
    /// The source, as 16 octets.
    pub source: [u8; 16],
    /// Prefix length over the mapped form.
    pub bits: u32,
    /// Tag of the service.
    pub service: u32,
    /// Boot time in ns.
    pub since: u64,
    /// The kernel's number for this boot.
    pub boot: String,
}

impl GrantId {
    /// A grant of the boot `boot`.
    #[must_use]
    pub fn new(life: &Life, boot: &str) -> Self {
        let Life { key, since } = *life;
        Self { source: key.source.octets(), bits: key.bits, service: key.service, since, boot: boot.to_owned() }
    }

    /// The same among those of its boot.
    #[must_use]
    pub const fn life(&self) -> Life {
        let key = GrantKey { source: Addr::from_v6(self.source), service: self.service, bits: self.bits };
        Life { key, since: self.since }
    }
}

/// A line of the file.
#[derive(Serialize, Deserialize)]
enum JournalLine {
    /// A debt and its number.
    Owe(u64, Box<Debt>),
    /// Its start command was started.
    Started(u64),
    /// It is settled: the stop command was started, or there is none.
    Settled(u64),
    /// Since when a door has hooks: its tag, boot time in ns, and the boot.
    Since(u32, u64, String),
}

/// The debts, in memory and in the file.
pub struct Journal {
    path: PathBuf,
    file: Option<File>,
    /// What could not be written yet.
    behind: bool,
    /// Something was added that must reach the disk.
    unsynced: bool,
    lines: usize,
    next: u64,
    debts: BTreeMap<u64, Debt>,
    /// Numbers of debts by their grants: one for each door.
    by_grant: HashMap<GrantId, Vec<u64>>,
    /// Debts with a stop command.
    stops: usize,
    since: HashMap<u32, (u64, String)>,
}

/// The name of the file.
const FILE: &str = "hooks.jsonl";

/// The file in the state directory.
#[must_use]
pub fn path(state: &Path) -> PathBuf {
    state.join(FILE)
}

impl Journal {
    /// Reads the file, if there is one.
    ///
    /// # Errors
    ///
    /// If there is one that cannot be read.
    pub fn read(state: &Path) -> Result<Self> {
        let mut journal = Self::empty(state);
        let text = match Folder::open(state, Way::Whole).and_then(|folder| folder.read(FILE)) {
            Ok(octets) => octets,
            Err(error) if files::kind_of(&error) == Some(ErrorKind::NotFound) => return Ok(journal),
            Err(error) => return Err(error),
        };
        let mut lines = text.split_inclusive(|octet| *octet == b'\n').enumerate().peekable();
        while let Some((number, line)) = lines.next() {
            match serde_json::from_slice(line) {
                Ok(line) => journal.learn(line),
                // Cut off in the middle of being written: it was never relied on.
                Err(_) if lines.peek().is_none() && !line.ends_with(b"\n") => {}
                Err(error) => warn!("{}:{}: left out: {error}", journal.path.display(), number + 1),
            }
        }
        // To be rewritten before it is appended to.
        journal.behind = true;
        Ok(journal)
    }

    /// A journal without a debt. Its file is made when there is one.
    #[must_use]
    pub fn empty(state: &Path) -> Self {
        Self {
            path: path(state),
            file: None,
            behind: false,
            unsynced: false,
            lines: 0,
            next: 1,
            debts: BTreeMap::new(),
            by_grant: HashMap::new(),
            stops: 0,
            since: HashMap::new(),
        }
    }

    fn learn(&mut self, line: JournalLine) {
        match line {
            JournalLine::Owe(number, debt) => {
                self.next = self.next.max(number + 1);
                self.forget(number);
                self.by_grant.entry(debt.grant.clone()).or_default().push(number);
                self.stops += usize::from(debt.stop.is_some());
                self.debts.insert(number, *debt);
            }
            JournalLine::Started(number) => {
                if let Some(debt) = self.debts.get_mut(&number) {
                    debt.start = None;
                }
            }
            JournalLine::Settled(number) => self.forget(number),
            JournalLine::Since(door, at, boot) => drop(self.since.insert(door, (at, boot))),
        }
    }

    fn forget(&mut self, number: u64) {
        let Some(debt) = self.debts.remove(&number) else { return };
        self.stops -= usize::from(debt.stop.is_some());
        if let Entry::Occupied(mut numbers) = self.by_grant.entry(debt.grant) {
            numbers.get_mut().retain(|other| *other != number);
            if numbers.get().is_empty() {
                numbers.remove();
            }
        }
        // Many grants that have ended leave their room.
        memory::shrink(&mut self.by_grant);
    }

    /// The numbers of what is owed for a grant.
    #[must_use]
    pub fn of(&self, grant: &GrantId) -> &[u64] {
        self.by_grant.get(grant).map_or(&[], Vec::as_slice)
    }

    /// How many of them have a stop command.
    #[must_use]
    pub const fn stops(&self) -> usize {
        self.stops
    }

    /// All debts by their numbers.
    #[must_use]
    pub const fn debts(&self) -> &BTreeMap<u64, Debt> {
        &self.debts
    }

    /// Notes a debt and returns its number.
    pub fn owe(&mut self, debt: Debt) -> u64 {
        let number = self.next;
        self.add(JournalLine::Owe(number, Box::new(debt)));
        number
    }

    /// The start command runs.
    pub fn started(&mut self, number: u64) {
        if self.debts.get(&number).is_some_and(|debt| debt.start.is_some()) {
            self.add(JournalLine::Started(number));
        }
    }

    /// The stop command runs, or there is none.
    pub fn settled(&mut self, number: u64) {
        if self.debts.contains_key(&number) {
            self.add(JournalLine::Settled(number));
        }
    }

    /// Since when a door has had hooks, boot time in ns, if that was in this boot.
    #[must_use]
    pub fn since(&self, door: u32, boot: &str) -> Option<u64> {
        self.since.get(&door).filter(|(_, of)| of == boot).map(|(at, _)| *at)
    }

    /// Sets which doors have hooks, and since when: those it does not know, from `now` on.
    pub fn set_doors(&mut self, doors: &[u32], now: u64, boot: &str) {
        let gone = self.since.keys().any(|door| !doors.contains(door));
        self.since.retain(|door, _| doors.contains(door));
        // What is gone is left out by the next rewriting.
        self.behind |= gone;
        self.unsynced |= gone;
        for door in doors {
            if self.since(*door, boot).is_none() {
                self.add(JournalLine::Since(*door, now, boot.to_owned()));
            }
        }
    }

    /// Takes a line in, and appends it; it is not synced yet.
    fn add(&mut self, line: JournalLine) {
        // That a start command was started may be lost with the power: then nothing else is left of it.
        self.unsynced |= !matches!(line, JournalLine::Started(_));
        if let Some(file) = self.file.as_mut().filter(|_| !self.behind) {
            // Errors are told by the next `sync`, which writes everything anew.
            let written = serde_json::to_vec(&line).map_err(anyhow::Error::from).and_then(|mut octets| {
                octets.push(b'\n');
                Ok(file.write_all(&octets)?)
            });
            self.behind = written.is_err();
        } else {
            self.behind = true;
        }
        self.lines += 1;
        self.learn(line);
    }

    /// Brings everything to the disk.
    ///
    /// # Errors
    ///
    /// If it cannot be written. It is tried again with the next call.
    pub fn sync(&mut self) -> Result<()> {
        let settled = self.lines.saturating_sub(self.debts.len() + self.since.len());
        let outcome = match &self.file {
            Some(file) if !self.behind && settled < 1000 => {
                file.sync_data().with_context(|| self.path.display().to_string())
            }
            _ => self.rewrite(),
        };
        self.behind = outcome.is_err();
        self.unsynced = self.behind;
        outcome
    }

    /// True if something is not on the disk that should be.
    #[must_use]
    pub const fn is_behind(&self) -> bool {
        self.unsynced
    }

    fn rewrite(&mut self) -> Result<()> {
        if self.debts.is_empty() && self.since.is_empty() && !self.path.exists() {
            return Ok(());
        }
        let state = self.path.parent().unwrap_or(Path::new("/"));
        let folder = Folder::make(state, Way::Whole, 0o700).with_context(|| self.path.display().to_string())?;
        let mut octets = Vec::new();
        let doors = self.since.iter().map(|(door, (at, boot))| JournalLine::Since(*door, *at, boot.clone()));
        let debts = self.debts.iter().map(|(number, debt)| JournalLine::Owe(*number, Box::new(debt.clone())));
        let mut count = 0;
        for line in doors.chain(debts) {
            serde_json::to_writer(&mut octets, &line)?;
            octets.push(b'\n');
            count += 1;
        }
        // Commands may hold what others should not read.
        let file = folder.replace(FILE, &octets, File::sync_all)?;
        folder.sync().with_context(|| state.display().to_string())?;
        // The same file, at its end.
        self.file = Some(file);
        self.lines = count;
        Ok(())
    }

    /// Removes the file, and the directory if nothing else is in it.
    pub fn remove(state: &Path) {
        if let Ok(folder) = Folder::open(state, Way::Whole) {
            let _ = folder.remove(&format!("{FILE}-new"));
            let _ = folder.remove(FILE);
        }
        let _ = fs::remove_dir(state);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn debt(last: u8) -> Debt {
        let script = |text: &str| Some(Script { command: text.to_owned(), environment: BTreeMap::new() });
        let key = GrantKey { source: Addr::from_v4([192, 0, 2, last]), service: 7, bits: 128 };
        Debt {
            grant: GrantId::new(&Life { key, since: 42 }, "boot"),
            door_tag: 1,
            door: "d".into(),
            service: "s".into(),
            ip: format!("192.0.2.{last}"),
            start: script("start"),
            stop: script("stop"),
        }
    }

    fn again(state: &Path) -> Journal {
        Journal::read(state).unwrap()
    }

    #[test]
    fn debts_outlive_the_process() {
        let folder = tempfile::tempdir().unwrap();
        let state = folder.path().join("state");
        let mut journal = again(&state);
        let (one, two, three) = (journal.owe(debt(1)), journal.owe(debt(2)), journal.owe(debt(3)));
        journal.started(one);
        journal.sync().unwrap();
        assert_eq!(fs::metadata(path(&state)).unwrap().permissions().mode() & 0o777, 0o600);
        journal.settled(two);
        journal.sync().unwrap();
        let journal = again(&state);
        assert_eq!(journal.debts().keys().copied().collect::<Vec<_>>(), [one, three]);
        assert_eq!(journal.debts()[&one], Debt { start: None, ..debt(1) });
        assert_eq!(journal.debts()[&three], debt(3));
        assert_eq!(journal.debts()[&three].grant.life().key.source, Addr::from_v4([192, 0, 2, 3]));
    }

    #[test]
    fn debts_are_found_by_their_grants() {
        let folder = tempfile::tempdir().unwrap();
        let mut journal = again(folder.path());
        let (one, two) = (journal.owe(debt(1)), journal.owe(debt(2)));
        let other = journal.owe(Debt { door_tag: 2, ..debt(1) });
        journal.settled(two);
        journal.sync().unwrap();
        let mut journal = again(folder.path());
        assert_eq!(journal.of(&debt(1).grant), [one, other]);
        assert!(journal.of(&debt(2).grant).is_empty());
        journal.settled(one);
        assert_eq!(journal.of(&debt(1).grant), [other]);
        journal.settled(other);
        assert!(journal.of(&debt(1).grant).is_empty() && journal.by_grant.is_empty());
    }

    #[test]
    fn many_debts_leave_no_room_behind() {
        let folder = tempfile::tempdir().unwrap();
        let mut journal = again(folder.path());
        let grant = |since| GrantId { since, ..debt(1).grant };
        let numbers: Vec<_> = (0..1 << 14).map(|since| journal.owe(Debt { grant: grant(since), ..debt(1) })).collect();
        numbers[1..].iter().for_each(|number| journal.settled(*number));
        assert_eq!(journal.of(&grant(0)), [numbers[0]]);
        assert!(journal.by_grant.capacity() < 1 << 13, "{}", journal.by_grant.capacity());
    }

    #[test]
    fn numbers_are_not_given_twice() {
        let folder = tempfile::tempdir().unwrap();
        let mut journal = again(folder.path());
        let one = journal.owe(debt(1));
        journal.sync().unwrap();
        assert!(again(folder.path()).owe(debt(2)) > one);
    }

    #[test]
    fn a_line_that_was_cut_off_is_none() {
        let folder = tempfile::tempdir().unwrap();
        let mut journal = again(folder.path());
        journal.owe(debt(1));
        journal.sync().unwrap();
        journal.owe(debt(2));
        journal.sync().unwrap();
        let whole = fs::read(path(folder.path())).unwrap();
        let first = whole.iter().position(|octet| *octet == b'\n').unwrap() + 1;
        for end in 0..whole.len() {
            fs::write(path(folder.path()), &whole[..end]).unwrap();
            let mut journal = again(folder.path());
            // The line's end may be missing, not more.
            let expected = usize::from(end + 1 >= first) + usize::from(end + 1 == whole.len());
            assert_eq!(journal.debts().len(), expected, "{end} of {}", whole.len());
            journal.owe(debt(3));
            journal.sync().unwrap();
            assert_eq!(again(folder.path()).debts().len(), expected + 1);
        }
    }

    #[test]
    fn a_broken_line_hides_no_other() {
        let folder = tempfile::tempdir().unwrap();
        let mut journal = again(folder.path());
        journal.owe(debt(1));
        journal.sync().unwrap();
        let good = fs::read_to_string(path(folder.path())).unwrap();
        let other = good.replace("[1,", "[2,");
        fs::write(path(folder.path()), format!("{good}{{\"no\": 1}}\n{other}")).unwrap();
        assert_eq!(again(folder.path()).debts().len(), 2);
    }

    #[test]
    fn the_file_does_not_grow_for_ever() {
        let folder = tempfile::tempdir().unwrap();
        let mut journal = again(folder.path());
        let kept = journal.owe(debt(0));
        for _ in 0..3000 {
            let number = journal.owe(debt(1));
            journal.started(number);
            journal.settled(number);
            journal.sync().unwrap();
        }
        assert!(fs::metadata(path(folder.path())).unwrap().len() < 1_000_000);
        assert_eq!(again(folder.path()).debts().keys().copied().collect::<Vec<_>>(), [kept]);
    }

    #[test]
    fn what_cannot_be_written_is_kept_and_written_later() {
        let folder = tempfile::tempdir().unwrap();
        // In place of the directory there is a file.
        let state = folder.path().join("state");
        fs::write(&state, "").unwrap();
        let mut journal = Journal::empty(&state);
        journal.owe(debt(1));
        assert!(journal.sync().unwrap_err().to_string().contains("hooks.jsonl"));
        assert!(journal.is_behind());
        fs::remove_file(&state).unwrap();
        journal.sync().unwrap();
        assert!(!journal.is_behind());
        assert_eq!(again(&state).debts().len(), 1);
    }

    #[test]
    fn doors_keep_the_time_from_which_they_have_hooks() {
        let folder = tempfile::tempdir().unwrap();
        let mut journal = again(folder.path());
        journal.set_doors(&[1, 2], 100, "boot");
        journal.sync().unwrap();
        let mut journal = again(folder.path());
        journal.set_doors(&[2, 3], 200, "boot");
        journal.sync().unwrap();
        let mut journal = again(folder.path());
        assert_eq!([1, 2, 3].map(|door| journal.since(door, "boot")), [None, Some(100), Some(200)]);
        // After a reboot everything begins anew.
        assert_eq!(journal.since(2, "other"), None);
        journal.set_doors(&[2], 5, "other");
        assert_eq!(journal.since(2, "other"), Some(5));
    }

    #[test]
    fn without_a_debt_there_is_no_file() {
        let folder = tempfile::tempdir().unwrap();
        let state = folder.path().join("state");
        again(&state).sync().unwrap();
        assert!(!state.exists());
        let mut journal = again(&state);
        journal.owe(debt(1));
        journal.sync().unwrap();
        Journal::remove(&state);
        assert!(!state.exists());
    }
}
