//! A file of one-time sequences: one a line, `#` before what is used or only a remark.
//!
//! The file is the administrator's: every line stays where and as it is, but for the mark of a use.

use std::collections::HashSet;
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, fchown};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use knock_common::abi::rules::MAX_STEPS;

use crate::permissions::Permissions;
use crate::syntax::{Port, PortError, PortNames};

/// Octets of a file; a device or a log named by mistake is larger.
const MAX_FILE: u64 = 1 << 20;

/// What a line holds.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum SheetLine {
    /// A sequence that was not used.
    Unused(Vec<Port>),
    /// A sequence that was.
    Used(Vec<Port>),
    /// A sequence that was used, or stands further above: no sequence is good for two times.
    Repeat,
    /// A remark, or nothing.
    Remark,
    /// None of these, and why. Never says what the line holds.
    Unreadable(&'static str),
}

/// A file that was read.
#[derive(Clone, Debug)]
pub struct Sheet {
    path: PathBuf,
    /// With their ends.
    texts: Vec<Vec<u8>>,
    lines: Vec<SheetLine>,
    permissions: Permissions,
}

/// What stands between the mark of a use and the sequence.
const MARK: &str = "# used ";

impl Sheet {
    /// Reads a file.
    ///
    /// # Errors
    ///
    /// If it cannot be read, is no regular file, or is far too large.
    pub fn read(path: &Path, names: &PortNames) -> io::Result<Self> {
        // Opened so, a pipe does not wait for a writer.
        let mut file = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(path)?;
        let about = file.metadata()?;
        if about.is_dir() {
            return Err(ErrorKind::IsADirectory.into());
        }
        if !about.is_file() {
            return Err(io::Error::other("it is no regular file"));
        }
        let mut octets = Vec::new();
        (&mut file).take(MAX_FILE + 1).read_to_end(&mut octets)?;
        if octets.len() as u64 > MAX_FILE {
            return Err(ErrorKind::FileTooLarge.into());
        }
        let texts: Vec<Vec<u8>> = octets.split_inclusive(|octet| *octet == b'\n').map(<[u8]>::to_vec).collect();
        let mut lines: Vec<_> = texts.iter().map(|text| parse(text, names)).collect();
        find_repeats(&mut lines);
        Ok(Self { path: path.to_owned(), texts, lines, permissions: Permissions::of(&about) })
    }

    /// Its lines.
    #[must_use]
    pub fn lines(&self) -> &[SheetLine] {
        &self.lines
    }

    /// Its permissions.
    #[must_use]
    pub const fn permissions(&self) -> Permissions {
        self.permissions
    }

    /// The sequences that were not used, with their lines from 0.
    pub fn unused(&self) -> impl Iterator<Item = (usize, &[Port])> {
        self.lines.iter().enumerate().filter_map(|(index, line)| match line {
            SheetLine::Unused(sequence) => Some((index, sequence.as_slice())),
            _ => None,
        })
    }

    /// The sequences that were used.
    pub fn used(&self) -> impl Iterator<Item = &[Port]> {
        self.lines.iter().filter_map(|line| match line {
            SheetLine::Used(sequence) => Some(sequence.as_slice()),
            _ => None,
        })
    }

    /// Marks lines as used, each with by whom it was, and when, and brings the file to the disk: as a whole or not
    /// at all, with the owner and the permissions that it had.
    ///
    /// # Errors
    ///
    /// If it cannot be written; then nothing has changed.
    pub fn mark(&mut self, uses: &[(usize, String, SystemTime)]) -> io::Result<()> {
        let mut texts = self.texts.clone();
        let mut lines = self.lines.clone();
        for (index, who, when) in uses {
            let (Some(text), Some(line)) = (texts.get_mut(*index), lines.get_mut(*index)) else { continue };
            let SheetLine::Unused(sequence) = line else { continue };
            let mut marked = format!("{MARK}{} by {who}: ", humantime::format_rfc3339_seconds(*when)).into_bytes();
            marked.extend_from_slice(text.trim_ascii_start());
            *text = marked;
            *line = SheetLine::Used(std::mem::take(sequence));
        }
        write(&self.path, &texts.concat())?;
        (self.texts, self.lines) = (texts, lines);
        Ok(())
    }

    /// Does all that a mark takes but the last step, and changes nothing.
    ///
    /// # Errors
    ///
    /// If a use could not be marked now.
    pub fn rehearse(&self) -> io::Result<()> {
        replace(&self.path, &self.texts.concat(), |beside, _, _| fs::remove_file(beside))
    }
}

fn write(path: &Path, octets: &[u8]) -> io::Result<()> {
    replace(path, octets, |beside, path, folder| {
        fs::rename(beside, path)?;
        File::open(folder)?.sync_all()
    })
}

