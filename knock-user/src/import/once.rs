//! A door's file of one-time sequences: the same file goes on, and what is not as it was is said.

use std::collections::HashMap;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use super::danger::weakness;
use super::draft::{Draft, Knock};
use super::grammar::{Says, Section};
use super::remark::Remark;
use super::request::{NAME, Request};
use super::sequence::{self, Step};
use super::write::Plan;
use crate::config::{Diagnostic, Port};
use crate::sequences::{Sheet, SheetLine, out_of_reach};

/// Lines of one file that are told of.
const MOST_TOLD: usize = 10;

const fn is_file(says: &Says) -> bool {
    matches!(says, Says::OneTime(_))
}

/// What there is to say of files, each read once however many doors name it.
#[derive(Default)]
pub struct Files(HashMap<String, Result<Vec<String>, String>>);

/// Looks at the file of a door that has one. `Err` holds the remarks and why the door is left out.
pub fn look<'a>(
    mut draft: Draft<'a>,
    files: &mut Files,
    request: &Request<'_>,
) -> Result<Draft<'a>, (Vec<Remark>, String)> {
    let Knock::OneTime(path) = draft.knock.clone() else { return Ok(draft) };
    let looks = match files.0.entry(path).or_insert_with_key(|path| read(path, request)) {
        Ok(looks) => looks,
        Err(why) => return Err((draft.remarks, why.clone())),
    };
    draft.say(is_file, "the same file goes on: what knockd has used stays used, nothing is to be converted", false);
    for look in looks {
        draft.say(is_file, look.as_str(), true);
    }
    Ok(draft)
}

/// What a person should look at in a file, or why it cannot be used.
fn read(path: &str, request: &Request<'_>) -> Result<Vec<String>, String> {
    let sheet = Sheet::read(Path::new(path), &request.names)
        .map_err(|error| format!("its file cannot be used here: {error}"))?;
    let octets = (request.one_time)(path.as_bytes()).unwrap_or_default();
    let knockd: HashMap<usize, Vec<Step>> = sequence::unused(&octets).collect();
    let mut told = Vec::new();
    for (line, number) in sheet.lines().iter().zip(1..) {
        told.extend(differs(line, knockd.get(&number)).map(|text| (number, text.to_owned())));
        if let SheetLine::Unused(ports) = line {
            told.extend(weakness(ports).into_iter().map(|text| (number, text)));
        }
    }
    let more = told.len().saturating_sub(MOST_TOLD);
    let mut looks: Vec<String> =
        told.into_iter().take(MOST_TOLD).map(|(number, text)| format!("line {number} of its file: {text}")).collect();
    if more > 0 {
        looks.push(format!("{more} more lines of its file like these"));
    }
    looks.extend(out_of_reach(Path::new(path)));
    if fs::metadata(path).is_ok_and(|about| about.uid() != 0) {
        let text = "root does not own its file, and knockctl.service cannot open, or keep, another's: chown root it";
        looks.push(text.to_owned());
    }
    Ok(looks)
}

/// What is different about a line, beside what the config itself warns of.
fn differs(line: &SheetLine, knockd: Option<&Vec<Step>>) -> Option<&'static str> {
    let same = |ports: &[Port], steps: &[Step]| {
        let steps = steps.iter().map(|step| (step.port, step.transport));
        ports.iter().map(|port| (port.number, port.transport)).eq(steps)
    };
    match (line, knockd) {
        (SheetLine::Unused(ports), Some(steps)) if !same(ports, steps) => {
            Some("knockd reads other ports there than are meant here")
        }
        (SheetLine::Unused(_), None) => Some("knockd passes it over, and here it counts"),
        (SheetLine::Used(_) | SheetLine::Remark, Some(_)) => {
            Some("knockd reads a sequence there, and here it is a remark")
        }
        _ => None,
    }
}

/// Says of the doors what the config's own reader has found in their files. True if there was something.
pub fn tell(plans: &mut [(&Section, Plan<'_>)], findings: &[Diagnostic]) -> bool {
    let mut is_new = false;
    for finding in findings.iter().filter(|finding| finding.file != NAME) {
        let text = match (finding.line, &finding.help) {
            (0, Some(help)) => format!("of its file: {}: {help}", finding.message),
            (0, None) => format!("of its file: {}", finding.message),
            (line, _) => format!("line {line} of its file: {}", finding.message),
        };
        for (_, plan) in plans.iter_mut() {
            let Plan::Door(door) = plan else { continue };
            if matches!(&door.draft.knock, Knock::OneTime(path) if *path == finding.file) {
                door.draft.say(is_file, text.clone(), true);
                is_new = true;
            }
        }
    }
    is_new
}
