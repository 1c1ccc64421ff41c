//! The pair of doors: one that opens, and one that closes. If the first becomes a service, the second must not stay a
//! command that looks for a rule which is not there any more: the grant would stay for good.

use std::collections::HashSet;

use knock_common::abi::rules::MAX_DOORS;

use super::commands::{By, DELETES, deletes_by_number, words_in};
use super::grammar::Says;
use super::meaning::{Close, Commands, finds};
use super::ports::list;
use super::settle::{Candidate, Deed};
use crate::config::{Port, PortRange};

/// A door that opens, as far as a pair needs it.
struct Opener {
    line: usize,
    name: String,
    sequence: Vec<Port>,
    ports: Vec<PortRange>,
    places: Vec<String>,
}

/// Gives each door that closes the ports of the one whose pair it is.
pub fn pair(doors: &mut [Candidate<'_>]) {
    // What a deletion finds, it finds among the rules that doors add.
    let found: Vec<Option<Vec<PortRange>>> = doors
        .iter()
        .map(|door| if let Deed::Seek(close) = &door.deed { Some(seek(door, close, doors)) } else { None })
        .collect();
    for (door, found) in doors.iter_mut().zip(found) {
        let Some(ports) = found else { continue };
        let Deed::Seek(close) = std::mem::replace(&mut door.deed, Deed::Log) else { continue };
        door.deed = if ports.is_empty() {
            Deed::Hooks("no door here opens what it closes".to_owned())
        } else {
            if close.finders.iter().any(|finder| finder.by == By::Number) {
                let text = format!(
                    "it deletes a rule by its number, whichever that is then; taken for the door that closes {}",
                    list(&ports)
                );
                door.draft.say(Says::is_start, text, true);
            }
            Deed::Close(ports, close.hooks)
        };
    }
    // There is no room for more doors than these.
    let openers: Vec<Opener> = doors.iter().filter_map(opener).take(MAX_DOORS).collect();
    for door in doors.iter_mut() {
        let Deed::Hooks(reason) = &door.deed else { continue };
        let Some(ports) = closes(door, &openers) else { continue };
        if door.draft.commands.stops() {
            let text = format!(
                "this no longer closes {}: what it deletes is not there any more. For that, write a door with its \
                 sequence, the same service and action = \"close\"",
                list(&ports)
            );
            door.draft.say(Says::is_start, text, true);
            continue;
        }
        let is_fit = |text: &String| !deletes_by_number(text);
        let Commands { start, start_6, .. } = door.draft.commands.clone();
        let hooks = Commands { start: start.filter(is_fit), start_6: start_6.filter(is_fit), ..Commands::default() };
        let runs = if hooks == Commands::default() { "is left out" } else { "still runs" };
        let text = format!("{reason}; taken for the door that closes {}, and its command {runs}", list(&ports));
        door.draft.say(Says::is_start, text, true);
        door.deed = Deed::Close(ports, hooks);
    }
}

/// Says of commands that open a port by themselves that the gate is in front of it now.
pub fn behind_the_gate(doors: &mut [Candidate<'_>], services: &[Vec<PortRange>]) {
    for door in doors.iter_mut().filter(|door| door.left_out.is_none()) {
        if !matches!(door.deed, Deed::Hooks(_)) {
            continue;
        }
        let opens =
            |text: &&String| words_in(text).any(|word| matches!(word, "-I" | "-A" | "add" | "insert" | "allow"));
        let words: HashSet<&str> = door.draft.commands.all().filter(opens).flat_map(|text| words_in(text)).collect();
        let is_named = |port: &PortRange| port.first == port.last && words.contains(port.first.to_string().as_str());
        let named = services.iter().find(|ports| !words.is_empty() && ports.iter().any(is_named));
        if let Some(ports) = named {
            let text = format!("the gate stands in front of {} now, and this alone lets nobody in there", list(ports));
            door.draft.say(Says::is_start, text, true);
        }
    }
}

/// The ports of the rules that a deletion finds. One by a number means one door, if several could be meant: that with
/// the same knocks the other way round, that of the same name, or the last one before it.
fn seek(door: &Candidate<'_>, close: &Close, doors: &[Candidate<'_>]) -> Vec<PortRange> {
    let mut ports = Vec::new();
    let mut by_number = Vec::new();
    for other in doors.iter().filter(|door| matches!(door.deed, Deed::Open(..))).take(MAX_DOORS) {
        let Deed::Open(all, open) = &other.deed else { continue };
        crate::syntax::work::note();
        for finder in &close.finders {
            let found: Vec<_> = open.rules.iter().filter(|rule| finds(finder, rule)).collect();
            if finder.by == By::Number {
                by_number.extend((!found.is_empty()).then_some((other, all)));
            } else {
                for rule in found {
                    let own =
                        if rule.ports.is_empty() || rule.place.name() != Some("INPUT") { all } else { &rule.ports };
                    ports.extend(own.iter().copied());
                }
            }
        }
        let named = |rule| open.rules.iter().any(|own| own == rule);
        if close.rules.iter().any(named) {
            ports.extend(all.iter().copied());
        }
    }
    let line = door.draft.section.line;
    let name = stem(door);
    let best = by_number.iter().max_by_key(|(other, _)| {
        let reversed = is_reversed(door.draft.sequence(), other.draft.sequence());
        let before = other.draft.section.line < line;
        (reversed, stem(other) == name, before, if before { other.draft.section.line } else { 0 })
    });
    ports.extend(best.into_iter().flat_map(|(_, all)| all.iter().copied()));
    PortRange::joined(&ports)
}

fn opener(door: &Candidate<'_>) -> Option<Opener> {
    let Deed::Open(ports, open) = &door.deed else { return None };
    let place = open.rules.iter().filter_map(|rule| rule.place.name());
    Some(Opener {
        line: door.draft.section.line,
        name: stem(door),
        sequence: door.draft.sequence().to_vec(),
        ports: ports.clone(),
        places: place.filter(|name| !name.eq_ignore_ascii_case("input")).map(str::to_owned).collect(),
    })
}

/// The ports that commands which are not understood most likely close.
fn closes(door: &Candidate<'_>, openers: &[Opener]) -> Option<Vec<PortRange>> {
    let texts: Vec<&String> = door.draft.commands.start.iter().chain(&door.draft.commands.start_6).collect();
    if texts.is_empty() {
        return None;
    }
    let words: HashSet<&str> = texts.iter().flat_map(|text| words_in(text)).collect();
    let deletes = words.iter().any(|word| DELETES.contains(word) || *word == "-x" || word.starts_with("--remove-"));
    let name = String::from_utf8_lossy(&door.draft.section.name).to_ascii_lowercase();
    let is_called_so =
        ["close", "shut", "lock", "deny", "disable"].iter().any(|word| name.contains(word)) && !name.contains("unlock");
    let is_of = |opener: &&Opener| {
        crate::syntax::work::note();
        let reversed = is_reversed(door.draft.sequence(), &opener.sequence);
        let is_named = |port: &PortRange| port.first == port.last && words.contains(port.first.to_string().as_str());
        let port = opener.ports.iter().any(is_named);
        let place = opener.places.iter().any(|place| words.contains(place.as_str()));
        let called = is_called_so && stem(door) == opener.name;
        opener.line != door.draft.section.line
            && ((deletes && (port || place || reversed)) || (is_called_so && reversed) || called)
    };
    let ports: Vec<PortRange> = openers.iter().filter(is_of).flat_map(|opener| opener.ports.iter().copied()).collect();
    Some(PortRange::joined(&ports)).filter(|ports| !ports.is_empty())
}

/// The name of a door without what says that it opens or closes.
fn stem(door: &Candidate<'_>) -> String {
    let mut name = String::from_utf8_lossy(&door.draft.section.name).to_ascii_lowercase();
    for word in ["unlock", "open", "close", "shut", "lock", "deny", "allow", "enable", "disable", "-", "_", " "] {
        name = name.replace(word, "");
    }
    name
}

fn is_reversed(one: &[Port], other: &[Port]) -> bool {
    !one.is_empty() && one.len() == other.len() && one.iter().eq(other.iter().rev())
}