/// Writes a file beside `path`, and lets `finish` put it in its place: with both, and with their folder.
fn replace(path: &Path, octets: &[u8], finish: impl FnOnce(&Path, &Path, &Path) -> io::Result<()>) -> io::Result<()> {
    // What a link points to is written, not the link.
    let path = fs::canonicalize(path)?;
    let about = fs::metadata(&path)?;
    let folder = path.parent().unwrap_or(Path::new("/"));
    let mut beside = path.clone().into_os_string();
    beside.push(".new");
    let beside = PathBuf::from(beside);
    let outcome = (|| {
        let _ = fs::remove_file(&beside);
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&beside)?;
        file.write_all(octets)?;
        let own = file.metadata()?;
        // Root may not be let: under the unit it has no right to give files away.
        if (own.uid(), own.gid()) != (about.uid(), about.gid()) {
            fchown(&file, Some(about.uid()), Some(about.gid())).map_err(|error| {
                io::Error::new(error.kind(), format!("its owner cannot be kept, let root own it: {error}"))
            })?;
        }
        file.set_permissions(about.permissions())?;
        file.sync_all()?;
        finish(&beside, &path, folder)
    })();
    if outcome.is_err() {
        let _ = fs::remove_file(&beside);
    }
    outcome
}

fn find_repeats(lines: &mut [SheetLine]) {
    let used = lines
        .iter()
        .filter_map(|line| if let SheetLine::Used(sequence) = line { Some(sequence.clone()) } else { None });
    let mut seen: HashSet<Vec<Port>> = used.collect();
    for line in lines {
        if let SheetLine::Unused(sequence) = line
            && !seen.insert(sequence.clone())
        {
            *line = SheetLine::Repeat;
        }
    }
}

fn parse(text: &[u8], names: &PortNames) -> SheetLine {
    let Ok(text) = str::from_utf8(text) else {
        // Of a remark in another encoding nothing is wanted.
        let is_remark = text.trim_ascii_start().starts_with(b"#");
        return if is_remark { SheetLine::Remark } else { SheetLine::Unreadable("not UTF-8") };
    };
    let text = text.trim();
    if let Some(rest) = text.strip_prefix(MARK) {
        // `# used TIME by ADDRESS: SEQUENCE`. A remark that only looks like it is one.
        let sequence = rest.split_once(": ").and_then(|(_, sequence)| parse_sequence(sequence, names).ok());
        return sequence.map_or(SheetLine::Remark, SheetLine::Used);
    }
    if text.is_empty() || text.starts_with('#') {
        return SheetLine::Remark;
    }
    parse_sequence(text, names).map_or_else(SheetLine::Unreadable, SheetLine::Unused)
}

