//! `start_command`, `stop_command` and their `_6` variants.

use super::model::{Hook, Hooks};
use super::report::Report;
use super::value::{Item, Table};

/// Octets of one command: a shell takes it as one argument, and the kernel takes 128 KiB for one.
const MAX_COMMAND: usize = 1 << 16;

/// The hooks of a door as its section has them, and where.
pub(super) struct PlacedHooks<'a> {
    start: [Option<Item<'a>>; 2],
    stop: [Option<Item<'a>>; 2],
}

impl<'a> PlacedHooks<'a> {
    /// Takes the keys out of a door's section.
    pub(super) fn take(table: &mut Table<'a>) -> Self {
        Self {
            start: [table.take("start_command"), table.take("start_command_6")],
            stop: [table.take("stop_command"), table.take("stop_command_6")],
        }
    }

    /// A key that runs when a grant ends, if there is one.
    pub(super) fn stop(&self) -> Option<&Item<'a>> {
        self.stop.iter().flatten().next()
    }

    /// Reads them; `None` if an error was reported.
    pub(super) fn read(&self, report: &Report<'_>) -> Option<Hooks> {
        let (start, stop) = (read_pair(&self.start, report), read_pair(&self.stop, report));
        Some(Hooks { start: start?, stop: stop? })
    }
}

/// As in knockd, the command for IPv6 is that for IPv4 unless there is another; an empty one does
/// nothing.
fn read_pair([v4, v6]: &[Option<Item<'_>>; 2], report: &Report<'_>) -> Option<Hook> {
    let both = match v4 {
        Some(item) => Some(read(item, false, report)?),
        None => None,
    };
    let six = match v6 {
        Some(item) => read(item, true, report)?,
        None => both.clone().unwrap_or_default(),
    };
    Some(Hook { v4: both, v6: (!six.is_empty()).then_some(six) })
}

fn read(item: &Item<'_>, may_be_empty: bool, report: &Report<'_>) -> Option<String> {
    let text = item.string(report)?;
    let problem = if text.trim().is_empty() && !(may_be_empty && text.is_empty()) {
        Some(("an empty command".to_owned(), "name a command, or leave it out"))
    } else if text.contains('\0') {
        Some(("a command with a NUL character".to_owned(), "no shell can take it: remove it"))
    } else if text.len() > MAX_COMMAND {
        Some((format!("a command of {} octets", text.len()), "put it into a script and name that"))
    } else {
        None
    };
    match problem {
        Some((message, help)) => {
            item.error(report, message, help);
            None
        }
        None => Some(text.to_owned()),
    }
}

/// True if a name can stand in a command without being more than a word to the shell.
pub(super) fn is_a_word(name: &str) -> bool {
    name.bytes().all(is_harmless)
}

/// Where programs are looked for.
pub(crate) const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// True if an octet can stand in a command without meaning anything to a shell: what the text of an
/// address, a network, or a name in the config is made of.
#[must_use]
pub const fn is_harmless(octet: u8) -> bool {
    octet.is_ascii_alphanumeric() || matches!(octet, b'.' | b':' | b'/' | b'_' | b'-')
}
