//! Standard error. Lines carry no time: whoever collects them adds it.

use std::io::{self, Write as _};
use std::os::unix::fs::MetadataExt as _;

use super::line::LogLine;

/// Standard error, and whether the journal reads it.
pub(super) struct Stderr {
    journal: bool,
}

impl Stderr {
    pub(super) fn new() -> Self {
        Self { journal: is_journal(std::env::var("JOURNAL_STREAM").ok().as_deref()) }
    }

    /// Writes a line. There is nobody to tell of an error.
    pub(super) fn write(&self, line: &LogLine<'_>) {
        let _ = io::stderr().write_all(self.text(line).as_bytes());
    }

    /// What to write: with the severity in front, as sd-daemon(3) has it, where the journal reads.
    fn text(&self, line: &LogLine<'_>) -> String {
        let (text, mut out) = (line.with_level(), String::new());
        for part in text.lines() {
            if self.journal {
                out += &format!("<{}>", line.severity());
            }
            out += part;
            out.push('\n');
        }
        out
    }
}

/// True if `stream`, which is `$JOURNAL_STREAM`, names standard error: `DEVICE:INODE` (systemd.exec(5)).
fn is_journal(stream: Option<&str>) -> bool {
    let Some((device, inode)) = stream.and_then(|stream| stream.split_once(':')) else { return false };
    let is_it = |own: std::fs::Metadata| device == own.dev().to_string() && inode == own.ino().to_string();
    std::fs::metadata("/proc/self/fd/2").is_ok_and(is_it)
}

#[cfg(test)]
mod tests {
    use log::Level;

    use super::*;

    #[test]
    fn the_journal_learns_the_severity_of_every_line() {
        let line = LogLine::plain(Level::Warn, "the door is weak\n  help: make it strong");
        let text = |journal| Stderr { journal }.text(&line);
        assert_eq!(text(false), "warn: the door is weak\n  help: make it strong\n");
        assert_eq!(text(true), "<4>warn: the door is weak\n<4>  help: make it strong\n");
    }

    #[test]
    fn another_stream_is_not_the_journal() {
        let own = std::fs::metadata("/proc/self/fd/2").unwrap();
        assert!(is_journal(Some(&format!("{}:{}", own.dev(), own.ino()))));
        assert!(!is_journal(Some(&format!("{}:{}", own.dev(), own.ino() + 1))));
        assert!(!is_journal(Some("")) && !is_journal(None));
    }
}
