//! What is wrong with a config, where, and what to do about it.

use std::fmt;

/// How bad it is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Severity {
    /// The config is refused.
    Error,
    /// The config is taken, but look at this.
    Warning,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Error => "error",
            Self::Warning => "warning",
        })
    }
}

/// One finding in a config file.
///
/// `{}` prints the finding and its remedy and repeats no port of a sequence that works, so it may
/// go into a log. `{:#}` adds the line of the file with a mark below the place, for a terminal.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Diagnostic {
    /// The file as it was named.
    pub file: String,
    /// Line, from 1; 0 if the finding belongs to no line.
    pub line: usize,
    /// Column in characters, from 1; 0 if the finding belongs to no line.
    pub column: usize,
    /// The key, such as `doors.open.sequence[1]`; empty if the finding belongs to the file.
    pub key: String,
    /// Error or warning.
    pub severity: Severity,
    /// What is wrong.
    pub message: String,
    /// The remedy.
    pub help: Option<String>,
    /// The place in the text.
    pub excerpt: Option<Excerpt>,
    /// How many findings this is: 1, or all those of a kind that are not listed.
    pub stands_for: usize,
}

/// A line of the file and how much of it is meant.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Excerpt {
    /// The line, without its end.
    pub line: String,
    /// Characters to mark, from the finding's column on.
    pub width: usize,
}

impl Diagnostic {
    /// A finding that belongs to no line of `file`; `key` is empty if it belongs to the file as a whole.
    pub(crate) fn of_file(
        file: impl Into<String>,
        key: impl Into<String>,
        severity: Severity,
        message: impl Into<String>,
    ) -> Self {
        Self {
            file: file.into(),
            line: 0,
            column: 0,
            key: key.into(),
            severity,
            message: message.into(),
            help: None,
            excerpt: None,
            stands_for: 1,
        }
    }

    /// The same with a remedy.
    pub(crate) fn with_help(self, help: impl Into<String>) -> Self {
        Self { help: Some(help.into()), ..self }
    }

    /// True if the config is refused because of this.
    #[must_use]
    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.file)?;
        if self.line > 0 {
            write!(f, "{}:{}:", self.line, self.column)?;
        }
        write!(f, " {}:", self.severity)?;
        if !self.key.is_empty() {
            write!(f, " {}:", self.key)?;
        }
        write!(f, " {}", self.message)?;
        if let (true, Some(excerpt)) = (f.alternate(), &self.excerpt) {
            let number = self.line.to_string();
            let indent = self.column.saturating_sub(1);
            write!(f, "\n  {number} | {}", excerpt.line)?;
            write!(f, "\n  {:gutter$} | {:indent$}{}", "", "", "^".repeat(excerpt.width), gutter = number.len())?;
        }
        if let Some(help) = &self.help {
            write!(f, "\n  help: {help}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Diagnostic {}

#[cfg(test)]
mod tests {
    use super::*;

    fn finding() -> Diagnostic {
        Diagnostic {
            file: "knock.toml".into(),
            line: 12,
            column: 13,
            key: "doors.open.sequence[0]".into(),
            severity: Severity::Error,
            message: "port 0 cannot be knocked".into(),
            help: Some("choose a port from 1 to 65535".into()),
            excerpt: Some(Excerpt { line: "sequence = [0, 1]".into(), width: 1 }),
            stands_for: 1,
        }
    }

    #[test]
    fn one_line_and_a_remedy() {
        assert_eq!(
            finding().to_string(),
            "knock.toml:12:13: error: doors.open.sequence[0]: port 0 cannot be knocked\n  help: choose a port from 1 to 65535"
        );
    }

    #[test]
    fn the_long_form_marks_the_place() {
        let text = format!("{:#}", finding());
        assert!(text.contains("\n  12 | sequence = [0, 1]\n     |             ^\n  help: "), "{text}");
    }

    #[test]
    fn a_finding_without_a_place_names_the_file() {
        let finding = |key| Diagnostic::of_file("knock.toml", key, Severity::Error, "it is empty");
        assert_eq!(finding("").to_string(), "knock.toml: error: it is empty");
        let finding = finding("options").with_help("fill it");
        assert_eq!(format!("{finding:#}"), "knock.toml: error: options: it is empty\n  help: fill it");
        assert_eq!(finding.stands_for, 1);
    }
}
