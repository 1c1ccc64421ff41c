//! Collects findings while a config is read, and knows where each octet of the text stands.

use std::cell::{OnceCell, RefCell};
use std::ops::Range;

use super::diagnostic::{Diagnostic, Excerpt, Severity};

/// Where something stands in the text, in octets.
pub(crate) type Span = Range<usize>;

/// Longer lines are not repeated in a finding.
const MAX_EXCERPT: usize = 160;

/// So many errors, and so many warnings, are listed of one text. Of the rest there is the number: a file that is
/// none of ours is wrong everywhere.
pub(crate) const MOST_LISTED: usize = 100;

/// The text being read and all that was found in it so far.
pub(crate) struct Report<'t> {
    file: &'t str,
    text: &'t str,
    /// Where lines begin, once somebody asks.
    lines: OnceCell<Vec<usize>>,
    found: RefCell<Found>,
}

#[derive(Default)]
struct Found {
    findings: Vec<Diagnostic>,
    errors: Count,
    warnings: Count,
}

/// Findings of one severity in the text.
#[derive(Default)]
struct Count {
    listed: usize,
    left_out: usize,
}

impl Found {
    const fn count(&mut self, severity: Severity) -> &mut Count {
        match severity {
            Severity::Error => &mut self.errors,
            Severity::Warning => &mut self.warnings,
        }
    }
}

impl<'t> Report<'t> {
    pub(crate) fn new(file: &'t str, text: &'t str) -> Self {
        Self { file, text, lines: OnceCell::new(), found: RefCell::default() }
    }

    /// Something for which the config is refused.
    pub(crate) fn error(&self, span: &Span, key: &str, message: impl Into<String>, help: impl Into<String>) {
        self.add(Severity::Error, span, key, message.into(), Some(help.into()));
    }

    /// Something to look at.
    pub(crate) fn warning(&self, span: &Span, key: &str, message: impl Into<String>, help: impl Into<String>) {
        self.add(Severity::Warning, span, key, message.into(), Some(help.into()));
    }

    /// Something about another file, of which the caller tells a few things at most.
    pub(crate) fn push(&self, finding: Diagnostic) {
        self.found.borrow_mut().findings.push(finding);
    }

    /// Something about the file as a whole.
    pub(crate) fn of_file(&self, severity: Severity, message: impl Into<String>, help: impl Into<String>) {
        self.push(Diagnostic::of_file(self.file, "", severity, message).with_help(help));
    }

    pub(crate) fn add(&self, severity: Severity, span: &Span, key: &str, message: String, help: Option<String>) {
        super::work::note();
        if self.found.borrow_mut().count(severity).listed >= MOST_LISTED {
            return self.leave_out(severity);
        }
        let (line, column, excerpt) = self.locate(span);
        let mut found = self.found.borrow_mut();
        found.count(severity).listed += 1;
        found.findings.push(Diagnostic {
            file: self.file.to_owned(),
            line,
            column,
            key: key.to_owned(),
            severity,
            message,
            help,
            excerpt,
            stands_for: 1,
        });
    }

    /// True if an error more would only be counted.
    pub(crate) fn is_full(&self) -> bool {
        self.found.borrow().errors.listed >= MOST_LISTED
    }

    /// Counts a finding that is not listed.
    pub(crate) fn leave_out(&self, severity: Severity) {
        self.found.borrow_mut().count(severity).left_out += 1;
    }

    /// The file's name.
    pub(crate) const fn file(&self) -> &'t str {
        self.file
    }

    pub(crate) fn has_errors(&self) -> bool {
        self.found.borrow().findings.iter().any(Diagnostic::is_error)
    }

    /// The number of the line on which something stands.
    pub(crate) fn line_of(&self, span: &Span) -> usize {
        self.line_at(self.text.floor_char_boundary(span.start)).0
    }

    /// All findings that are listed, in the order of the text, and then how many are not.
    pub(crate) fn into_findings(self) -> Vec<Diagnostic> {
        let Found { mut findings, errors, warnings } = self.found.into_inner();
        // What is said of other files comes last.
        findings.sort_by_key(|one| (one.file != self.file, one.line, one.column, one.severity));
        for (severity, Count { left_out, .. }) in [(Severity::Error, errors), (Severity::Warning, warnings)] {
            if left_out > 0 {
                let s = if left_out == 1 { "" } else { "s" };
                let message = format!("and {left_out} more {severity}{s}");
                let finding = Diagnostic::of_file(self.file, "", severity, message);
                let finding = finding.with_help("mend what is listed, and look again");
                findings.push(Diagnostic { stands_for: left_out, ..finding });
            }
        }
        findings
    }

    /// The number of the line that holds this octet, and where that line begins.
    fn line_at(&self, octet: usize) -> (usize, usize) {
        let lines = self.lines.get_or_init(|| {
            let ends = self.text.bytes().enumerate().filter(|(_, octet)| *octet == b'\n');
            let begins = ends.inspect(|_| super::work::note());
            std::iter::once(0).chain(begins.map(|(at, _)| at + 1)).collect()
        });
        let number = lines.partition_point(|begin| *begin <= octet);
        (number, lines[number - 1])
    }

    fn locate(&self, span: &Span) -> (usize, usize, Option<Excerpt>) {
        let start = self.text.floor_char_boundary(span.start);
        let (number, begin) = self.line_at(start);
        let line = self.text[begin..].lines().next().unwrap_or_default();
        let end = self.text.floor_char_boundary(span.end).min(begin + line.len()).max(start);
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
