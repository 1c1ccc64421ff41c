//! `knockctl events`: the daemon's event log, printed and followed.

mod tail;

use std::io::{self, ErrorKind, Write};
use std::time::Duration;

use anyhow::{Result, bail};
use serde::Deserialize;

use self::tail::Tail;
use super::pause::Pause;
use crate::exit::Exit;
use crate::files::{Folder, Way, kind_of};
use crate::paths::Paths;
use crate::runtime::EVENTS;

/// Arguments of `knockctl events`.
#[derive(clap::Args, Clone, Debug)]
pub struct EventsArgs {
    /// Go on with what happens from now on, until Ctrl-C
    #[arg(short, long)]
    pub follow: bool,
    /// One JSON object on each line, for programs
    #[arg(long)]
    pub json: bool,
    /// The last N events only (default: all that are kept)
    #[arg(short = 'n', long, value_name = "N")]
    pub lines: Option<usize>,
}

/// How often the log is looked at.
const EVERY: Duration = Duration::from_millis(200);

/// Prints the log.
///
/// # Errors
///
/// If it cannot be read.
pub fn run(args: &EventsArgs, paths: &Paths, out: &mut dyn Write) -> Result<Exit> {
    let path = paths.run.join(EVENTS);
    // Root shows nobody's file but what the daemon has written.
    if let Err(error) = Folder::open(&paths.run, Way::Whole)
        && kind_of(&error).is_none()
    {
        return Err(error);
    }
    let (mut tail, lines) = match Tail::open(&path) {
        Ok(opened) => opened,
        Err(error) if error.kind() == ErrorKind::NotFound => {
            // Not on standard output, where a program expects JSON.
            let _ = writeln!(io::stderr(), "knockctl: no events: no daemon has written any: `knockctl run` does");
            return Ok(Exit::Negative);
        }
        Err(error) if error.kind() == ErrorKind::PermissionDenied => {
            bail!("{}: {error}: run it with sudo", path.display())
        }
        Err(error) => bail!("{}: {error}", path.display()),
    };
    let skipped = args.lines.map_or(0, |last| lines.len().saturating_sub(last));
    print(&lines[skipped..], args.json, out)?;
    if args.follow {
        let mut pause = Pause::new()?;
        while pause.wait(EVERY) {
            print(&tail.read()?, args.json, out)?;
        }
    }
    Ok(Exit::Done)
}

fn print(lines: &[String], json: bool, out: &mut dyn Write) -> io::Result<()> {
    for line in lines {
        if json { writeln!(out, "{line}") } else { writeln!(out, "{}", text(line)) }?;
    }
    out.flush()
}

/// What a person needs of a line; a line that is no event is shown as it is.
fn text(line: &str) -> String {
    #[derive(Deserialize)]
    struct Event {
        time: String,
        text: String,
    }
    match serde_json::from_str::<Event>(line) {
        Ok(Event { time, text }) => format!("{time} {text}"),
        Err(_) => line.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    const STAGE: &str = r#"{"time":"2026-11-23T10:00:00Z","event":"stage","text":"192.0.2.7: openSSH: Stage 1"}"#;

    fn events(log: &str, json: bool, lines: Option<usize>) -> String {
        let directory = tempfile::tempdir().unwrap();
        let paths = Paths { run: directory.path().into(), ..Paths::below(directory.path()) };
        fs::write(paths.run.join(EVENTS), log).unwrap();
        let mut out = Vec::new();
        let args = EventsArgs { follow: false, json, lines };
        assert_eq!(run(&args, &paths, &mut out).unwrap(), Exit::Done);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn people_see_time_and_text() {
        let log = format!("{STAGE}\nno event\n");
        assert_eq!(events(&log, false, None), "2026-11-23T10:00:00Z 192.0.2.7: openSSH: Stage 1\nno event\n");
    }

    #[test]
    fn programs_see_the_lines_as_they_are() {
        let log = format!("{STAGE}\n{STAGE}\n");
        assert_eq!(events(&log, true, None), log);
        assert_eq!(events(&log, true, Some(1)), format!("{STAGE}\n"));
        assert_eq!(events(&log, true, Some(0)), "");
    }

    #[test]
    fn no_log_is_a_negative_answer() {
        let directory = tempfile::tempdir().unwrap();
        let paths = Paths { run: directory.path().join("none"), ..Paths::below(directory.path()) };
        let args = EventsArgs { follow: true, json: false, lines: None };
        assert_eq!(run(&args, &paths, &mut Vec::new()).unwrap(), Exit::Negative);
    }
}
