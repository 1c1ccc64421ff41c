//! A TOML file: its octets, its text, and what the parser says of it.

use std::collections::HashSet;
use std::fs::File;
use std::io::{self, Read as _};

use super::diagnostic::Diagnostic;
use super::report::Report;

/// Octets of a file; a device or a log named by mistake is larger.
pub(crate) const MAX_FILE: u64 = 1 << 20;

/// Reads a file that is not too large to be one of ours.
pub(crate) fn read(file: File) -> io::Result<Vec<u8>> {
    let mut octets = Vec::new();
    file.take(MAX_FILE + 1).read_to_end(&mut octets)?;
    if octets.len() as u64 > MAX_FILE {
        return Err(io::ErrorKind::FileTooLarge.into());
    }
    Ok(octets)
}

/// The text of a file, or what is to be said of it if it has none.
pub(crate) fn text<'o>(octets: &'o [u8], file: &str) -> Result<&'o str, Vec<Diagnostic>> {
    str::from_utf8(octets).map_err(|error| {
        let good = str::from_utf8(&octets[..error.valid_up_to()]).unwrap_or_default();
        let report = Report::new(file, good);
        report.error(&(good.len()..good.len()), "", "not UTF-8 from here on", "save the file as UTF-8");
        report.into_findings()
    })
}

/// After a slip the parser often stumbles again on the same line: the first stumble is the slip.
pub(crate) fn report_syntax(errors: &[toml::de::Error], report: &Report<'_>) {
    let mut lines = HashSet::new();
    for error in errors {
        super::work::note();
        let span = error.span().unwrap_or(0..0);
        let line = report.line_of(&span);
        if lines.insert(line) {
            let message = error.message().replace('\n', ", ");
            report.error(&span, "", message, "this is TOML: key = value, texts in \"quotes\", lists in [brackets]");
        }
    }
}
