//! One-time sequences: which the kernel has seen used, what the files say, and which is next.
//!
//! The kernel notes a use in the moment in which it happens ([`Used`]) and refuses the sequence from then on,
//! whoever lives. User space then marks the line in the file, swaps the next sequence in, and only then lets
//! the kernel forget the note. So at every moment the note, or the file, or both say that it was used.

use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::time::{Duration, SystemTime};

use knock_common::abi::grant::HOST_BITS;
use knock_common::abi::used::Used;
use log::Level;

use crate::config::{Config, choose_one_time};
use crate::kernel::{State, boot_now, format_source};
use crate::paths::Paths;
use crate::sequences::{FEW, Sheet, key, remedy};
use crate::syntax::PortNames;

/// Something to log about a door's sequences. Never says what they are.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Message {
    /// How loud.
    pub level: Level,
    /// Name of the door.
    pub door: String,
    /// The line.
    pub text: String,
}

/// What came of it.
#[derive(Default, Debug)]
pub struct Outcome {
    /// The config has another sequence for some door, which is to be put in force.
    pub changed: bool,
    /// A file could not be read or written: its door stays shut, and it is to be tried again.
    pub failed: bool,
    /// Uses of which the files say so by now: the kernel may forget them once no rules in force have the
    /// sequences.
    pub marked: Vec<u64>,
    /// What to log.
    pub said: Vec<Message>,
}

/// Marks in the files what the kernel has seen used, and gives each door whose sequence is used its next one.
pub fn reconcile(config: &mut Config, notes: &[(u64, Used)]) -> Outcome {
    if notes.is_empty() {
        return Outcome::default();
    }
    reconcile_doors(config, notes, false)
}

/// `anew`: also doors of which the kernel has noted nothing. A config that is put in force again after a
/// while, or by another process, may have a sequence that was used and reconciled meanwhile.
fn reconcile_doors(config: &mut Config, notes: &[(u64, Used)], anew: bool) -> Outcome {
    let mut outcome = Outcome::default();
    let names = PortNames::of_host();
    let notes: HashMap<u64, Used> = notes.iter().copied().collect();
    for index in 0..config.doors.len() {
        let noted = notes.values().any(|notes| notes.door == config.doors[index].name.tag());
        if noted || anew {
            reconcile_door(config, index, &notes, &names, anew, &mut outcome);
        }
    }
    // A note is kept as long as a door has its sequence in force.
    let in_force: HashSet<u64> = config
        .doors
        .iter()
        .filter(|door| door.one_time.is_some() && !door.sequence.is_empty())
        .map(|door| key(&door.name, &door.sequence))
        .collect();
    outcome.marked.retain(|key| !in_force.contains(key));
    outcome
}

/// The same before rules are put in force, by what is pinned.
pub fn reconcile_pinned(config: &mut Config, paths: &Paths) -> Outcome {
    if config.doors.iter().all(|door| door.one_time.is_none()) {
        return Outcome::default();
    }
    // Of pins that cannot be read the start itself says what is wrong.
    let notes = if State::exists(paths) { State::open(paths).and_then(|state| state.used()) } else { Ok(Vec::new()) };
    reconcile_doors(config, &notes.unwrap_or_default(), true)
}

/// Looks whether uses can be marked, before one has to be: says of which doors they cannot.
#[must_use]
pub fn rehearse(config: &Config) -> Vec<Message> {
    let names = PortNames::default();
    let said = config.doors.iter().filter_map(|door| {
        let path = &door.one_time.as_ref()?.path;
        let error = Sheet::read(path, &names).and_then(|sheet| sheet.rehearse()).err()?;
        let (name, place, remedy) = (door.name.as_str(), path.display(), remedy(&error));
        let text =
            format!("{name}: {place} cannot be changed: {error}: the door will shut after its next use: {remedy}");
        Some(Message { level: Level::Warn, door: name.to_owned(), text })
    });
    said.collect()
}

