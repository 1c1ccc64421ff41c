//! Whole lines of a log that is rotated by a rename, while it is written.

use std::fs::{self, File, Metadata};
use std::io::{self, ErrorKind, Read as _, Seek as _};
use std::mem;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

/// An open log.
pub struct Tail {
    path: PathBuf,
    file: File,
    /// The beginning of a line whose end is not written yet.
    rest: Vec<u8>,
}

impl Tail {
    /// Opens the log, and returns the lines that are there, those of the rotated half first.
    ///
    /// # Errors
    ///
    /// If it is not there or cannot be read.
    pub fn open(path: &Path) -> io::Result<(Self, Vec<String>)> {
        let file = File::open(path)?;
        let mut tail = Self { path: path.to_owned(), file, rest: Vec::new() };
        // In this order: if the log is rotated in between, the open file is the rotated half.
        let current = File::open(path.with_extension("jsonl.1"));
        let mut lines = match current {
            Ok(mut older) if !is_same(&older.metadata()?, &tail.file.metadata()?) => {
                let mut bytes = Vec::new();
                older.read_to_end(&mut bytes)?;
                take_lines(&mut bytes)
            }
            Ok(_) => Vec::new(),
            Err(error) if error.kind() == ErrorKind::NotFound => Vec::new(),
            Err(error) => return Err(error),
        };
        lines.extend(tail.read()?);
        Ok((tail, lines))
    }

    /// The lines that have come since the last time.
    ///
    /// # Errors
    ///
    /// If the log cannot be read.
    pub fn read(&mut self) -> io::Result<Vec<String>> {
        let mut lines = Vec::new();
        loop {
            // Before reading: what is at the path now was begun after the last line of the open file.
            let there = match fs::metadata(&self.path) {
                Ok(there) => Some(there),
                Err(error) if error.kind() == ErrorKind::NotFound => None,
                Err(error) => return Err(error),
            };
            let open = self.file.metadata()?;
            if open.len() < self.file.stream_position()? {
                self.file.rewind()?;
            }
            self.file.read_to_end(&mut self.rest)?;
            lines.extend(take_lines(&mut self.rest));
            match there {
                Some(there) if !is_same(&there, &open) => {
                    self.file = match File::open(&self.path) {
                        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(lines),
                        file => file?,
                    };
                    self.rest.clear();
                }
                _ => return Ok(lines),
            }
        }
    }
}

fn is_same(one: &Metadata, other: &Metadata) -> bool {
    (one.dev(), one.ino()) == (other.dev(), other.ino())
}

/// Takes the whole lines off the front.
fn take_lines(bytes: &mut Vec<u8>) -> Vec<String> {
    let end = bytes.iter().rposition(|&byte| byte == b'\n').map_or(0, |last| last + 1);
    let rest = bytes.split_off(end);
    let whole = mem::replace(bytes, rest);
    String::from_utf8_lossy(&whole).lines().map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    #[test]
    fn the_rotated_half_comes_first() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("events.jsonl");
        assert_eq!(Tail::open(&path).err().unwrap().kind(), ErrorKind::NotFound);
        fs::write(path.with_extension("jsonl.1"), "1\n2\n").unwrap();
        fs::write(&path, "3\n").unwrap();
        assert_eq!(Tail::open(&path).unwrap().1, ["1", "2", "3"]);
    }

    #[test]
    fn a_rotation_loses_and_repeats_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("events.jsonl");
        let mut log = File::create(&path).unwrap();
        log.write_all(b"1\n").unwrap();
        let (mut tail, lines) = Tail::open(&path).unwrap();
        assert_eq!(lines, ["1"]);
        assert_eq!(tail.read().unwrap(), Vec::<String>::new());
        log.write_all(b"2\n3\n").unwrap();
        fs::rename(&path, path.with_extension("jsonl.1")).unwrap();
        assert_eq!(tail.read().unwrap(), ["2", "3"]);
        fs::write(&path, "4\n5\n").unwrap();
        assert_eq!(tail.read().unwrap(), ["4", "5"]);
        assert_eq!(tail.read().unwrap(), Vec::<String>::new());
    }

    #[test]
    fn a_line_is_taken_when_it_is_whole() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("events.jsonl");
        let mut log = File::create(&path).unwrap();
        let (mut tail, _) = Tail::open(&path).unwrap();
        log.write_all(b"on").unwrap();
        assert_eq!(tail.read().unwrap(), Vec::<String>::new());
        log.write_all(b"e\ntwo").unwrap();
        assert_eq!(tail.read().unwrap(), ["one"]);
    }

    #[test]
    fn a_log_that_is_cut_begins_anew() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("events.jsonl");
        fs::write(&path, "1\n2\n").unwrap();
        let (mut tail, _) = Tail::open(&path).unwrap();
        let log = fs::OpenOptions::new().write(true).open(&path).unwrap();
        log.set_len(0).unwrap();
        (&log).write_all(b"3\n").unwrap();
        assert_eq!(tail.read().unwrap(), ["3"]);
    }
}