/// `7000/tcp, 8000:udp, 9000`.
fn parse_sequence(text: &str, names: &PortNames) -> Result<Vec<Port>, &'static str> {
    let mut steps = Vec::new();
    // knockd takes no notice of what is behind the last number.
    let text = text.split_once('#').map_or(text, |(sequence, _)| sequence);
    for item in text.split(',') {
        let item = item.trim();
        if item.is_empty() {
            return Err("an empty step");
        }
        // knockd allows blanks around the colon.
        let item = item.split(':').map(str::trim).collect::<Vec<_>>().join(":");
        steps.push(Port::parse(&item, names).map_err(|error| match error {
            PortError::Zero => "port 0 cannot be knocked",
            _ => "a step that is no port",
        })?);
    }
    if steps.len() > MAX_STEPS { Err("more than 32 steps") } else { Ok(steps) }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn line(text: &str) -> SheetLine {
        parse(text.as_bytes(), &PortNames::default())
    }

    fn shown(line: SheetLine) -> String {
        match line {
            SheetLine::Unused(ports) | SheetLine::Used(ports) => {
                ports.iter().map(Port::to_string).collect::<Vec<_>>().join(" ")
            }
            other => format!("{other:?}"),
        }
    }

    #[test]
    fn our_notation_and_that_of_knockd_are_read() {
        let same = "7000/tcp 8000/udp 9000/tcp";
        for text in [
            "7000/tcp, 8000/udp, 9000",
            "7000:tcp,8000:udp,9000:tcp",
            " 7000,8000 : UDP , 9000 \r\n",
            "7000,8000:udp,9000 # on the telephone",
        ] {
            assert_eq!(shown(line(text)), same, "{text:?}");
            assert!(matches!(line(text), SheetLine::Unused(_)));
        }
        // What knockd leaves of a line that was used, with and without a blank in front.
        for text in ["#7000,8000:udp,9000\n", "#000,8000:udp,9000\n", " #7000\n"] {
            assert_eq!(line(text), SheetLine::Remark, "{text:?}");
        }
    }

    #[test]
    fn remarks_and_uses_are_told_apart() {
        for text in ["", "  \n", "# a remark", "#7000,8000", "# used up: see the list", "# used 2026"] {
            assert_eq!(line(text), SheetLine::Remark, "{text:?}");
        }
        let used = line("# used 2026-01-01T00:00:00Z by 2001:db8::7: 7000:tcp,8000:udp\n");
        assert!(matches!(&used, SheetLine::Used(_)));
        assert_eq!(shown(used), "7000/tcp 8000/udp");
    }

    #[test]
    fn what_is_wrong_with_a_line_does_not_repeat_it() {
        for (text, why) in [
            ("7000,,8000", "an empty step"),
            ("7000,", "an empty step"),
            ("0", "port 0 cannot be knocked"),
            ("70000", "a step that is no port"),
            ("7000/icmp", "a step that is no port"),
            ("7000-7002", "a step that is no port"),
            ("70 00,8000", "a step that is no port"),
            ("7000 8000", "a step that is no port"),
            ("7000, # the rest is lost", "an empty step"),
            ("sequence = 7000", "a step that is no port"),
            (&["7"; 33].join(","), "more than 32 steps"),
        ] {
            assert_eq!(line(text), SheetLine::Unreadable(why), "{text:?}");
        }
        assert_eq!(parse(b"7000,\xff", &PortNames::default()), SheetLine::Unreadable("not UTF-8"));
        assert_eq!(parse(b" # \xfcber", &PortNames::default()), SheetLine::Remark);
    }

    fn sheet(folder: &Path, text: &str) -> Sheet {
        let path = folder.join("door.once");
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        Sheet::read(&path, &PortNames::default()).unwrap()
    }

    #[test]
    fn a_use_changes_its_line_and_no_other() {
        let folder = tempfile::tempdir().unwrap();
        let mut sheet = sheet(folder.path(), "# mine\r\n\n  7000, 8000\nnonsense\n9000:udp");
        let moment = SystemTime::UNIX_EPOCH;
        sheet.mark(&[(2, "192.0.2.7".into(), moment)]).unwrap();
        let path = folder.path().join("door.once");
        let text = fs::read_to_string(&path).unwrap();
        let expected = "# mine\r\n\n# used 1970-01-01T00:00:00Z by 192.0.2.7: 7000, 8000\nnonsense\n9000:udp";
        assert_eq!(text, expected);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o640);
        assert_eq!(sheet.unused().map(|(index, _)| index).collect::<Vec<_>>(), [4]);
        let again = Sheet::read(&path, &PortNames::default()).unwrap();
        assert_eq!(again.lines(), sheet.lines());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_link_stays_a_link() {
        let folder = tempfile::tempdir().unwrap();
        drop(sheet(folder.path(), "7000\n"));
        let link = folder.path().join("link");
        std::os::unix::fs::symlink("door.once", &link).unwrap();
        let mut sheet = Sheet::read(&link, &PortNames::default()).unwrap();
        sheet.mark(&[(0, "192.0.2.7".into(), SystemTime::UNIX_EPOCH)]).unwrap();
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert!(fs::read_to_string(folder.path().join("door.once")).unwrap().starts_with("# used "));
    }

    #[test]
    fn what_cannot_be_written_changes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let mut sheet = sheet(folder.path(), "7000\n");
        // In the way of the file beside it, and not to be removed.
        let beside = folder.path().join("door.once.new");
        fs::create_dir(&beside).unwrap();
        assert!(sheet.rehearse().is_err());
        assert!(sheet.mark(&[(0, "192.0.2.7".into(), SystemTime::UNIX_EPOCH)]).is_err());
        assert_eq!(sheet.unused().count(), 1);
        assert_eq!(fs::read_to_string(folder.path().join("door.once")).unwrap(), "7000\n");
    }

    #[test]
    fn a_rehearsal_leaves_all_as_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let sheet = sheet(folder.path(), "7000\n");
        sheet.rehearse().unwrap();
        assert_eq!(fs::read_to_string(folder.path().join("door.once")).unwrap(), "7000\n");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_sequence_is_good_for_one_time_however_often_it_stands_there() {
        let folder = tempfile::tempdir().unwrap();
        let sheet = sheet(folder.path(), "# used 2026-01-01T00:00:00Z by ::1: 1,2\n3,4\n1,2\n3/tcp, 4/tcp\n5,6\n");
        assert_eq!(sheet.unused().map(|(index, _)| index).collect::<Vec<_>>(), [1, 4]);
        assert_eq!((&sheet.lines()[2], &sheet.lines()[3]), (&SheetLine::Repeat, &SheetLine::Repeat));
    }

    #[test]
    fn what_is_no_file_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let names = PortNames::default();
        assert_eq!(Sheet::read(folder.path(), &names).unwrap_err().kind(), ErrorKind::IsADirectory);
        let none = folder.path().join("none");
        assert_eq!(Sheet::read(&none, &names).unwrap_err().kind(), ErrorKind::NotFound);
        assert!(Sheet::read(Path::new("/dev/zero"), &names).is_err());
        let pipe = folder.path().join("pipe");
        assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        assert!(Sheet::read(&pipe, &names).is_err());
    }
}
