//! `[options]` of knockd becomes ours.

use std::collections::BTreeSet;
use std::path::Path;

use super::grammar::{File, Refusal, Says, Section, shown};
use super::habits;
use super::remark::Remark;
use crate::config::InterfacePattern;

/// Where Debian's knockd has its options.
pub const DEFAULTS: &str = "/etc/default/knockd";
/// The interface that knockd listens on if nobody says otherwise.
const DEFAULT_INTERFACE: &str = "eth0";
/// Octets of an interface's name that knockd keeps.
const MAX_INTERFACE: usize = 31;

/// What becomes of the options, wherever in the file they are.
#[derive(Debug)]
pub struct Options {
    /// `interfaces`
    pub interfaces: Vec<String>,
    /// What is said of them; and whether it wants a look.
    pub because: Option<(String, bool)>,
    /// The line that names the one.
    pub interface_line: Option<usize>,
    /// Somebody has chosen them, and no rule has.
    given: bool,
    /// `log`
    pub log: Option<String>,
    /// The line that names it.
    pub log_line: Option<usize>,
}

/// Reads them. `given` is what --interface says, `defaults` what is in /etc/default/knockd.
///
/// # Errors
///
/// If the interface is none that can be named here.
pub fn read(file: &File, given: Option<&str>, defaults: Option<&str>) -> Result<Options, Refusal> {
    let mut options = Options {
        interfaces: vec![DEFAULT_INTERFACE.to_owned()],
        because: None,
        interface_line: None,
        given: given.is_some(),
        log: None,
        log_line: None,
    };
    let entries = || file.sections.iter().flat_map(|section| &section.entries);
    // knockd keeps the first interface it is told, which is that of -i, and of the rest the last.
    let named = entries().find_map(|entry| match &entry.says {
        Says::Interface(name) if !name.is_empty() => Some((entry.line, &name[..name.len().min(MAX_INTERFACE)])),
        _ => None,
    });
    if let Some(given) = given {
        options.interfaces = vec![given.to_owned()];
        options.because = Some(("from --interface".to_owned(), false));
    } else if let Some(name) = defaults.and_then(started_with) {
        options.interfaces = vec![interface(0, name.as_bytes())?];
        options.because = Some((format!("from -i in {DEFAULTS}"), false));
    } else if let Some((line, name)) = named {
        options.interfaces = vec![interface(line, name)?];
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

impl Options {
    /// Takes into account for which interfaces the rules of the doors are; `None`: for all.
    pub fn fit(&mut self, rules: &[Option<String>]) {
        let named: BTreeSet<&String> =
            rules.iter().flatten().filter(|name| InterfacePattern::parse(name).is_ok()).collect();
        let [heard] = self.interfaces.as_slice() else { return };
        let list = || named.iter().map(|name| name.as_str()).collect::<Vec<_>>().join(" and ");
        let by_default = self.interface_line.is_none() && self.because.as_ref().is_some_and(|(_, look)| *look);
        if self.given || named.is_empty() || (named.len() == 1 && named.contains(heard)) {
            return;
        }
        let one = named.iter().next().filter(|_| named.len() == 1 && rules.iter().all(Option::is_some));
        match one {
            Some(&name) if by_default => {
                self.because = Some((format!("from its rules, which are for {name} only"), false));
                self.interfaces = vec![name.clone()];
            }
            Some(&name) if heard != "*" => {
                let text = format!(
                    "knocks were heard on {heard}, and the rules let in on {name}: the gate is to stand on both; if \
                     {name} alone has strangers, name it alone"
                );
                self.because = Some((text, true));
                self.interfaces = vec![heard.clone(), name.clone()];
            }
            _ => {
                let text = format!(
                    "some of its rules are for {} only: a service is shut, and opened, on all interfaces of the gate; \
                     --interface chooses others",
                    list()
                );
                self.because = Some((text, true));
            }
        }
    }
}

/// The interface with which /etc/default/knockd starts knockd.
fn started_with(defaults: &str) -> Option<String> {
    let lines = defaults.lines().map(str::trim).filter(|line| !line.starts_with('#'));
    let options = lines.filter_map(|line| line.strip_prefix("KNOCKD_OPTS=")).next_back()?;
    let mut words =
        options.split(|c: char| c.is_whitespace() || matches!(c, '"' | '\'')).filter(|word| !word.is_empty());
    while let Some(word) = words.next() {
        let name = match word {
            "-i" | "--interface" => words.next()?,
            _ => match word.strip_prefix("--interface=").or_else(|| word.strip_prefix("-i")) {
                Some(name) => name,
                None => continue,
            },
        };
        return Some(name.to_owned());
    }
    None
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
            let refusal = Refusal::new(line, message, "name the interface with --interface; `ip link` lists them");
            Err(habits::explain(refusal, name, None))
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
    let mut remarks = if section.is_options() { habits::remarks(section) } else { Vec::new() };
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
            Says::Interface(name) if name.as_slice() != options.interfaces[0].as_bytes() => {
                say("our gate stands on whole interfaces".to_owned(), true);
            }
            _ => {}
        }
    }
    remarks
}
