//! Tables for people: columns as wide as their widest cell, two spaces between them.

use std::fmt::Write as _;

/// Appends a table; nothing but its last column may be longer than it looks. Each row is asked for twice, so that a
/// million of them need not be there at once.
pub fn append<T, const N: usize>(text: &mut String, head: [&str; N], items: &[T], row: impl Fn(&T) -> [String; N]) {
    let head = head.map(str::to_owned);
    let mut widths = head.each_ref().map(|cell| cell.chars().count());
    for item in items {
        for (width, cell) in widths.iter_mut().zip(&row(item)) {
            *width = cell.chars().count().max(*width);
        }
    }
    append_line(text, &head, &widths);
    items.iter().for_each(|item| append_line(text, &row(item), &widths));
}

fn append_line<const N: usize>(text: &mut String, cells: &[String; N], widths: &[usize; N]) {
    for (index, (cell, width)) in cells.iter().zip(widths).enumerate() {
        // Writing to a string does not fail.
        let _ = write!(text, "{}{cell:width$}", if index > 0 { "  " } else { "" });
    }
    text.truncate(text.trim_end().len());
    text.push('\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned_and_lines_end_with_their_text() {
        let mut text = String::new();
        let row = |one: &str, other: &str| [one.to_owned(), other.to_owned()];
        append(&mut text, ["A", "LONG"], &[row("first", "x"), row("é", "")], Clone::clone);
        assert_eq!(text, "A      LONG\nfirst  x\né\n");
    }
}
