//! Tables for people: columns as wide as their widest cell, two spaces between them.

/// Appends a table; nothing but its last column may be longer than it looks.
pub fn append<const N: usize>(text: &mut String, head: [&str; N], rows: &[[String; N]]) {
    let head = head.map(str::to_owned);
    let lines = || std::iter::once(&head).chain(rows);
    let mut widths = [0; N];
    for line in lines() {
        for (width, cell) in widths.iter_mut().zip(line) {
            *width = cell.chars().count().max(*width);
        }
    }
    for line in lines() {
        let cells: Vec<_> = line.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}")).collect();
        *text += cells.join("  ").trim_end();
        text.push('\n');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned_and_lines_end_with_their_text() {
        let mut text = String::new();
        let row = |one: &str, other: &str| [one.to_owned(), other.to_owned()];
        append(&mut text, ["A", "LONG"], &[row("first", "x"), row("é", "")]);
        assert_eq!(text, "A      LONG\nfirst  x\né\n");
    }
}
