//! Our config's text, with comments that say what became of each line of knockd.conf.

/// Lines of TOML, and which line of knockd.conf each is from.
#[derive(Default)]
pub struct Text {
    lines: Vec<(String, Option<usize>)>,
    from: Option<usize>,
}

impl Text {
    /// Lines from now on are from this line of knockd.conf.
    pub fn from(&mut self, line: usize) {
        self.from = Some(line);
    }

    /// A blank line.
    pub fn blank(&mut self) {
        self.push(String::new());
    }

    /// A section.
    pub fn section(&mut self, kind: &str, name: &str) {
        let name = if name.is_empty() { String::new() } else { format!(".{}", key(name)) };
        self.push(format!("[{kind}{name}]"));
    }

    /// The section above sections of a kind, for where there are none.
    pub fn sections(&mut self, kind: &str) {
        self.push(format!("[{kind}]"));
    }

    /// A comment of ours.
    pub fn comment(&mut self, text: &str) {
        self.push(format!("# {}", harmless(text)).trim_end().to_owned());
    }

    /// A line of knockd.conf.
    pub fn quote(&mut self, line: usize, text: &str) {
        self.from(line);
        self.comment(&format!("knockd.conf {line}: {text}"));
    }

    /// What is said of the line above.
    pub fn remark(&mut self, text: &str, look: bool) {
        self.comment(&format!("    {}{text}", if look { "LOOK: " } else { "" }));
    }

    /// `name = "text"`
    pub fn string(&mut self, name: &str, text: &str) {
        self.push(format!("{name} = {}", string(text)));
    }

    /// `name = ["text", ...]`
    pub fn strings<T: ToString>(&mut self, name: &str, texts: &[T]) {
        let texts: Vec<_> = texts.iter().map(|text| string(&text.to_string())).collect();
        self.push(format!("{name} = [{}]", texts.join(", ")));
    }

    /// `name = number`
    pub fn number(&mut self, name: &str, number: u8) {
        self.push(format!("{name} = {number}"));
    }

    /// `name = true`
    pub fn boolean(&mut self, name: &str, value: bool) {
        self.push(format!("{name} = {value}"));
    }

    /// The line of knockd.conf from which line `number` (from 1) is.
    pub fn origin(&self, number: usize) -> Option<usize> {
        self.lines.get(number.checked_sub(1)?)?.1
    }

    fn push(&mut self, line: String) {
        self.lines.push((line, self.from));
    }
}

impl std::fmt::Display for Text {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.lines.iter().try_for_each(|(line, _)| writeln!(f, "{line}"))
    }
}

/// A name that needs no quotes, or one in quotes.
fn key(name: &str) -> String {
    let bare = name.bytes().all(|octet| octet.is_ascii_alphanumeric() || matches!(octet, b'_' | b'-'));
    if bare { name.to_owned() } else { string(name) }
}

/// A basic string of TOML.
fn string(text: &str) -> String {
    let mut quoted = String::from('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            c if c.is_control() => quoted += &format!("\\u{:04X}", u32::from(c)),
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

/// Without characters that a comment of TOML may not hold.
fn harmless(text: &str) -> String {
    text.chars().map(|c| if c.is_control() && c != '\t' { '\u{fffd}' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_is_in_a_line_the_text_is_toml() {
        let nasty = "a\u{1}\u{7f}\u{85}\r\t\"\\ \u{2028}é";
        let mut text = Text::default();
        text.section("doors", "a.b");
        text.quote(3, nasty);
        text.string("start_command", nasty);
        text.strings("sequence", &[1, 2]);
        let table: toml::Table = text.to_string().parse().unwrap();
        let door = &table["doors"]["a.b"];
        assert_eq!(door["start_command"].as_str(), Some(nasty));
        assert_eq!(door["sequence"].as_array().map(Vec::len), Some(2));
        assert_eq!((text.origin(1), text.origin(2), text.origin(4), text.origin(9)), (None, Some(3), Some(3), None));
    }
}
