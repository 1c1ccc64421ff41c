//! How knockd cuts a file into lines: `fgets` of at most 4095 octets, as C strings, trimmed.

/// Octets that knockd reads as one line; what is longer goes on as the next line.
const MAX_LINE: usize = 4095;

/// One line as knockd sees it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Line<'a> {
    /// Its number in the file, from 1. The pieces of an over-long line share one number.
    pub number: usize,
    /// The text, trimmed.
    pub text: &'a [u8],
}

/// All lines, blank ones among them.
pub fn lines(file: &[u8]) -> impl Iterator<Item = Line<'_>> {
    let mut rest = file;
    let mut number = 1;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let window = &rest[..rest.len().min(MAX_LINE)];
        let (end, ends) =
            window.iter().position(|&octet| octet == b'\n').map_or((window.len(), false), |at| (at, true));
        let line = Line { number, text: trim(c_string(&rest[..end])) };
        rest = &rest[end + usize::from(ends)..];
        number += usize::from(ends);
        Some(line)
    })
}

/// What C takes for the string: nothing behind a zero octet.
fn c_string(text: &[u8]) -> &[u8] {
    text.split(|&octet| octet == 0).next().unwrap_or_default()
}

/// Without white space at both ends.
pub fn trim(text: &[u8]) -> &[u8] {
    let start = text.iter().position(|&octet| !is_space(octet)).unwrap_or(text.len());
    let end = text.iter().rposition(|&octet| !is_space(octet)).map_or(start, |at| at + 1);
    &text[start..end]
}

/// `isspace` of the C locale, which has a vertical tab where Rust has none.
pub const fn is_space(octet: u8) -> bool {
    octet.is_ascii_whitespace() || octet == 0x0b
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(file: &[u8]) -> Vec<(usize, &[u8])> {
        lines(file).map(|line| (line.number, line.text)).collect()
    }

    #[test]
    fn lines_are_trimmed_and_numbered() {
        assert_eq!(cut(b" a \r\n\n\tb\x0b\x0c\nc"), [(1, &b"a"[..]), (2, b""), (3, b"b"), (4, b"c")]);
        assert_eq!(cut(b""), []);
        assert_eq!(cut(b"\n"), [(1, &b""[..])]);
    }

    #[test]
    fn a_zero_octet_ends_the_line_and_not_the_file() {
        assert_eq!(cut(b"a \0b\nc"), [(1, &b"a"[..]), (2, b"c")]);
    }

    #[test]
    fn a_long_line_is_cut_as_fgets_does() {
        let mut file = vec![b'a'; 4095];
        file.extend(b"b\nc");
        let long = vec![b'a'; 4095];
        assert_eq!(cut(&file), [(1, &long[..]), (1, b"b"), (2, b"c")]);
        // The line end did not fit any more: a blank line follows.
        let mut file = vec![b'a'; 4095];
        file.extend(b"\nc");
        assert_eq!(cut(&file), [(1, &long[..]), (1, b""), (2, b"c")]);
    }
}
