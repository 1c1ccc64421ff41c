//! Collects findings while a config is read, and knows where each octet of the text stands.

use std::cell::RefCell;
use std::ops::Range;

use super::diagnostic::{Diagnostic, Excerpt, Severity};

/// Where something stands in the text, in octets.
pub(crate) type Span = Range<usize>;

/// Longer lines are not repeated in a finding.
const MAX_EXCERPT: usize = 160;

/// The text being read and all that was found in it so far.
pub(crate) struct Report<'t> {
    file: &'t str,
    text: &'t str,
    found: RefCell<Vec<Diagnostic>>,
}

impl<'t> Report<'t> {
    pub(crate) fn new(file: &'t str, text: &'t str) -> Self {
        Self { file, text, found: RefCell::default() }
    }

    /// Something for which the config is refused.
    pub(crate) fn error(&self, span: &Span, key: &str, message: impl Into<String>, help: impl Into<String>) {
        self.add(Severity::Error, span, key, message.into(), Some(help.into()));
    }

    /// Something to look at.
    pub(crate) fn warning(&self, span: &Span, key: &str, message: impl Into<String>, help: impl Into<String>) {
        self.add(Severity::Warning, span, key, message.into(), Some(help.into()));
    }

    /// Something about another file.
    pub(crate) fn push(&self, finding: Diagnostic) {
        self.found.borrow_mut().push(finding);
    }

    /// Something about the file as a whole.
    pub(crate) fn of_file(&self, severity: Severity, message: impl Into<String>, help: impl Into<String>) {
        self.found.borrow_mut().push(Diagnostic {
            file: self.file.to_owned(),
            line: 0,
            column: 0,
            key: String::new(),
            severity,
            message: message.into(),
            help: Some(help.into()),
            excerpt: None,
        });
    }

    pub(crate) fn add(&self, severity: Severity, span: &Span, key: &str, message: String, help: Option<String>) {
        let (line, column, excerpt) = self.locate(span);
        self.found.borrow_mut().push(Diagnostic {
            file: self.file.to_owned(),
            line,
            column,
            key: key.to_owned(),
            severity,
            message,
            help,
            excerpt,
        });
    }

    /// The file's name.
    pub(crate) const fn file(&self) -> &'t str {
        self.file
    }

    pub(crate) fn has_errors(&self) -> bool {
        self.found.borrow().iter().any(Diagnostic::is_error)
    }

    /// The number of the line on which something stands.
    pub(crate) fn line_of(&self, span: &Span) -> usize {
        self.locate(span).0
    }

    /// All findings, in the order of the text.
    pub(crate) fn into_findings(self) -> Vec<Diagnostic> {
        let mut found = self.found.into_inner();
        // What is said of other files comes last.
        found.sort_by_key(|one| (one.file != self.file, one.line, one.column, one.severity));
        found
    }

    fn locate(&self, span: &Span) -> (usize, usize, Option<Excerpt>) {
        let start = self.text.floor_char_boundary(span.start);
        let before = &self.text[..start];
        let begin = before.rfind('\n').map_or(0, |newline| newline + 1);
        let line = self.text[begin..].lines().next().unwrap_or_default();
        let end = self.text.floor_char_boundary(span.end).min(begin + line.len()).max(start);
        let number = before.matches('\n').count() + 1;
        let column = self.text[begin..start].chars().count() + 1;
        let excerpt = (!line.trim().is_empty() && line.len() <= MAX_EXCERPT).then(|| Excerpt {
            // A tab would shift the mark; other control characters would reach the terminal.
            line: line.chars().map(|c| if c.is_control() { ' ' } else { c }).collect(),
            width: self.text[start..end].chars().count().max(1),
        });
        (number, column, excerpt)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(text: &str, span: Span) -> (usize, usize, Option<Excerpt>) {
        Report::new("f", text).locate(&span)
    }

    #[test]
    fn places_are_lines_and_characters() {
        assert_eq!(place("a = 1\nb = 2\n", 6..7).0, 2);
        let (line, column, excerpt) = place("x\n\tü = 2\r\n", 6..7);
        assert_eq!((line, column), (2, 4));
        assert_eq!(excerpt, Some(Excerpt { line: " ü = 2".into(), width: 1 }));
    }

    #[test]
    fn the_end_of_the_text_and_beyond_are_places_too() {
        assert_eq!(place("", 0..0), (1, 1, None));
        assert_eq!(place("a\n", 2..2), (2, 1, None));
        assert_eq!(place("a", 90..99).0, 1);
    }
}
