//! `knockd.conf` becomes our config.
//!
//! `grammar` reads the file as knockd does, `commands` says what its commands do, `settle`
//! what can stand beside each other here, and `write` puts it down. What the host knows comes in
//! with the [`Request`], but for files of one-time sequences, which are read as the daemon will read them.

mod commands;
mod danger;
mod draft;
mod file;
mod grammar;
mod habits;
mod lines;
mod meaning;
mod names;
mod number;
mod once;
mod options;
mod outcome;
mod pairs;
mod ports;
mod remark;
mod request;
mod rules;
mod sequence;
mod services;
mod settle;
mod text;
mod trusted;
mod write;

#[cfg(test)]
mod cases;
#[cfg(test)]
mod tests;

pub use self::file::Refusal;
pub use self::options::DEFAULTS;
pub use self::outcome::{Imported, Look, Row};
pub use self::request::{Listing, ReadFile, Request};

use std::cell::RefCell;
use std::collections::HashMap;

use self::draft::Draft;
use self::grammar::{File, Says, Section};
use self::meaning::Meaning;
use self::once::Files;
use self::request::NAME;

use self::ports::{Lookup, Trouble};
use self::settle::{Candidate, Deed};
use self::write::Plan;
use crate::config::{Config, ConfigError, HOOK_TIMEOUT, PortRange, sleeps_too_long};

/// In the message about a config that our own reader refuses: a mistake of the import.
pub const UNEXPECTED: &str = "it becomes a config that is refused";

/// Reads a knockd.conf and writes our config.
///
/// # Errors
///
/// The first thing for which knockd 0.8 would not start, or what cannot be known without help.
pub fn import(file: &[u8], request: &Request<'_>) -> Result<Imported, Refusal> {
    // However many lines name a file, it is read once.
    let known = RefCell::new(HashMap::new());
    let count = |path: &[u8]| Ok(sequence::unused(&(request.one_time)(path)?).count());
    let left = |path: &[u8]| known.borrow_mut().entry(path.to_vec()).or_insert_with(|| count(path)).clone();
    let file = grammar::parse(file, &left)?;
    let mut options = options::read(&file, request.interface.as_deref(), request.defaults.as_deref())?;
    let mut lookup = Lookup::default();
    let mut plans = plans(&file, &mut lookup, request)?;
    let mut places = Vec::new();
    let mut doors = Vec::new();
    for (place, (_, plan)) in plans.iter_mut().enumerate() {
        if let Plan::Door(_) = plan {
            let Plan::Door(door) = std::mem::replace(plan, Plan::LeftOut(Vec::new(), String::new())) else { continue };
            places.push(place);
            doors.push(*door);
        }
    }
    let services = hold_together(&mut doors);
    options.fit(&interfaces(&doors));
    let trusted = trusted::find(&doors, &services, &options.interfaces, &mut lookup, request);
    for (place, door) in places.into_iter().zip(doors) {
        plans[place].1 = Plan::Door(Box::new(door));
    }
    let write = |plans: &_| write::write(&file, plans, services.clone(), &options, &lookup, &trusted, request);
    let mut written = write(&plans);
    match Config::parse(&written.text.to_string(), NAME) {
        Err(error) => return Err(unexpected(&error, &written.text)),
        Ok((_, findings)) => {
            if once::tell(&mut plans, &findings) {
                written = write(&plans);
            }
        }
    }
    let text = written.text.to_string();
    Ok(Imported {
        text,
        rows: written.rows,
        looks: written.looks,
        ports: written.ports,
        interfaces: options.interfaces,
    })
}

fn plans<'a>(
    file: &'a File,
    lookup: &mut Lookup,
    request: &Request<'_>,
) -> Result<Vec<(&'a Section, Plan<'a>)>, Refusal> {
    let doors = file.sections.iter().filter(|section| !section.is_options());
    let mut files = Files::default();
    doors
        .map(|section| {
            let plan = match Draft::new(section).and_then(|draft| once::look(draft, &mut files, request)) {
                Ok(draft) => Plan::Door(Box::new(candidate(draft, lookup, request)?)),
                Err((remarks, why)) => Plan::LeftOut(remarks, why),
            };
            Ok((section, plan))
        })
        .collect()
}

