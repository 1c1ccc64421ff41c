//! The event log: bounded JSON lines that `knockctl events` reads.

use std::fs::File;
use std::io::{self, Write as _};
use std::time::SystemTime;

use anyhow::{Context as _, Result};
use log::{error, warn};
use rustix::fs::OFlags;
use serde::Serialize;

use crate::hooks::HookMessage;
use crate::paths::Paths;
use crate::run_dir::folder;
use crate::runtime::{EVENTS, OLD_EVENTS};

/// One event. Fields that do not apply are left out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Record {
    /// When, RFC 3339, UTC.
    pub time: String,
    /// What happened: `stage`, `opened`, `extended`, `closed`, `wrong`, `timeout`, `denied`,
    /// `refused`, `expired`, `spent`, `lockout`, `onetime`, `hook`, `lost`, `start`, `reload`, `link`, `stop`.
    pub event: String,
    /// Source address, with its prefix length if a grant is for a network.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// Name of the door.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub door: Option<String>,
    /// Name of the service.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service: Option<String>,
    /// Destination port: `2222/tcp`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub port: Option<String>,
    /// Name of the interface.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub interface: Option<String>,
    /// Steps made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stage: Option<u8>,
    /// How long the grant lasts, in seconds; left out for good.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until_seconds: Option<u64>,
    /// How many denials were left out of the log.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub count: Option<u64>,
    /// The line of the log.
    pub text: String,
}

impl Record {
    /// An event of this moment.
    pub fn of(event: &str, text: String) -> Self {
        Self {
            time: humantime::format_rfc3339_millis(SystemTime::now()).to_string(),
            event: event.to_owned(),
            source: None,
            door: None,
            service: None,
            port: None,
            interface: None,
            stage: None,
            until_seconds: None,
            count: None,
            text,
        }
    }

    /// What applies, by the names that the journal has for it.
    pub fn fields(&self) -> Vec<(&'static str, String)> {
        let number = |number: Option<u64>| number.map(|number| number.to_string());
        let fields = [
            ("EVENT", Some(self.event.clone())),
            ("SOURCE", self.source.clone()),
            ("DOOR", self.door.clone()),
            ("SERVICE", self.service.clone()),
            ("PORT", self.port.clone()),
            ("STAGE", number(self.stage.map(u64::from))),
            ("SECONDS", number(self.until_seconds)),
            ("COUNT", number(self.count)),
        ];
        fields.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
    }

    /// What there is to say of a hook.
    pub fn of_hook(said: HookMessage) -> Self {
        let mut record = Self::of("hook", said.text);
        if let Some(about) = said.about {
            record.source = Some(about.source);
            record.door = Some(about.door);
            record.service = Some(about.service);
        }
        record
    }
}

/// The log is cut in halves of this many bytes, of which two are kept.
const HALF: u64 = 1 << 20;

/// The event log, open as long as it can be.
pub struct EventLog {
    paths: Paths,
    /// With its length.
    file: Option<(File, u64)>,
    /// Records that could not be written.
    lost: u64,
}

impl EventLog {
    /// A log that goes on where an earlier daemon ended. It is opened when there is something to write.
    pub fn new(paths: &Paths) -> Self {
        Self { paths: paths.clone(), file: None, lost: 0 }
    }

    /// Appends a record. A log that cannot be written is reported, once; the gate does not depend on it.
    pub fn append(&mut self, record: &Record) {
        let path = self.paths.run.join(EVENTS);
        match self.try_append(record) {
            Ok(()) if self.lost > 0 => {
                warn!("{}: {} events are not in it: it could not be written", path.display(), self.lost);
                self.lost = 0;
            }
            Ok(()) => {}
            Err(error) => {
                if self.lost == 0 {
                    error!("{error:#}: events are lost until it can be written");
                }
                self.lost += 1;
            }
        }
    }

    fn try_append(&mut self, record: &Record) -> Result<()> {
        let named = || self.paths.run.join(EVENTS).display().to_string();
        let mut line = serde_json::to_vec(record)?;
        line.push(b'\n');
        if self.file.as_ref().is_some_and(|(_, length)| length + line.len() as u64 > HALF) {
            match folder(&self.paths).with_context(named)?.rename(EVENTS, OLD_EVENTS) {
                // Removed by hand.
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error).with_context(named),
                _ => self.file = None,
            }
        }
        let (file, length) = match &mut self.file {
            Some(open) => open,
            none => none.insert(open(&self.paths)?),
        };
        let written = file.write(&line).with_context(named)?;
        if written < line.len() {
            // A full disk. Half a line would spoil the next one.
            file.set_len(*length).with_context(named)?;
            return Err(io::Error::from_raw_os_error(libc::ENOSPC)).with_context(named);
        }
        *length += written as u64;
        Ok(())
    }
}

fn open(paths: &Paths) -> Result<(File, u64)> {
    let named = || paths.run.join(EVENTS).display().to_string();
    let file = folder(paths).with_context(named)?.write(EVENTS, OFlags::WRONLY | OFlags::APPEND)?;
    let length = file.metadata().with_context(named)?.len();
    Ok((file, length))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_log_is_bounded() {
        let directory = tempfile::tempdir().unwrap();
        let paths = Paths { run: directory.path().into(), ..Paths::below(directory.path()) };
        let mut log = EventLog::new(&paths);
        let record = Record::of("denied", "x".repeat(1000));
        (0..3000).for_each(|_| log.append(&record));
        for name in [EVENTS, OLD_EVENTS] {
            let size = std::fs::metadata(paths.run.join(name)).unwrap().len();
            assert!(size > 0 && size <= HALF, "{name}");
        }
    }

    #[test]
    fn fields_that_do_not_apply_are_left_out() {
        let record = Record { time: "2026-01-01T00:00:00Z".into(), ..Record::of("stop", "shutting down".into()) };
        let json = serde_json::to_string(&record).unwrap();
        assert_eq!(json, r#"{"time":"2026-01-01T00:00:00Z","event":"stop","text":"shutting down"}"#);
    }
}
