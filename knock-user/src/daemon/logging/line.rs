//! One line of the log, and what of its text may be written.

use log::Level;

/// One line of the log; with `fields` if it tells of an event.
pub(super) struct LogLine<'a> {
    pub(super) level: Level,
    /// The text says itself what it is.
    pub(super) named: bool,
    pub(super) text: &'a str,
    pub(super) fields: &'a [(&'static str, String)],
}

impl<'a> LogLine<'a> {
    pub(super) const fn plain(level: Level, text: &'a str) -> Self {
        Self { level, named: false, text, fields: &[] }
    }

    /// The severity of syslog (RFC 5424, 6.2.1). Events are notices, as knockd's are.
    pub(super) const fn severity(&self) -> u8 {
        match self.level {
            Level::Error => 3,
            Level::Warn => 4,
            Level::Info if !self.fields.is_empty() => 5,
            Level::Info => 6,
            Level::Debug | Level::Trace => 7,
        }
    }

    /// The text, behind its level where that is not what one expects.
    pub(super) fn with_level(&self) -> String {
        let text = clean(self.text);
        match self.level {
            _ if self.named => text,
            Level::Info => text,
            level => format!("{}: {text}", level.as_str().to_lowercase()),
        }
    }
}

/// The text without control characters. A line end in it is kept, with the rest indented: no text can
/// pass for a line of its own.
pub(super) fn clean(text: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    let mut ended = false;
    for c in text.trim_end().chars() {
        if ended && c != ' ' {
            clean.push_str("  ");
        }
        ended = c == '\n';
        if c.is_control() && c != '\n' { clean.extend(c.escape_default()) } else { clean.push(c) }
    }
    clean
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_text_passes_for_a_line_of_its_own() {
        let text = "a hook said:\ndid not knock: 192.0.2.7 -> :22/tcp\r\x1b[31m\n  and this\n";
        let expected = "a hook said:\n  did not knock: 192.0.2.7 -> :22/tcp\\r\\u{1b}[31m\n  and this";
        assert_eq!(clean(text), expected);
    }

    #[test]
    fn events_are_notices() {
        let fields = [("EVENT", "denied".to_owned())];
        assert_eq!(LogLine { level: Level::Info, named: true, text: "", fields: &fields }.severity(), 5);
        let plain = |level| LogLine::plain(level, "").severity();
        assert_eq!([plain(Level::Error), plain(Level::Warn), plain(Level::Info), plain(Level::Debug)], [3, 4, 6, 7]);
    }
}
