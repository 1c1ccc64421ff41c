//! `one_time_sequences`: the file that it names, and which of its sequences is in force.

use std::collections::HashMap;
use std::io::{self, ErrorKind};
use std::path::Path;

use knock_common::abi::rules::Action;

use super::host::Host;
use super::model::{Config, Door};
use super::overlap::same_knocks;
use super::port_owners::PortOwners;
use crate::permissions::Permissions;
use crate::sequences::slots;
use crate::sequences::{FEW, Sheet, SheetLine, out_of_reach, remedy};
use crate::syntax::report::Report;
use crate::syntax::value::Item;
use crate::syntax::{Diagnostic, Port, PortNames, Severity};

/// Lines of one file that are told of; of a file that is none, all are wrong.
const MOST_TOLD: usize = 10;

/// Reads the file. `None` if an error was reported.
pub(super) fn read(item: &Item<'_>, names: &PortNames, report: &Report<'_>) -> Option<Sheet> {
    let text = item.string(report)?;
    let path = Path::new(text);
    if !path.is_absolute() || text.contains(char::is_control) {
        let help = "write the absolute path of a file, such as \"/etc/knock/door.once\"";
        item.error(report, format!("\"{}\" is no absolute path", text.escape_debug()), help);
        return None;
    }
    match Sheet::read(path, names) {
        Ok(sheet) => Some(sheet),
        Err(error) => {
            let help = match error.kind() {
                ErrorKind::PermissionDenied => remedy(&error),
                ErrorKind::NotFound if out_of_reach(path).is_some() => {
                    "name a file with one sequence a line, in a folder that the service sees, such as /etc/knock"
                }
                _ => "name a file with one sequence a line",
            };
            item.error(report, format!("{text}: {}", reason(&error)), help);
            None
        }
    }
}

fn reason(error: &io::Error) -> String {
    match error.kind() {
        ErrorKind::FileTooLarge => "far too large for a file of sequences".to_owned(),
        ErrorKind::IsADirectory => "it is a directory".to_owned(),
        ErrorKind::NotFound => "no such file".to_owned(),
        _ => error.to_string(),
    }
}

/// What is in force next.
pub(crate) struct Chosen {
    /// The sequence; empty if none is left.
    pub(crate) sequence: Vec<Port>,
    /// How many can be used, this one among them.
    pub(crate) left: usize,
    /// Lines, from 0, that are passed over, and why.
    unfit: Vec<(usize, &'static str)>,
}

/// The first sequence in the file that was not used and can be, for the door with this index.
pub(crate) fn choose(config: &Config, index: usize, sheet: &Sheet) -> Chosen {
    let mut chosen = Chosen { sequence: Vec::new(), left: 0, unfit: Vec::new() };
    let owners = PortOwners::of(config.services.iter().map(|service| service.ports.as_slice()));
    let mut crowded = HashMap::new();
    for (line, sequence) in sheet.unused() {
        let problem = if sequence.iter().any(|step| owners.owner(*step).is_some()) {
            Some("one of its ports is protected by a service")
        } else if chosen.sequence.is_empty() {
            collision(config, index, sequence, &mut crowded)
        } else {
            None
        };
        match problem {
            Some(why) => chosen.unfit.push((line, why)),
            None => {
                chosen.left += 1;
                if chosen.sequence.is_empty() {
                    chosen.sequence = sequence.to_vec();
                }
            }
        }
    }
    chosen
}

/// What speaks against a sequence beside those of the other doors. `crowded` remembers of which doors there are too
/// many beside which: lines by the thousand may be in the way of the same.
fn collision(
    config: &Config,
    index: usize,
    sequence: &[Port],
    crowded: &mut HashMap<Vec<usize>, bool>,
) -> Option<&'static str> {
    let door = Door { sequence: sequence.to_vec(), ..config.doors[index].clone() };
    let others = || config.doors.iter().enumerate().filter(|(other, _)| *other != index).map(|(_, other)| other);
    let contrary = others().any(|other| {
        other.service == door.service
            && other.action != door.action
            && other.sequence.len() == door.sequence.len()
            && same_knocks(other, &door)
    });
    if contrary {
        let closes = "a door that closes has the same sequence";
        return Some(if door.action == Action::Open { closes } else { "a door that opens has the same sequence" });
    }
    let mut sequences: Vec<_> = config.doors.iter().map(|door| door.sequence.as_slice()).collect();
    sequences[index] = sequence;
    let is_crowded =
        crowded.entry(slots::neighbours(&sequences, index)).or_insert_with(|| slots::assign(&sequences).is_err());
    is_crowded.then_some("too many doors share its first knock")
}

/// Puts the first sequences in force, and tells of what is wrong with the files.
pub(super) fn fill(config: &mut Config, sheets: &[Option<Sheet>], host: &Host, report: &Report<'_>) {
    for (index, sheet) in sheets.iter().enumerate() {
        let Some(sheet) = sheet else { continue };
        let chosen = choose(config, index, sheet);
        let door = &mut config.doors[index];
        let key = format!("doors.{}.one_time_sequences", door.name.as_str());
        door.sequence.clone_from(&chosen.sequence);
        let Some(one_time) = &mut door.one_time else { continue };
        one_time.left = chosen.left;
        let place = Origin { file: one_time.path.display().to_string(), key, report };
        place.tell_lines(sheet, &chosen);
        place.tell_left(chosen.left);
        place.tell_permissions(host.fault(sheet.permissions()));
    }
}

/// A file of sequences, of which findings are told. None repeats a line.
struct Origin<'r, 't> {
    file: String,
    key: String,
    report: &'r Report<'t>,
}

impl Origin<'_, '_> {
    fn warn(&self, line: usize, message: String, help: &str) {
        self.tell(Severity::Warning, line, message, help);
    }

    fn tell(&self, severity: Severity, line: usize, message: String, help: &str) {
        self.report.push(Diagnostic {
            file: self.file.clone(),
            line,
            column: usize::from(line > 0),
            key: self.key.clone(),
            severity,
            message,
            help: Some(help.to_owned()),
            excerpt: None,
            stands_for: 1,
        });
    }

    fn tell_lines(&self, sheet: &Sheet, chosen: &Chosen) {
        let mut wrong: Vec<(usize, &str)> = chosen.unfit.clone();
        for (line, what) in sheet.lines().iter().enumerate() {
            match what {
                SheetLine::Unreadable(why) => wrong.push((line, why)),
                SheetLine::Repeat => wrong.push((line, "this sequence was used, or stands further above")),
                SheetLine::Unused(_) | SheetLine::Used(_) | SheetLine::Remark => {}
            }
        }
        wrong.sort_unstable();
        let help = "write one sequence a line, such as 7000/tcp, 8000/udp, 9000/tcp, or # before a remark";
        for (line, why) in wrong.iter().take(MOST_TOLD) {
            self.warn(line + 1, format!("left out: {why}"), help);
        }
        if wrong.len() > MOST_TOLD {
            self.warn(0, format!("{} more lines left out", wrong.len() - MOST_TOLD), help);
        }
    }

    fn tell_left(&self, left: usize) {
        match left {
            0 => self.warn(0, "no sequence left: the door is shut".to_owned(), "add lines and reload"),
            1 => self.warn(0, "1 sequence left".to_owned(), "add lines and reload"),
            2..=FEW => self.warn(0, format!("{left} sequences left"), "add lines and reload"),
            _ => {}
        }
    }

    fn tell_permissions(&self, fault: Option<(Severity, String)>) {
        if let Some((severity, message)) = fault {
            self.tell(severity, 0, message, &Permissions::remedy(&self.file));
        }
    }
}
