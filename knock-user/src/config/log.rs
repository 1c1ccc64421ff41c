//! `log` of `[options]`, and what belongs to it.

use std::path::{Path, PathBuf};

use super::report::Report;
use super::value::{Item, Table};

/// Where the daemon writes its log.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum LogTarget {
    /// Standard error, which a service manager collects.
    Stderr,
    /// A file, by its absolute path.
    File(PathBuf),
    /// The system's log.
    Syslog(SyslogOptions),
    /// The journal of systemd, with fields.
    Journal,
}

/// How the daemon speaks to syslog.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SyslogOptions {
    /// `syslog_ident`: what stands in front of its lines. Default [`DEFAULT_IDENT`].
    pub ident: String,
    /// `syslog_facility`. Default `daemon`.
    pub facility: Facility,
}

/// Default of `syslog_ident`, and the identifier in the journal.
pub const DEFAULT_IDENT: &str = "knock";

/// A facility of syslog (RFC 5424, 6.2.1), by its name. `kern` is missing: it is the kernel's alone.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Facility(u8);

const FACILITIES: &[(&str, Facility)] = &[
    ("auth", Facility(4)),
    ("authpriv", Facility(10)),
    ("cron", Facility(9)),
    ("daemon", Facility::DAEMON),
    ("ftp", Facility(11)),
    ("local0", Facility(16)),
    ("local1", Facility(17)),
    ("local2", Facility(18)),
    ("local3", Facility(19)),
    ("local4", Facility(20)),
    ("local5", Facility(21)),
    ("local6", Facility(22)),
    ("local7", Facility(23)),
    ("lpr", Facility(6)),
    ("mail", Facility(2)),
    ("news", Facility(7)),
    ("syslog", Facility(5)),
    ("user", Facility(1)),
    ("uucp", Facility(8)),
];

impl Facility {
    /// What daemons use that have no facility of their own.
    pub const DAEMON: Self = Self(3);

    /// The facility with this name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        FACILITIES.iter().find(|(known, _)| *known == name).map(|&(_, facility)| facility)
    }

    /// Its number, 0 to 23.
    #[must_use]
    pub const fn code(self) -> u8 {
        self.0
    }
}

/// Reads `log`, `syslog_ident` and `syslog_facility`.
pub(super) fn read(table: &mut Table<'_>, report: &Report<'_>) -> LogTarget {
    let log = table.take("log");
    let (ident, facility) = (table.take("syslog_ident"), table.take("syslog_facility"));
    if log.as_ref().and_then(Item::as_str) != Some("syslog") {
        for item in ident.iter().chain(&facility) {
            item.error(report, "is for log = \"syslog\" only", "write log = \"syslog\", or leave this out");
        }
        return log.and_then(|item| read_place(&item, report)).unwrap_or(LogTarget::Stderr);
    }
    LogTarget::Syslog(SyslogOptions {
        ident: ident.and_then(|item| read_ident(&item, report)).unwrap_or_else(|| DEFAULT_IDENT.to_owned()),
        facility: facility.and_then(|item| item.choice(report, FACILITIES)).unwrap_or(Facility::DAEMON),
    })
}

fn read_place(item: &Item<'_>, report: &Report<'_>) -> Option<LogTarget> {
    match item.string(report)? {
        "stderr" => Some(LogTarget::Stderr),
        "journal" => Some(LogTarget::Journal),
        text if Path::new(text).is_absolute() && !text.ends_with('/') && !text.contains(char::is_control) => {
            Some(LogTarget::File(PathBuf::from(text)))
        }
        text => {
            let message = format!(
                "\"{}\" is neither \"syslog\", \"journal\", \"stderr\" nor the absolute path of a file",
                text.escape_debug()
            );
            item.error(report, message, "write one of them, or for example log = \"/var/log/knock.log\"");
            None
        }
    }
}

/// Letters, digits and a few signs: whoever reads the log takes it apart at spaces, `[` and `:`.
fn read_ident(item: &Item<'_>, report: &Report<'_>) -> Option<String> {
    /// What RFC 3164 allows a tag.
    const LONGEST: usize = 32;
    let text = item.string(report)?;
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if (1..=LONGEST).contains(&text.len()) && text.chars().all(fits) {
        return Some(text.to_owned());
    }
    let message = format!("\"{}\" is no name for syslog", text.escape_debug());
    item.error(report, message, format!("use up to {LONGEST} letters, digits, \"-\", \"_\" and \".\""));
    None
}
