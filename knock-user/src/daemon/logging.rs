//! Where the daemon's own log goes: standard error or a file, exchangeable by a reload.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context as _, Result};
use env_logger::{Builder, Target};
use log::LevelFilter;

use crate::config::LogTarget;

/// A log target that can be exchanged while the logger runs.
#[derive(Clone)]
pub struct Sink(Arc<Mutex<Option<File>>>);

impl Sink {
    /// Opens the target; a file is appended to.
    ///
    /// # Errors
    ///
    /// If the file cannot be opened.
    pub fn open(target: &LogTarget) -> Result<Self> {
        let file = match target {
            LogTarget::Stderr => None,
            LogTarget::File(path) => {
                let file = OpenOptions::new().append(true).create(true).open(path);
                Some(
                    file.with_context(|| format!("{}: set options.log to a file that can be written", path.display()))?,
                )
            }
        };
        Ok(Self(Arc::new(Mutex::new(file))))
    }

    /// Goes on with the target of another sink.
    pub fn replace(&self, other: &Self) {
        let file = other.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = file;
    }

    fn is_file(&self) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).is_some()
    }
}

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self.0.lock().unwrap_or_else(PoisonError::into_inner).as_mut() {
            Some(file) => file.write(bytes),
            None => io::stderr().write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Starts the logger. Lines on standard error carry no time: whoever collects them adds it.
///
/// # Errors
///
/// If a logger runs already.
pub fn start(sink: &Sink, verbosity: u8) -> Result<()> {
    let level = match verbosity {
        0 => LevelFilter::Info,
        1 => LevelFilter::Debug,
        _ => LevelFilter::Trace,
    };
    let place = sink.clone();
    Builder::new()
        .filter_level(LevelFilter::Warn)
        .filter_module("knock_user", level)
        .filter_module("knock_gate", level)
        .target(Target::Pipe(Box::new(sink.clone())))
        .format(move |line, record| {
            if place.is_file() {
                write!(line, "[{}] ", line.timestamp_seconds())?;
            }
            match record.level() {
                log::Level::Info => writeln!(line, "{}", record.args()),
                level => writeln!(line, "{}: {}", level.as_str().to_lowercase(), record.args()),
            }
        })
        .try_init()?;
    Ok(())
}