/// The last chance to mark what was used: the pins with the kernel's notes are about to go. Returns lines to
/// show.
pub fn reconcile_last(config: &Path, paths: &Paths) -> Vec<String> {
    let notes = || State::open(paths).and_then(|state| state.used()).unwrap_or_default();
    if !State::exists(paths) || notes().is_empty() {
        return Vec::new();
    }
    let outcome =
        Config::load_anywhere(config).map(|(mut config, _)| reconcile_pinned(&mut config, paths)).unwrap_or_default();
    let mut lines: Vec<String> = outcome.said.into_iter().map(|said| said.text).collect();
    let unmarked = notes().iter().filter(|(key, _)| !outcome.marked.contains(key)).count();
    if unmarked > 0 {
        lines.push(format!(
            "{unmarked} used one-time sequences are not marked in their files: mark them by hand with #"
        ));
    }
    lines
}

fn reconcile_door(
    config: &mut Config,
    index: usize,
    notes: &HashMap<u64, Used>,
    names: &PortNames,
    anew: bool,
    outcome: &mut Outcome,
) {
    let door = &config.doors[index];
    let Some(one_time) = &door.one_time else { return };
    let (name, path) = (door.name, one_time.path.clone());
    let mut said = |level, text: String| {
        outcome.said.push(Message {
            level,
            door: name.as_str().to_owned(),
            text: format!("{}: {text}", name.as_str()),
        });
    };
    let shut = "the door stays shut until it is, which is tried again and again";
    let mut sheet = match Sheet::read(&path, names) {
        Ok(sheet) => sheet,
        Err(error) => {
            let text = format!("{}: cannot be read: {error}: {}: {shut}", path.display(), remedy(&error));
            said(Level::Error, text);
            outcome.failed = true;
            if !notes.contains_key(&key(&name, &config.doors[index].sequence)) {
                // It may have been used long ago, and nobody can say.
                config.doors[index].sequence.clear();
            }
            return;
        }
    };
    let uses: Vec<_> = sheet
        .unused()
        .filter_map(|(line, sequence)| {
            let notes = notes.get(&key(&name, sequence))?;
            Some((line, format_source(notes.source, HOST_BITS), moment(notes.at)))
        })
        .collect();
    if !uses.is_empty() {
        if let Err(error) = sheet.mark(&uses) {
            let place = path.display();
            let text = format!("{place}: a used sequence cannot be marked: {error}: {}: {shut}", remedy(&error));
            said(Level::Error, text);
            outcome.failed = true;
            return;
        }
        for (line, source, _) in &uses {
            said(Level::Info, format!("one-time sequence of line {} used by {source}", line + 1));
        }
    }
    let used: HashSet<u64> = sheet.used().map(|sequence| key(&name, sequence)).collect();
    outcome.marked.extend(used.iter().filter(|key| notes.contains_key(key)));
    let is_shut = config.doors[index].sequence.is_empty();
    let is_used = used.contains(&key(&name, &config.doors[index].sequence));
    let is_next = is_used || is_shut && anew;
    if !is_next {
        return;
    }
    let chosen = choose_one_time(config, index, &sheet);
    if is_shut && chosen.left == 0 {
        return;
    }
    let left = chosen.left;
    let place = path.display();
    let (level, text) = match left {
        0 => (Level::Error, format!("no one-time sequence left in {place}: the door is shut: add lines and reload")),
        1..=FEW => (Level::Warn, format!("{left} one-time sequences left in {place}: add lines and reload")),
        _ => (Level::Info, format!("{left} one-time sequences left in {place}")),
    };
    said(level, text);
    let door = &mut config.doors[index];
    door.sequence = chosen.sequence;
    if let Some(one_time) = &mut door.one_time {
        one_time.left = left;
    }
    outcome.changed = true;
}

/// A boot time in ns by the clock on the wall.
fn moment(boot: u64) -> SystemTime {
    let ago = Duration::from_nanos(boot_now().saturating_sub(boot));
    SystemTime::now().checked_sub(ago).unwrap_or(SystemTime::UNIX_EPOCH)
}

#[cfg(test)]
mod tests;
