//! `knockctl status`: reads the pins once, or again and again, and shows what they say.

use std::io::{self, IsTerminal as _, Write};
use std::time::Duration;

use anyhow::Result;

use super::pause::Pause;
use crate::exit::Exit;
use crate::kernel::need_root;
use crate::paths::Paths;
use crate::status::{Reader, Shown, render};

/// Arguments of `knockctl status`.
#[derive(clap::Args, Clone, Debug, Default)]
pub struct StatusArgs {
    /// One line of JSON, for programs
    #[arg(long)]
    pub json: bool,
    /// Show it again every so many seconds, until Ctrl-C
    #[arg(long, value_name = "SECONDS", num_args = 0..=1, require_equals = true, default_missing_value = "1")]
    #[arg(value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub watch: Option<u64>,
}

/// Prints the state of the gate.
///
/// # Errors
///
/// Neither root nor of `options.status_group`, or pins of another layout.
pub fn run(args: &StatusArgs, paths: &Paths, out: &mut dyn Write) -> Result<Exit> {
    let mut reader = Reader::new(paths);
    let mut look = || look(args, paths, &mut reader);
    let Some(seconds) = args.watch else {
        let (text, stands) = look()?;
        out.write_all(text.as_bytes())?;
        return Ok(if stands { Exit::Done } else { Exit::Negative });
    };
    let mut pause = Pause::new()?;
    // A terminal is drawn anew in one piece, so that it does not flicker.
    const CLEAR: &str = "\x1b[H\x1b[J";
    let before = match (io::stdout().is_terminal(), args.json) {
        (true, _) => [CLEAR, CLEAR],
        (false, false) => ["", "\n"],
        (false, true) => ["", ""],
    };
    for round in 0_u64.. {
        let (text, _) = look()?;
        write!(out, "{}{text}", before[usize::from(round > 0)])?;
        out.flush()?;
        if !pause.wait(Duration::from_secs(seconds)) {
            break;
        }
    }
    Ok(Exit::Done)
}

/// What to show, and whether there is a gate that stands on an interface: by the pins, or by the daemon for those who may not read them.
fn look(args: &StatusArgs, paths: &Paths, reader: &mut Reader) -> Result<(String, bool)> {
    if let Err(refusal) = need_root() {
        let shown = Shown::ask(paths, &refusal)?;
        return Ok((if args.json { shown.json } else { shown.text }, shown.stands));
    }
    let snapshot = reader.read()?;
    Ok((if args.json { render::json(&snapshot)? } else { render::text(&snapshot) }, snapshot.stands))
}
