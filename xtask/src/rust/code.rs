//! Rust code as tokens, each with its place: what stays the same when white space, line breaks and comments change.

use std::ops::Range;

/// What is longer than one character, the longest first.
const LONG: [&str; 25] = [
    "<<=", ">>=", "...", "..=", "::", "->", "=>", "==", "!=", "<=", ">=", "&&", "||", "+=", "-=", "*=", "/=", "%=",
    "^=", "&=", "|=", "<<", ">>", "..", "<-",
];

/// Words that nobody can give another name.
const KEYWORDS: [&str; 39] = [
    "_", "as", "async", "await", "break", "const", "continue", "crate", "dyn", "else", "enum", "extern", "false", "fn",
    "for", "if", "impl", "in", "let", "loop", "match", "mod", "move", "mut", "pub", "ref", "return", "self", "Self",
    "static", "struct", "super", "trait", "true", "type", "unsafe", "use", "where", "while",
];

/// A text and its tokens.
#[derive(Clone, Debug)]
pub struct Code {
    text: String,
    tokens: Vec<Range<usize>>,
}

impl Code {
    /// Reads a text, which may be any part of a file that begins and ends between tokens.
    pub fn new(text: impl Into<String>) -> Self {
        let text = text.into();
        let mut tokens = Vec::new();
        let mut at = 0;
        while let Some(c) = text[at..].chars().next() {
            let rest = &text[at..];
            let (len, is_token) = match blank(rest, c) {
                0 => {
                    (token(rest, c, tokens.last().is_some_and(|last: &Range<usize>| &text[last.clone()] == ".")), true)
                }
                len => (len, false),
            };
            if is_token {
                tokens.push(at..at + len);
            }
            at += len;
        }
        Self { text, tokens }
    }

    /// How many tokens it has.
    pub fn len(&self) -> usize {
        self.tokens.len()
    }

    /// The token with this number; nothing behind the last.
    pub fn word(&self, index: usize) -> &str {
        self.tokens.get(index).map_or("", |token| &self.text[token.clone()])
    }

    /// The names in it.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        (0..self.len()).map(|index| self.word(index)).filter(|word| is_name(word))
    }

    /// True if the tokens from this number on are these.
    pub fn reads(&self, index: usize, words: &[&str]) -> bool {
        words.iter().enumerate().all(|(offset, word)| self.word(index + offset) == *word)
    }

    /// The octets from the first of these tokens to the last.
    pub fn octets(&self, tokens: &Range<usize>) -> Range<usize> {
        self.tokens[tokens.start].start..self.tokens[tokens.end - 1].end
    }

    /// The tokens in these octets.
    #[cfg(test)]
    pub fn tokens(&self, octets: &Range<usize>) -> Range<usize> {
        self.tokens.partition_point(|token| token.start < octets.start)
            ..self.tokens.partition_point(|token| token.end <= octets.end)
    }

    /// The line, from 1, on which the token stands.
    pub fn line(&self, index: usize) -> usize {
        self.text[..self.tokens[index].start].matches('\n').count() + 1
    }

    /// The text of these tokens on one line.
    pub fn shown(&self, tokens: &Range<usize>) -> String {
        self.text[self.octets(tokens)].split_whitespace().collect::<Vec<_>>().join(" ")
    }

    /// The text with other words for names. What stands between the tokens stays.
    pub fn renamed(&self, other: impl Fn(&str) -> Option<String>) -> String {
        let mut text = String::with_capacity(self.text.len());
        let mut from = 0;
        for (index, token) in self.tokens.iter().enumerate() {
            let word = self.word(index);
            text.push_str(&self.text[from..token.start]);
            let other = if is_name(word) { other(word) } else { None };
            text.push_str(other.as_deref().unwrap_or(word));
            from = token.end;
        }
        text.push_str(&self.text[from..]);
        text
    }
}

/// True if a token is a name that somebody has given.
pub fn is_name(word: &str) -> bool {
    let is_word = word.starts_with(is_start) && word.ends_with(is_part);
    is_word && !KEYWORDS.contains(&word)
}

fn is_start(c: char) -> bool {
    c == '_' || c.is_alphabetic()
}

fn is_part(c: char) -> bool {
    c == '_' || c.is_alphanumeric()
}

