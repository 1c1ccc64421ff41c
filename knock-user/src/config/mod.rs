//! The config: TOML text becomes a [`Config`] that has no errors, or a list of all its errors.
//!
//! The text is read once, from the top down; every section reports its own errors and goes on.
//! Then the sections are held against each other, and a config without errors is looked at for
//! what works but is weak.

mod advice;
mod contradictions;
mod door;
mod error;
pub mod fingerprint;
mod foreign;
mod group;
mod hook_time;
mod hooks;
mod host;
mod interface;
mod listening;
mod lockout;
mod log;
mod model;
mod name;
mod network;
mod onetime;
mod options;
mod overlap;
mod port_owners;
mod presence;
mod published;
mod service;
mod strength;
mod tcpflags;
mod users;

#[cfg(test)]
mod tests;

use std::fs::{self, File, Metadata};
use std::io;
use std::os::unix::fs::FileTypeExt as _;
use std::path::{Path, PathBuf};

use knock_common::hash::fnv1a_64;
use toml::de::DeTable;

pub use self::error::ConfigError;
pub(crate) use self::hook_time::slept;
pub use self::hook_time::{remarks as remarks_on_hooks, too_long as sleeps_too_long};
pub(crate) use self::hooks::{PATH, is_harmless};
pub use self::interface::InterfacePattern;
pub use self::listening::remarks as remarks_on_listeners;
pub use self::log::{DEFAULT_IDENT, Facility, LogTarget, SyslogOptions};
pub(crate) use self::onetime::choose as choose_one_time;
pub(crate) use self::port_owners::PortOwners;
pub use self::presence::{log_fault, missing_programs};
pub(crate) use self::published::is_published;
pub use self::published::remarks as remarks_on_published;
pub use self::strength::remarks as remarks_on_strength;
pub use self::users::remarks as remarks_on_users;

pub use self::model::{
    BARE_CMD_TIMEOUT, Config, Deny, Door, FLOW_IDLE, HOOK_TIMEOUT, Hook, Hooks, LOG_DENIED_RATE, LOG_RATE, Lockout,
    MAX_HOOKS, Mode, OnExit, OneTime, Options, SEQ_TIMEOUT, Service,
};
pub use crate::syntax::{Diagnostic, Excerpt, Port, PortError, PortNames, PortRange, Severity, transport_name};

use self::host::Host;
use self::report::Report;
use self::value::{Entry, Table};
// The sections' files name them as their own neighbours.
use crate::syntax::{diagnostic, document, duration, port, port_names, report, suggest, value};

/// The config file where no other is named.
pub const DEFAULT_CONFIG: &str = "/etc/knock/knock.toml";

impl Config {
    /// Reads a config file of this host, and says what is weak about it.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] if the file cannot be read or has an error, or if others than root can read or change
    /// it, or a file of one-time sequences that it names ([`crate::permissions::Permissions::fault`]).
    pub fn load(path: &Path) -> Result<(Self, Vec<Diagnostic>), ConfigError> {
        load(path, true)
    }

    /// The same for a file that is not, or not yet, in its place: what others can do to it is a warning.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] if the file cannot be read or has an error.
    pub fn load_anywhere(path: &Path) -> Result<(Self, Vec<Diagnostic>), ConfigError> {
        load(path, false)
    }

    /// Reads the text of a config. Nothing of this host counts but its names of ports, and the files of
    /// one-time sequences that the text names.
    ///
    /// # Errors
    ///
    /// [`ConfigError::Refused`] if the text has an error.
    pub fn parse(text: &str, file_name: &str) -> Result<(Self, Vec<Diagnostic>), ConfigError> {
        let host = Host { names: PortNames::of_host(), ..Host::default() };
        parse(text, file_name, Path::new(file_name), &host)
    }
}

fn load(path: &Path, in_place: bool) -> Result<(Config, Vec<Diagnostic>), ConfigError> {
    let (octets, about) = read(path).map_err(|source| ConfigError::Io { path: path.to_owned(), source })?;
    let file = path.display().to_string();
    let text = document::text(&octets, &file).map_err(ConfigError::Refused)?;
    parse(text, &file, path, &Host::here(&about, in_place))
}

