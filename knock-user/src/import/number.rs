//! Numbers as knockd reads them: glibc's `atoi`.

use super::lines::is_space;

/// Leading blanks and a sign are skipped, the first octet that is no digit ends it, nothing is 0. The
/// number is a `long` that stops at its ends, of which the lower 32 bits count.
pub fn atoi(text: &[u8]) -> i32 {
    let start = text.iter().position(|&octet| !is_space(octet)).unwrap_or(text.len());
    let (negative, digits) = match &text[start..] {
        [b'-', digits @ ..] => (true, digits),
        [b'+', digits @ ..] | digits => (false, digits),
    };
    let mut number: i64 = 0;
    for digit in digits.iter().take_while(|octet| octet.is_ascii_digit()) {
        let digit = i64::from(digit - b'0');
        number = number.saturating_mul(10).saturating_add(if negative { -digit } else { digit });
    }
    number as i32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_as_glibc_does() {
        for (text, number) in [
            ("", 0),
            ("7000", 7000),
            (" \t7000 and more", 7000),
            ("-1", -1),
            ("+5", 5),
            ("- 5", 0),
            ("0x10", 0),
            ("ssh", 0),
            ("007", 7),
            ("2147483648", i32::MIN),
            ("4294974296", 7000),
            ("99999999999999999999", -1),
            ("-99999999999999999999", 0),
        ] {
            assert_eq!(atoi(text.as_bytes()), number, "{text}");
        }
    }
}