/// Finds out what a door does.
fn candidate<'a>(mut draft: Draft<'a>, lookup: &mut Lookup, request: &Request<'_>) -> Result<Candidate<'a>, Refusal> {
    let mut notes = Vec::new();
    let meaning = meaning::of(&draft.commands, &request.names, &mut notes);
    let line = draft.start_line();
    let mut ports = |rules: &_, notes: &mut _| match lookup.of(rules, line, request, notes) {
        Ok(ports) => Ok(Ok(ports)),
        Err(Trouble::Elsewhere(reason)) => Ok(Err(Deed::Hooks(reason))),
        Err(Trouble::Unknown(refusal)) => Err(refusal),
    };
    let deed = match meaning {
        Meaning::Open(open) => match ports(&open.rules, &mut notes)? {
            Ok(ports) => Deed::Open(ports, open),
            Err(hooks) => hooks,
        },
        Meaning::Close(close) if !close.finders.is_empty() => Deed::Seek(close),
        // What there is to say of its ports is said of the door that opens them.
        Meaning::Close(close) => match ports(&close.rules, &mut Vec::new())? {
            Ok(ports) => Deed::Close(ports, close.hooks),
            Err(hooks) => hooks,
        },
        Meaning::Hooks(reason) => Deed::Hooks(reason),
        Meaning::Log => Deed::Log,
    };
    // What is said of a command that stays one is the reason for that.
    if !matches!(deed, Deed::Hooks(_)) {
        for note in notes {
            draft.say(Says::is_start, note.text, note.look);
        }
    }
    Ok(Candidate { draft, deed, left_out: None })
}

/// Leaves out what cannot be beside the rest, and says what is weak. Returns the services' ports.
fn hold_together(doors: &mut [Candidate<'_>]) -> Vec<Vec<PortRange>> {
    pairs::pair(doors);
    let services = settle::settle(doors);
    danger::name(doors);
    pairs::behind_the_gate(doors, &services);
    for door in doors.iter_mut() {
        if door.left_out.is_none() {
            let asleep: Vec<_> =
                door.hooks().all().filter_map(|command| sleeps_too_long(command, HOOK_TIMEOUT)).collect();
            for text in asleep {
                door.draft.say(Says::is_start, text, true);
            }
        }
        let Deed::Hooks(reason) = &door.deed else { continue };
        if door.left_out.is_none() && door.draft.commands.all().any(|text| commands::deletes_by_number(text)) {
            let why =
                format!("it deletes a rule by its number, whichever that is then, and is no other's pair: {reason}");
            door.left_out = Some(why);
            continue;
        }
        let reason = format!("stays a command: {reason}");
        door.draft.say(Says::is_start, reason, true);
        if door.draft.commands.all().any(|text| text.contains("%DOOR%") || text.contains("%SERVICE%")) {
            door.draft.say(Says::is_start, "%DOOR% and %SERVICE% mean something here, and nothing to knockd", true);
        }
    }
    services
}

/// For which interfaces the rules of the doors are that open; `None`: for all.
fn interfaces(doors: &[Candidate<'_>]) -> Vec<Option<String>> {
    doors.iter().flat_map(Candidate::opened).map(|rule| rule.interface.clone()).collect()
}

/// The config that came out is refused: says from which line of knockd.conf that is.
fn unexpected(error: &ConfigError, text: &text::Text) -> Refusal {
    let found = error.diagnostics().iter().find(|finding| finding.is_error());
    let (line, message) = found.map_or((0, error.to_string()), |finding| {
        (text.origin(finding.line).unwrap_or(0), format!("{}: {}", finding.key, finding.message))
    });
    let help = "this is a mistake of the import: leave that door out of the file, and add it by hand";
    Refusal::new(line, format!("{UNEXPECTED}: {message}"), help)
}
