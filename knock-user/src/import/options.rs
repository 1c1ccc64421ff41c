//! `[options]` of knockd becomes ours.

use std::path::Path;

use super::draft::Remark;
use super::grammar::{File, Refusal, Says, Section, shown};
use crate::config::InterfacePattern;

/// The interface that knockd listens on if nobody says otherwise.
const DEFAULT_INTERFACE: &str = "eth0";
/// Octets of an interface's name that knockd keeps.
const MAX_INTERFACE: usize = 31;

/// What becomes of the options, wherever in the file they are.
#[derive(Debug)]
pub struct Options {
    /// `interfaces`
    pub interface: String,
    /// What is said of it, if no line of the file names it; and whether it wants a look.
    pub because: Option<(String, bool)>,
    /// The line that names it.
    pub interface_line: Option<usize>,
    /// `log`
    pub log: Option<String>,
    /// The line that names it.
    pub log_line: Option<usize>,
}

/// Reads them.
///
/// # Errors
///
/// If the interface is none that can be named here.
pub fn read(file: &File, given: Option<&str>) -> Result<Options, Refusal> {
    let mut options = Options {
        interface: DEFAULT_INTERFACE.to_owned(),
        because: None,
        interface_line: None,
        log: None,
        log_line: None,
    };
    let entries = || file.sections.iter().flat_map(|section| &section.entries);
    // knockd keeps the first interface it is told, and of the rest the last.
    let named = entries().find_map(|entry| match &entry.says {
        Says::Interface(name) if !name.is_empty() => Some((entry.line, &name[..name.len().min(MAX_INTERFACE)])),
        _ => None,
    });
    if let Some(given) = given {
        options.interface = given.to_owned();
        options.because = Some(("from --interface".to_owned(), false));
    } else if let Some((line, name)) = named {
        options.interface = interface(line, name)?;
        options.interface_line = Some(line);
    } else {
        let text = "knockd's default; /etc/default/knockd may name another with -i";
        options.because = Some((text.to_owned(), true));
    }
    // The last one counts, even if it names none.
    let last = entries().filter_map(|entry| match &entry.says {
        Says::LogFile(name) => Some((entry.line, name)),
        _ => None,
    });
    let file = last.reduce(|_, later| later).and_then(|(line, name)| Some((line, log_file(name)?)));
    let syslog =
        || entries().find(|entry| entry.says == Says::UseSyslog).map(|entry| (entry.line, "syslog".to_owned()));
    if let Some((line, log)) = file.or_else(syslog) {
        (options.log, options.log_line) = (Some(log), Some(line));
    }
    Ok(options)
}

fn interface(line: usize, name: &[u8]) -> Result<String, Refusal> {
    if name == b"any" {
        return Ok("*".to_owned());
    }
    let text = String::from_utf8_lossy(name);
    // The name of an address, as ifconfig has it, is about the interface before the colon.
    let base = text.split_once(':').map_or(&*text, |(base, _)| base);
    match InterfacePattern::parse(base) {
        Ok(pattern) if pattern.name().is_some() => Ok(base.to_owned()),
        _ => {
            let message = format!("{} can be no interface", shown(name));
            Err(Refusal::new(line, message, "name the interface with --interface; `ip link` lists them"))
        }
    }
}

/// The file, if our log can go to it.
fn log_file(name: &[u8]) -> Option<String> {
    let name = str::from_utf8(name).ok()?;
    let fits = Path::new(name).is_absolute() && !name.ends_with('/') && !name.contains(char::is_control);
    fits.then(|| name.to_owned())
}

/// What is said of the lines of one section of options, or of a stray `UseSyslog` in a door.
pub fn remarks(section: &Section, options: &Options) -> Vec<Remark> {
    let mut remarks = Vec::new();
    for (index, entry) in section.entries.iter().enumerate() {
        let mut say = |text: String, look| remarks.push(Remark { entry: Some(index), text, look });
        let counts = options.log_line == Some(entry.line);
        match &entry.says {
            Says::PidFile => say("not needed: knockctl finds its daemon itself".to_owned(), false),
            Says::UseSyslog if !counts => {
                if let Some(line) = options.log_line {
                    say(format!("the log goes to one place, that of line {line}"), true);
                }
            }
            Says::LogFile(name) if !counts => match log_file(name) {
                Some(_) => say("overridden by a later line".to_owned(), false),
                None if name.is_empty() => say("no file, and no log in one".to_owned(), false),
                None => say("not an absolute path that a log can go to; name one with log = \"/...\"".to_owned(), true),
            },
            Says::Interface(name) if options.interface_line != Some(entry.line) => {
                say(if name.is_empty() { "names no interface" } else { "overridden" }.to_owned(), false);
            }
            Says::Interface(name) if name.as_slice() != options.interface.as_bytes() => {
                say("our gate stands on whole interfaces".to_owned(), true);
            }
            _ => {}
        }
    }
    remarks
}