/// How long the white space or the comment is with which a text begins; 0 if it begins with a token.
fn blank(rest: &str, c: char) -> usize {
    if c.is_whitespace() {
        return c.len_utf8();
    }
    if rest.starts_with("//") {
        return rest.find('\n').unwrap_or(rest.len());
    }
    if !rest.starts_with("/*") {
        return 0;
    }
    let (mut at, mut depth) = (0, 0_u32);
    while at < rest.len() {
        let step = &rest.as_bytes()[at..];
        if step.starts_with(b"/*") {
            (at, depth) = (at + 2, depth + 1);
        } else if step.starts_with(b"*/") {
            (at, depth) = (at + 2, depth - 1);
            if depth == 0 {
                return at;
            }
        } else {
            at += 1;
        }
    }
    rest.len()
}

/// How long the token is with which a text begins. Behind a point no number has another point in it.
fn token(rest: &str, c: char, behind_point: bool) -> usize {
    let word = |from: usize| rest[from..].find(|c| !is_part(c)).map_or(rest.len(), |len| from + len);
    if is_start(c) {
        let end = word(0);
        return match (&rest[..end], rest.as_bytes().get(end)) {
            ("r" | "br" | "cr", Some(b'"' | b'#')) => raw(rest, end).unwrap_or_else(|| word(end + 1)),
            ("b" | "c", Some(b'"')) => quoted(rest, end + 1, b'"'),
            ("b", Some(b'\'')) => quoted(rest, end + 1, b'\''),
            _ => end,
        };
    }
    if c.is_ascii_digit() {
        let end = word(0);
        let has_fraction = rest[end..].starts_with('.') && rest[end + 1..].starts_with(|c: char| c.is_ascii_digit());
        return if has_fraction && !behind_point { word(end + 1) } else { end };
    }
    match c {
        '"' => quoted(rest, 1, b'"'),
        '\'' => {
            let mut two = rest[1..].chars();
            let is_char = matches!((two.next(), two.next()), (Some('\\'), _) | (_, Some('\'')));
            if is_char { quoted(rest, 1, b'\'') } else { word(1) }
        }
        _ => LONG.iter().find(|long| rest.starts_with(**long)).map_or(c.len_utf8(), |long| long.len()),
    }
}

/// The end of a text in quotes whose inside begins there.
fn quoted(rest: &str, inside: usize, quote: u8) -> usize {
    let octets = rest.as_bytes();
    let mut at = inside;
    while at < octets.len() && octets[at] != quote {
        at += if octets[at] == b'\\' { 2 } else { 1 };
    }
    (at + 1).min(octets.len())
}

/// The end of a raw string with its hashes from there on; nothing if it is a raw name.
fn raw(rest: &str, hashes: usize) -> Option<usize> {
    let count = rest[hashes..].find(|c| c != '#')?;
    let inside = rest[hashes + count..].strip_prefix('"')?;
    let end = format!("\"{}", "#".repeat(count));
    Some(inside.find(&end).map_or(rest.len(), |len| rest.len() - inside.len() + len + end.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        let code = Code::new(text);
        (0..code.len()).map(|index| code.word(index).to_owned()).collect()
    }

    #[test]
    fn white_space_and_comments_are_no_tokens() {
        let plain = words("if a>=b{c::d(1)}");
        assert_eq!(plain, ["if", "a", ">=", "b", "{", "c", "::", "d", "(", "1", ")", "}"]);
        assert_eq!(words(" if a >= b // why\n{ /* a /* b */ */ c::d(1)\n}\n"), plain);
    }

    #[test]
    fn a_literal_is_one_token() {
        for literal in
            ["\"a \\\" // b\"", "b\"a\"", "r#\"a\" b\"#", "'a'", "'\\''", "b'\"'", "0x3f_u16", "1.5", "'static"]
        {
            assert_eq!(words(&format!("({literal})")), ["(", literal, ")"]);
        }
    }

    #[test]
    fn a_field_with_a_number_is_no_fraction() {
        assert_eq!(words("a.0.1"), ["a", ".", "0", ".", "1"]);
        assert_eq!(words("0..1"), ["0", "..", "1"]);
        assert_eq!(words("a.0.b"), ["a", ".", "0", ".", "b"]);
    }

    #[test]
    fn a_part_of_a_file_need_not_close_what_it_opens() {
        assert_eq!(words("} else { \"a"), ["}", "else", "{", "\"a"]);
    }

    #[test]
    fn names_are_told_from_keywords_and_literals() {
        assert!(["a", "Self_", "r#type", "u32"].into_iter().all(is_name));
        assert!(!["self", "_", "if", "1", "\"a\"", "'a", "::", ""].into_iter().any(is_name));
    }

    #[test]
    fn only_names_are_renamed() {
        let code = Code::new("let a = \"a\"; // a\nself.a(b)");
        assert_eq!(code.renamed(|name| (name == "a").then(|| "end".to_owned())), "let end = \"a\"; // a\nself.end(b)");
    }
}
