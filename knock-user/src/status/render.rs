//! A snapshot -> text for people, or JSON for programs.

use std::time::Duration;

use anyhow::Result;

use super::snapshot::{Attempt, Door, Grant, Interface, Lockout, Service, Snapshot};
use crate::client::table;

/// One line of JSON.
pub fn json(snapshot: &Snapshot) -> Result<String> {
    Ok(serde_json::to_string(snapshot)? + "\n")
}

/// Tables.
pub fn text(snapshot: &Snapshot) -> String {
    if !snapshot.loaded {
        return "nothing is loaded: start the gate with `knockctl run`\n".to_owned();
    }
    let mut text = String::new();
    if let Some(why) = &snapshot.why_not {
        let colon = if why.is_empty() { "" } else { ": " };
        text += &format!("NO INTERFACE HAS THE GATE, NOTHING IS PROTECTED{colon}{why}\n");
    }
    text += &format!("knockctl {}\n", snapshot.version);
    let alone = if snapshot.stands { "the gate stands, nothing is logged" } else { "nothing is taken in or logged" };
    text += &snapshot.daemon.as_ref().map_or_else(
        || format!("daemon: not running: {alone}\n"),
        |daemon| format!("daemon: process {}, {}\n", daemon.pid, daemon.config.display()),
    );
    if let Some(daemon) = snapshot.daemon.as_ref().filter(|daemon| daemon.unread_events > 0) {
        text += &format!(
            "EVENTS NOT READ: {}, of another size or kind than the daemon knows: restart it\n",
            daemon.unread_events
        );
    }
    if let Some(config) = snapshot.config.as_ref().filter(|config| config.changed) {
        let reload = "what is in force is what it was before, until `knockctl reload`";
        text += &format!("CONFIG CHANGED since it was loaded: {}: {reload}\n", config.path.display());
    }
    if let Some(seconds) = snapshot.trial_seconds_left {
        text += &format!("ON TRIAL: goes back in {}, unless `knockctl confirm` is said\n", span(seconds));
    }
    if snapshot.observing {
        text += "OBSERVING: nothing is denied; the counters tell what would be\n";
    }
    section(&mut text, ["INTERFACE", "MODE", "STATE"], &snapshot.interfaces, "no interfaces", |row: &Interface| {
        let state = match (row.state, &row.why) {
            ("absent", why) => {
                format!("not there yet{}", why.as_ref().map_or_else(String::new, |why| format!(" ({why})")))
            }
            ("covered", Some(why)) => why.clone(),
            (_, Some(why)) => format!("NO GATE: {why}"),
            (state, None) => state.to_owned(),
        };
        [row.name.clone(), row.mode.unwrap_or("-").to_owned(), state]
    });
    section(&mut text, ["SERVICE", "PORTS"], &snapshot.services, "no services", |row: &Service| {
        [row.name.clone(), if row.ports.is_empty() { "-".to_owned() } else { row.ports.join(", ") }]
    });
    let cells = |row: &Door| [row.name.clone(), row.service.clone(), row.action.to_owned(), row.steps.to_string()];
    if snapshot.doors.iter().all(|door| door.notes().is_empty()) {
        section(&mut text, ["DOOR", "SERVICE", "ACTION", "STEPS"], &snapshot.doors, "no doors", cells);
    } else {
        let head = ["DOOR", "SERVICE", "ACTION", "STEPS", "NOTES"];
        section(&mut text, head, &snapshot.doors, "no doors", |row: &Door| {
            let [door, service, action, steps] = cells(row);
            [door, service, action, steps, row.notes()]
        });
    }
    let head = ["GRANT", "SERVICE", "DOOR", "BY", "LEFT", "CONNECTIONS", "SINCE"];
    section(&mut text, head, &snapshot.grants, "no grants", |row: &Grant| {
        [
            row.source.clone(),
            row.service.to_string(),
            row.door.as_deref().unwrap_or("-").to_owned(),
            row.origin.to_owned(),
            row.seconds_left.map_or_else(|| "for good".to_owned(), span),
            row.connections.to_string(),
            format!("{} ago", span(row.age)),
        ]
    });
    let head = ["ATTEMPT", "DOOR", "STAGE", "LEFT"];
    section(&mut text, head, &snapshot.attempts, "no attempts under way", |row: &Attempt| {
        [row.source.clone(), row.door.clone(), format!("{}/{}", row.stage, row.steps), span(row.seconds_left)]
    });
    if !snapshot.lockouts.is_empty() {
        section(&mut text, ["LOCKED OUT", "LEFT"], &snapshot.lockouts, "nobody is locked out", |row: &Lockout| {
            [row.source.clone(), span(row.seconds_left)]
        });
    }
    let counted: Vec<_> = snapshot.counters.iter().filter(|(_, value)| *value > 0).collect();
    section(&mut text, ["COUNTED", "WHAT"], &counted, "nothing counted yet", |(counter, value)| {
        [value.to_string(), counter.what().to_owned()]
    });
    text
}

/// A table under an empty line, or the words that there is nothing to show.
fn section<T, const N: usize>(
    text: &mut String,
    head: [&str; N],
    items: &[T],
    nothing: &str,
    row: impl Fn(&T) -> [String; N],
) {
    text.push('\n');
    if items.is_empty() {
        *text += nothing;
        text.push('\n');
    } else {
        table::append(text, head, items, row);
    }
}

fn span(seconds: u64) -> String {
    humantime::format_duration(Duration::from_secs(seconds)).to_string()
}

#[cfg(test)]
mod tests;
