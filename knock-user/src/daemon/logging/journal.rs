//! The journal's own protocol: fields in a datagram (<https://systemd.io/JOURNAL_NATIVE_PROTOCOL/>).

use std::path::Path;

use super::datagram::Protocol;
use super::line::{LogLine, clean};

/// Who speaks, as `journalctl -t` takes it.
const IDENTIFIER: &str = crate::config::DEFAULT_IDENT;

/// How a line is said.
pub(super) struct Format {
    process: String,
}

impl Format {
    pub(super) fn new() -> Self {
        Self { process: std::process::id().to_string() }
    }
}

impl Protocol for Format {
    const NAME: &'static str = "journal";

    fn path(&self) -> &Path {
        Path::new("/run/systemd/journal/socket")
    }

    fn datagram(&self, line: &LogLine<'_>) -> Vec<u8> {
        let mut out = Vec::new();
        field(&mut out, "PRIORITY", &line.severity().to_string());
        field(&mut out, "SYSLOG_IDENTIFIER", IDENTIFIER);
        field(&mut out, "SYSLOG_PID", &self.process);
        for (name, value) in line.fields {
            field(&mut out, name, value);
        }
        field(&mut out, "MESSAGE", &clean(line.text));
        out
    }
}

/// `NAME=value`, or with the length in front of a value of several lines.
fn field(out: &mut Vec<u8>, name: &str, value: &str) {
    out.extend(name.as_bytes());
    if value.contains('\n') {
        out.push(b'\n');
        out.extend((value.len() as u64).to_le_bytes());
    } else {
        out.push(b'=');
    }
    out.extend(value.as_bytes());
    out.push(b'\n');
}

#[cfg(test)]
mod tests {
    use log::Level;

    use super::*;

    fn said(line: &LogLine<'_>) -> Vec<u8> {
        Format { process: "42".to_owned() }.datagram(line)
    }

    #[test]
    fn an_event_has_its_fields() {
        let fields = [("EVENT", "denied".to_owned()), ("SOURCE", "192.0.2.7".to_owned())];
        let line = LogLine { level: Level::Info, named: true, text: "did not knock", fields: &fields };
        let expected = "PRIORITY=5\nSYSLOG_IDENTIFIER=knock\nSYSLOG_PID=42\nEVENT=denied\nSOURCE=192.0.2.7\n\
                        MESSAGE=did not knock\n";
        assert_eq!(String::from_utf8(said(&line)).unwrap(), expected);
    }

    #[test]
    fn a_message_of_two_lines_has_its_length_in_front() {
        let datagram = said(&LogLine::plain(Level::Warn, "weak\n  help"));
        assert!(datagram.ends_with(b"MESSAGE\n\x0b\0\0\0\0\0\0\0weak\n  help\n"), "{datagram:?}");
    }
}