fn read(path: &Path) -> io::Result<(Vec<u8>, Metadata)> {
    // Whoever opens one waits for a writer, and a daemon must not. Standard input is a pipe without a name.
    if fs::metadata(path)?.file_type().is_fifo() && fs::canonicalize(path).is_ok() {
        return Err(io::Error::other("it is a pipe, and no file"));
    }
    let file = File::open(path)?;
    let about = file.metadata()?;
    Ok((document::read(file)?, about))
}

fn parse(text: &str, file: &str, path: &Path, host: &Host) -> Result<(Config, Vec<Diagnostic>), ConfigError> {
    let report = Report::new(file, text);
    let config = read_document(text, path, host, &report);
    let findings = report.into_findings();
    match config {
        Some(config) => Ok((config, findings)),
        None => Err(ConfigError::Refused(findings)),
    }
}

/// `None` if an error was reported.
fn read_document(text: &str, path: &Path, host: &Host, report: &Report<'_>) -> Option<Config> {
    let (document, errors) = DeTable::parse_recoverable(text);
    if !errors.is_empty() {
        if foreign::is_knockd_conf(text) {
            let help = format!("`knockctl import {} -o {DEFAULT_CONFIG}` writes ours from it", path.display());
            report.of_file(Severity::Error, "this is knockd's config, and not ours", help);
        } else {
            document::report_syntax(&errors, report);
        }
        return None;
    }
    let mut table = Table::new(String::new(), 0..0, document.get_ref());
    let options = table.take("options");
    let services = need_services(&mut table, text, report);
    let doors = sections(&mut table, "doors", report).unwrap_or_default();
    table.finish(report);

    let options = match options {
        Some(item) => item.table(report).map(|table| options::read(table, report)),
        None => {
            let help = "add a section [options] with interfaces = [\"eth0\"]";
            report.error(&(0..0), "options.interfaces", "is missing", help);
            None
        }
    };
    if contradictions::too_many(&services, &doors, report) {
        // Each is held against each other below.
        return None;
    }
    let names: Vec<&str> = services.iter().map(|entry| entry.name).collect();
    let mut services: Vec<_> = services.iter().map(|entry| service::read(entry, &host.names, report)).collect();
    let mut own = services.len();
    let read_door = |entry: &Entry<'_>| {
        let door = door::read(entry, &names, own, &host.names, report);
        own += usize::from(door.as_ref().is_some_and(|placed| placed.bare));
        door
    };
    let doors: Vec<_> = doors.iter().map(read_door).collect();
    services.extend(doors.iter().flatten().filter(|placed| placed.bare).map(|placed| Some(service::own(placed))));
    {
        let services: Vec<_> = services.iter().flatten().collect();
        let doors: Vec<_> = doors.iter().flatten().collect();
        contradictions::check(&services, &doors, report);
        if !report.has_errors() {
            advice::give(&services, &doors, host, report);
            advice::of_the_file(text, host, report);
        }
    }
    if report.has_errors() {
        return None;
    }
    let (doors, sheets): (Vec<_>, Vec<_>) =
        doors.into_iter().flatten().map(|placed| (placed.door, placed.sheet)).unzip();
    let mut config = Config {
        path: PathBuf::from(path),
        fingerprint: fnv1a_64(text.as_bytes()),
        options: options?,
        services: services.into_iter().flatten().map(|placed| placed.service).collect(),
        doors,
    };
    onetime::fill(&mut config, &sheets, host, report);
    (!report.has_errors()).then_some(config)
}

/// The services. A file that was cut off before them is TOML all the same, and a gate that protects nothing is
/// seldom meant: whoever means it writes the section, and nothing in it.
fn need_services<'a>(table: &mut Table<'a>, text: &str, report: &Report<'_>) -> Vec<Entry<'a>> {
    let services = sections(table, "services", report);
    if services.is_none() {
        let help = "see that the file is whole, and add a section such as [services.ssh2]; where nothing is to be \
                    protected, write [services] alone";
        report.error(&(text.len()..text.len()), "services", "is missing: nothing would be protected", help);
    }
    services.unwrap_or_default()
}

/// The named sections under `services` or `doors`; `None` if there is no such key.
fn sections<'a>(table: &mut Table<'a>, name: &'static str, report: &Report<'_>) -> Option<Vec<Entry<'a>>> {
    let item = table.take(name)?;
    Some(item.table(report).map(Table::into_entries).unwrap_or_default())
}
