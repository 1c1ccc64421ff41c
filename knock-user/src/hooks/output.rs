//! What a hook writes: so much of it is kept, the rest is counted.

/// Octets that are kept of what one hook writes.
pub const KEPT: usize = 16 * 1024;
/// Octets of one line of the log; a longer line is broken.
const LINE: usize = 512;

/// The beginning of what a hook wrote.
#[derive(Default, Debug)]
pub struct Output {
    kept: Vec<u8>,
    left_out: u64,
}

impl Output {
    /// Takes what was read.
    pub fn take(&mut self, octets: &[u8]) {
        let room = KEPT - self.kept.len();
        let (kept, rest) = octets.split_at(room.min(octets.len()));
        self.kept.extend_from_slice(kept);
        self.left_out += rest.len() as u64;
    }

    /// True once more was written than is kept.
    #[must_use]
    pub const fn is_over(&self) -> bool {
        self.left_out > 0
    }

    /// Lines for the log, without control characters, so that no hook can forge one.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        let text = String::from_utf8_lossy(&self.kept);
        let mut lines: Vec<String> = text.lines().flat_map(broken).collect();
        if self.left_out > 0 {
            lines.push(format!("({} bytes left out)", self.left_out));
        }
        lines
    }
}

/// A line in pieces that the log can hold.
fn broken(line: &str) -> Vec<String> {
    let mut pieces = Vec::new();
    let mut rest = line;
    loop {
        let end = rest.floor_char_boundary(LINE);
        pieces.push(printable(&rest[..end]));
        rest = &rest[end..];
        if rest.is_empty() {
            return pieces;
        }
    }
}

/// Text on one line: a control character becomes its escape.
#[must_use]
pub fn printable(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '\t' => shown.push(' '),
            other if other.is_control() => shown.extend(other.escape_default()),
            other => shown.push(other),
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(octets: &[u8]) -> Vec<String> {
        let mut output = Output::default();
        octets.chunks(1000).for_each(|chunk| output.take(chunk));
        output.lines()
    }

    #[test]
    fn each_line_is_one() {
        assert_eq!(lines(b"one\n\ttwo\r\nthree"), ["one", " two", "three"]);
        assert_eq!(lines(b""), Vec::<String>::new());
        assert_eq!(lines(b"a\x1b[31mb\x07\0\xff"), ["a\\u{1b}[31mb\\u{7}\\u{0}\u{fffd}"]);
    }

    #[test]
    fn a_long_line_is_broken() {
        let pieces = lines("ü".repeat(600).as_bytes());
        assert_eq!(pieces.len(), 3);
        assert_eq!(pieces.concat(), "ü".repeat(600));
    }

    #[test]
    fn more_than_is_kept_is_counted() {
        let mut flood = vec![b'y'; KEPT];
        assert!(!lines(&flood).last().unwrap().contains("left out"));
        flood.extend([b'z'; 5000]);
        let said = lines(&flood);
        assert_eq!(said.last().unwrap(), "(5000 bytes left out)");
        assert!(said.concat().len() < KEPT + 100);
    }
}
