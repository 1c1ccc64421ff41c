//! Where the daemon's own log goes: standard error, a file, syslog or the journal, exchangeable by a
//! reload. Nothing here keeps the gate waiting or ends it: a line that cannot be written is counted, and
//! the count is told as soon as somebody listens again.

mod datagram;
mod file;
mod journal;
mod stderr;
mod syslog;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::Result;
use log::{Level, LevelFilter};

use self::datagram::Remote;
use self::file::LogFile;
use self::stderr::Stderr;
use super::record::Record;
use crate::config::{Diagnostic, LogTarget};

/// One line of the log; with `fields` if it tells of an event.
struct Line<'a> {
    level: Level,
    /// The text says itself what it is.
    named: bool,
    text: &'a str,
    fields: &'a [(&'static str, String)],
}

impl<'a> Line<'a> {
    const fn plain(level: Level, text: &'a str) -> Self {
        Self { level, named: false, text, fields: &[] }
    }

    /// The severity of syslog (RFC 5424, 6.2.1). Events are notices, as knockd's are.
    const fn severity(&self) -> u8 {
        match self.level {
            Level::Error => 3,
            Level::Warn => 4,
            Level::Info if !self.fields.is_empty() => 5,
            Level::Info => 6,
            Level::Debug | Level::Trace => 7,
        }
    }

    /// The text, behind its level where that is not what one expects.
    fn with_level(&self) -> String {
        let text = clean(self.text);
        match self.level {
            _ if self.named => text,
            Level::Info => text,
            level => format!("{}: {text}", level.as_str().to_lowercase()),
        }
    }
}

/// The text without control characters. A line end in it is kept, with the rest indented: no text can
/// pass for a line of its own.
fn clean(text: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    let mut ended = false;
    for c in text.trim_end().chars() {
        if ended && c != ' ' {
            clean.push_str("  ");
        }
        ended = c == '\n';
        if c.is_control() && c != '\n' { clean.extend(c.escape_default()) } else { clean.push(c) }
    }
    clean
}

/// The places for lines.
enum Place {
    Stderr(Stderr),
    File(LogFile),
    Syslog(Remote<syslog::Format>),
    Journal(Remote<journal::Format>),
}

impl Place {
    fn open(target: &LogTarget) -> Result<Self> {
        Ok(match target {
            LogTarget::Stderr => Self::Stderr(Stderr::new()),
            LogTarget::File(path) => Self::File(LogFile::open(path)?),
            LogTarget::Syslog(options) => Self::Syslog(Remote::new(syslog::Format::new(options))),
            LogTarget::Journal => Self::Journal(Remote::new(journal::Format::new())),
        })
    }

    fn write(&mut self, line: &Line<'_>) {
        match self {
            Self::Stderr(stderr) => stderr.write(line),
            Self::File(file) => file.write(line),
            Self::Syslog(remote) => remote.write(line),
            Self::Journal(remote) => remote.write(line),
        }
    }

    fn tell_lost(&mut self) {
        match self {
            Self::Stderr(_) => {}
            Self::File(file) => file.tell_lost(),
            Self::Syslog(remote) => remote.tell_lost(),
            Self::Journal(remote) => remote.tell_lost(),
        }
    }
}

/// The log, whose place can be exchanged while the daemon runs.
#[derive(Clone)]
pub struct Log(Arc<Mutex<Place>>);

impl Log {
    /// Opens the target. A file is appended to. Syslog or a journal that is not there yet is no error:
    /// until it is, lines go to standard error, and say so.
    ///
    /// # Errors
    ///
    /// If a file cannot be opened.
    pub fn open(target: &LogTarget) -> Result<Self> {
        Ok(Self(Arc::new(Mutex::new(Place::open(target)?))))
    }

    /// Goes on with the place of another log.
    pub fn replace(&self, other: &Self) {
        let place = std::mem::replace(&mut *other.place(), Place::Stderr(Stderr::new()));
        *self.place() = place;
    }

    /// Opens a file anew, after somebody may have moved it away. The old one goes on if that fails.
    ///
    /// # Errors
    ///
    /// If it cannot be opened.
    pub fn reopen(&self) -> Result<()> {
        match &mut *self.place() {
            Place::File(file) => file.reopen(),
            _ => Ok(()),
        }
    }

    /// Writes an event with its fields.
    pub fn event(&self, record: &Record) {
        self.event_at(Level::Info, record);
    }

    /// The same for an event that is more than a notice.
    pub fn event_at(&self, level: Level, record: &Record) {
        let fields = record.fields();
        self.place().write(&Line { level, named: level == Level::Info, text: &record.text, fields: &fields });
    }

    /// Writes what is weak in a config. Without the lines of the file: they hold the sequences, and a log
    /// is read by many.
    pub fn finding(&self, finding: &Diagnostic) {
        let text = finding.to_string();
        self.place().write(&Line { level: Level::Warn, named: true, text: &text, fields: &[] });
    }

    /// Tells of lines that were lost, if somebody listens by now.
    pub fn tell_lost(&self) {
        self.place().tell_lost();
    }

    fn place(&self) -> MutexGuard<'_, Place> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The end of the `log` crate's macros: this crate's lines at its verbosity, others' from warnings on.
struct Logger {
    log: Log,
    own: LevelFilter,
}

impl log::Log for Logger {
    fn enabled(&self, metadata: &log::Metadata<'_>) -> bool {
        let own = ["knock_user", "knock_gate"].iter().any(|name| metadata.target().starts_with(name));
        metadata.level() <= if own { self.own } else { LevelFilter::Warn }
    }

    fn log(&self, record: &log::Record<'_>) {
        if self.enabled(record.metadata()) {
            self.log.place().write(&Line::plain(record.level(), &record.args().to_string()));
        }
    }

    fn flush(&self) {}
}

/// Starts the logger.
///
/// # Errors
///
/// If a logger runs already.
pub fn start(log: &Log, verbosity: u8) -> Result<()> {
    let own = match verbosity {
        0 => LevelFilter::Info,
        1 => LevelFilter::Debug,
        _ => LevelFilter::Trace,
    };
    log::set_boxed_logger(Box::new(Logger { log: log.clone(), own }))?;
    log::set_max_level(own);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_text_passes_for_a_line_of_its_own() {
        let text = "a hook said:\ndid not knock: 192.0.2.7 -> :22/tcp\r\x1b[31m\n  and this\n";
        let expected = "a hook said:\n  did not knock: 192.0.2.7 -> :22/tcp\\r\\u{1b}[31m\n  and this";
        assert_eq!(clean(text), expected);
    }

    #[test]
    fn events_are_notices() {
        let fields = [("EVENT", "denied".to_owned())];
        assert_eq!(Line { level: Level::Info, named: true, text: "", fields: &fields }.severity(), 5);
        let plain = |level| Line::plain(level, "").severity();
        assert_eq!([plain(Level::Error), plain(Level::Warn), plain(Level::Info), plain(Level::Debug)], [3, 4, 6, 7]);
    }
}
