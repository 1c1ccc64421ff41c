//! Where the daemon's own log goes: standard error, a file, syslog or the journal, exchangeable by a
//! reload. Nothing here keeps the gate waiting or ends it: a line that cannot be written is counted, and
//! the count is told as soon as somebody listens again.

mod datagram;
mod file;
mod journal;
mod line;
mod stderr;
mod syslog;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::Result;
use log::{Level, LevelFilter};

use self::datagram::Remote;
use self::file::LogFile;
use self::line::LogLine;
use self::stderr::Stderr;
use super::event_log::Record;
use crate::config::{Diagnostic, LogTarget};

/// The places for lines.
enum Sink {
    Stderr(Stderr),
    File(LogFile),
    Syslog(Remote<syslog::Format>),
    Journal(Remote<journal::Format>),
}

impl Sink {
    fn open(target: &LogTarget) -> Result<Self> {
        Ok(match target {
            LogTarget::Stderr => Self::Stderr(Stderr::new()),
            LogTarget::File(path) => Self::File(LogFile::open(path)?),
            LogTarget::Syslog(options) => Self::Syslog(Remote::new(syslog::Format::new(options))),
            LogTarget::Journal => Self::Journal(Remote::new(journal::Format::new())),
        })
    }

    fn write(&mut self, line: &LogLine<'_>) {
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
pub struct Log(Arc<Mutex<Sink>>);

impl Log {
    /// Opens the target. A file is appended to. Syslog or a journal that is not there yet is no error:
    /// until it is, lines go to standard error, and say so.
    ///
    /// # Errors
    ///
    /// If a file cannot be opened.
    pub fn open(target: &LogTarget) -> Result<Self> {
        Ok(Self(Arc::new(Mutex::new(Sink::open(target)?))))
    }

    /// Goes on with the place of another log.
    pub fn replace(&self, other: &Self) {
        let place = std::mem::replace(&mut *other.place(), Sink::Stderr(Stderr::new()));
        *self.place() = place;
    }

    /// Opens a file anew, after somebody may have moved it away. The old one goes on if that fails.
    ///
    /// # Errors
    ///
    /// If it cannot be opened.
    pub fn reopen(&self) -> Result<()> {
        match &mut *self.place() {
            Sink::File(file) => file.reopen(),
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
        self.place().write(&LogLine { level, named: level == Level::Info, text: &record.text, fields: &fields });
    }

    /// Writes what is weak in a config. Without the lines of the file: they hold the sequences, and a log
    /// is read by many.
    pub fn finding(&self, finding: &Diagnostic) {
        let text = finding.to_string();
        self.place().write(&LogLine { level: Level::Warn, named: true, text: &text, fields: &[] });
    }

    /// Tells of lines that were lost, if somebody listens by now.
    pub fn tell_lost(&self) {
        self.place().tell_lost();
    }

    fn place(&self) -> MutexGuard<'_, Sink> {
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
            self.log.place().write(&LogLine::plain(record.level(), &record.args().to_string()));
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
