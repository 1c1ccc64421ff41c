//! `knockctl knock --list`.

use std::io::Write;

use anyhow::Result;

use super::KnockArgs;
use super::plan::path_of;
use super::profiles::{Profile, Profiles};
use super::table;
use crate::exit::Exit;

/// Prints the profiles, without their sequences.
///
/// # Errors
///
/// If they cannot be read.
pub(super) fn run(args: &KnockArgs, out: &mut dyn Write) -> Result<Exit> {
    let profiles = Profiles::load(&path_of(args)?)?;
    let row = |profile: &Profile| {
        [
            profile.name.clone(),
            profile.host.clone(),
            profile.family.name().to_owned(),
            profile.sequence.len().to_string(),
            profile.port.map_or_else(|| "-".to_owned(), |port| port.to_string()),
            profile.open_for.map_or_else(|| "-".to_owned(), |span| humantime::format_duration(span).to_string()),
            profile.then.first().map_or_else(|| "-".to_owned(), Clone::clone),
        ]
    };
    let rows: Vec<_> = profiles.hosts.iter().map(row).collect();
    let mut text = String::new();
    table::append(&mut text, ["PROFILE", "HOST", "FAMILY", "STEPS", "PORT", "OPEN", "THEN"], &rows, Clone::clone);
    out.write_all(text.as_bytes())?;
    Ok(Exit::Done)
}
