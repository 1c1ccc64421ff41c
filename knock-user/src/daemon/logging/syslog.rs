//! Syslog, as the C library speaks it to `/dev/log`: RFC 3164 without the host's name.

use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use super::datagram::Protocol;
use super::line::LogLine;
use crate::config::SyslogOptions;

/// How a line is said.
pub(super) struct Format {
    facility: u8,
    /// The tag: who speaks.
    tag: String,
}

impl Format {
    pub(super) fn new(options: &SyslogOptions) -> Self {
        Self { facility: options.facility.code(), tag: format!("{}[{}]", options.ident, std::process::id()) }
    }
}

impl Protocol for Format {
    const NAME: &'static str = "syslog";

    fn path(&self) -> &Path {
        Path::new("/dev/log")
    }

    fn datagram(&self, line: &LogLine<'_>) -> Vec<u8> {
        let priority = self.facility << 3 | line.severity();
        // A line end in a message is spelt out, or taken for its end.
        let text: Vec<_> = line.with_level().lines().map(|part| part.trim().to_owned()).collect();
        format!("<{priority}>{} {}: {}", timestamp(SystemTime::now()), self.tag, text.join(" ")).into_bytes()
    }
}

/// `Nov  3 09:08:07` in local time (RFC 3164, 4.1.2).
fn timestamp(time: SystemTime) -> String {
    const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let seconds = time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs() as libc::time_t;
    let mut local = std::mem::MaybeUninit::<libc::tm>::zeroed();
    // SAFETY: both pointers are to values of their types that outlive the call, which fills one in.
    unsafe { libc::localtime_r(&raw const seconds, local.as_mut_ptr()) };
    // SAFETY: filled in, or zeroed, which is a valid tm.
    let local = unsafe { local.assume_init() };
    let month = MONTHS.get(local.tm_mon as usize).unwrap_or(&"Jan");
    format!("{month} {:>2} {:02}:{:02}:{:02}", local.tm_mday, local.tm_hour, local.tm_min, local.tm_sec)
}

#[cfg(test)]
mod tests {
    use log::Level;

    use super::*;
    use crate::config::Facility;

    fn said(facility: &str, line: &LogLine<'_>) -> String {
        let options = SyslogOptions { ident: "knock".into(), facility: Facility::parse(facility).unwrap() };
        String::from_utf8(Format::new(&options).datagram(line)).unwrap()
    }

    #[test]
    fn the_priority_is_that_of_the_line() {
        let fields = [("EVENT", "stage".to_owned())];
        let event = LogLine { level: Level::Info, named: true, text: "a stage", fields: &fields };
        assert!(said("daemon", &event).starts_with("<29>"), "{}", said("daemon", &event));
        assert!(said("local7", &LogLine::plain(Level::Error, "no")).starts_with("<187>"));
        assert!(said("user", &LogLine::plain(Level::Info, "yes")).starts_with("<14>"));
    }

    #[test]
    fn a_line_is_one_line_behind_time_and_tag() {
        let text = said("daemon", &LogLine::plain(Level::Warn, "weak\n  help: strong"));
        let tag = format!(" knock[{}]: warn: weak help: strong", std::process::id());
        assert!(text.ends_with(&tag), "{text}");
        assert_eq!(text.len(), "<28>Nov  3 09:08:07".len() + tag.len(), "{text}");
    }
}
