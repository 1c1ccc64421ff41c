//! Names of services and doors.

use knock_common::abi::rules::{MAX_NAME, Name};

use super::report::Report;
use super::value::Entry;

/// The name of a section. Log lines and `status` put it between colons and blanks, so it holds none.
pub(super) fn read(entry: &Entry<'_>, report: &Report<'_>) -> Option<Name> {
    let refuse = |message: String, help: &str| {
        report.error(&entry.name_span, &entry.item.key, message, help);
        None
    };
    if entry.name.contains(|c: char| c == ':' || c.is_whitespace() || c.is_control()) {
        return refuse(
            "a name with a blank, a colon or a control character".to_owned(),
            "use letters, digits, - and _",
        );
    }
    if entry.name.is_empty() {
        return refuse("an empty name".to_owned(), "give it a name of letters, digits, - and _");
    }
    let name = Name::new(entry.name);
    if name.is_none() {
        let message = format!("a name of {} octets, more than {MAX_NAME}", entry.name.len());
        return refuse(message, "choose a shorter name");
    }
    name
}
