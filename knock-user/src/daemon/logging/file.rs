//! A log file: appended to, each line with its time, opened anew on SIGHUP for those who rotate it.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use anyhow::{Context as _, Result};
use log::Level;

use super::line::LogLine;
use super::stderr::Stderr;

/// The open file, and how many lines it did not take.
pub(super) struct LogFile {
    path: PathBuf,
    file: File,
    lost: u64,
    /// The last line has no end: there was no room for all of it.
    is_cut: bool,
}

impl LogFile {
    /// # Errors
    ///
    /// If it cannot be opened, with the remedy.
    pub(super) fn open(path: &Path) -> Result<Self> {
        Ok(Self { path: path.to_owned(), file: open(path)?, lost: 0, is_cut: false })
    }

    pub(super) fn reopen(&mut self) -> Result<()> {
        self.file = open(&self.path)?;
        // Nobody need have rotated it.
        self.is_cut &= self.file.metadata().is_ok_and(|about| about.len() > 0);
        Ok(())
    }

    /// Appends a line. If that fails (a full disk), standard error says so, once.
    pub(super) fn write(&mut self, line: &LogLine<'_>) {
        self.tell_lost();
        if let Err(error) = self.append(line) {
            if self.lost == 0 {
                let text = format!("{}: {error}: lines are lost until it can be written", self.path.display());
                Stderr::new().write(&LogLine::plain(Level::Error, &text));
            }
            self.lost += 1;
        }
    }

    pub(super) fn tell_lost(&mut self) {
        if self.lost > 0 {
            let text = format!("{} lines are lost: this file could not be written", self.lost);
            if self.append(&LogLine::plain(Level::Warn, &text)).is_ok() {
                self.lost = 0;
            }
        }
    }

    fn append(&mut self, line: &LogLine<'_>) -> io::Result<()> {
        let time = humantime::format_rfc3339_seconds(SystemTime::now());
        let end = if self.is_cut { "\n" } else { "" };
        let line = format!("{end}[{time}] {}\n", line.with_level());
        // In one call: others may append to it too.
        let written = self.file.write(line.as_bytes())?;
        self.is_cut = is_cut(line.as_bytes(), written, self.is_cut);
        if written == line.len() { Ok(()) } else { Err(io::ErrorKind::StorageFull.into()) }
    }
}

/// True if what is in the file now does not end with a line, of which `written` octets were taken more; if none was, as before.
fn is_cut(octets: &[u8], written: usize, before: bool) -> bool {
    octets[..written].last().map_or(before, |last| *last != b'\n')
}

/// Not for everybody: who knocks is nobody's business.
fn open(path: &Path) -> Result<File> {
    let file = OpenOptions::new().append(true).create(true).mode(0o640).open(path);
    file.with_context(|| format!("{}: set options.log to a file that can be written", path.display()))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_file_that_was_moved_away_is_made_anew() {
        let directory = tempfile::tempdir().unwrap();
        let (path, old) = (directory.path().join("log"), directory.path().join("log.1"));
        let mut file = LogFile::open(&path).unwrap();
        let mut write = |text| file.write(&LogLine::plain(Level::Info, text));
        write("one");
        fs::rename(&path, &old).unwrap();
        write("two");
        file.reopen().unwrap();
        file.write(&LogLine::plain(Level::Error, "three"));
        let read = |path| fs::read_to_string(path).unwrap();
        assert!(read(&old).ends_with("] two\n") && read(&old).lines().count() == 2, "{}", read(&old));
        assert!(read(&path).ends_with("Z] error: three\n"), "{}", read(&path));
    }

    #[test]
    fn the_old_file_goes_on_if_there_can_be_no_new_one() {
        let directory = tempfile::tempdir().unwrap();
        let (dir, away) = (directory.path().join("dir"), directory.path().join("away"));
        fs::create_dir(&dir).unwrap();
        let mut file = LogFile::open(&dir.join("log")).unwrap();
        fs::rename(&dir, &away).unwrap();
        let error = format!("{:#}", file.reopen().unwrap_err());
        assert!(error.contains("options.log"), "{error}");
        file.write(&LogLine::plain(Level::Info, "still here"));
        assert!(fs::read_to_string(away.join("log")).unwrap().ends_with("still here\n"));
    }

    #[test]
    fn a_line_that_was_cut_off_is_ended_before_the_next() {
        // One octet, all, none, and the end of the line before alone.
        assert!(is_cut(b"[2026] one\n", 1, false));
        assert!(!is_cut(b"[2026] one\n", 11, false));
        assert!(is_cut(b"\n[2026] two\n", 0, true) && !is_cut(b"[2026] two\n", 0, false));
        assert!(!is_cut(b"\n[2026] two\n", 1, true) && is_cut(b"\n[2026] two\n", 2, true));
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("log");
        fs::write(&path, "[2026] cu").unwrap();
        let mut file = LogFile { is_cut: true, ..LogFile::open(&path).unwrap() };
        file.write(&LogLine::plain(Level::Info, "one"));
        file.write(&LogLine::plain(Level::Info, "two"));
        let text = fs::read_to_string(&path).unwrap();
        let lines: Vec<_> = text.lines().collect();
        assert!(lines.len() == 3 && lines[0] == "[2026] cu" && lines[2].ends_with("Z] two"), "{text}");
    }

    #[test]
    fn lost_lines_are_counted_and_told() {
        let directory = tempfile::tempdir().unwrap();
        let mut file = LogFile::open(Path::new("/dev/full")).unwrap();
        (0..3).for_each(|_| file.write(&LogLine::plain(Level::Info, "nowhere")));
        file.path = directory.path().join("log");
        file.reopen().unwrap();
        file.write(&LogLine::plain(Level::Info, "here"));
        let text = fs::read_to_string(&file.path).unwrap();
        let lines: Vec<_> = text.lines().map(|line| line.split_once("] ").unwrap().1).collect();
        assert_eq!(lines, ["warn: 3 lines are lost: this file could not be written", "here"]);
    }
}
