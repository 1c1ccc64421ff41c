//! What people write into a knockd.conf as they do into other files, and knockd does not know: remarks behind a value, and
//! lines that go on in the next one.

use super::file::{Refusal, Says, Section};
use super::remark::Remark;

const NO_REMARKS: &str = "knockd knows no remark behind a value: the # and what follows are a part of it";
const NO_JOINING: &str = "knockd joins no lines: the backslash is a part of this one, and the next stands for itself";

/// True if a line ends as if it went on in the next one.
pub fn continues(line: &[u8]) -> bool {
    line.ends_with(b"\\") && !line.starts_with(b"#")
}

/// True if there is a `#` behind a blank.
fn has_remark(text: &[u8]) -> bool {
    text.windows(2).any(|pair| pair[0].is_ascii_whitespace() && pair[1] == b'#')
}

/// Says of a section's lines what knockd makes of such. A shell knows remarks, so they stand well behind a command.
pub fn remarks(section: &Section) -> Vec<Remark> {
    let mut remarks = Vec::new();
    for (index, entry) in section.entries.iter().enumerate() {
        let mut say = |text: &str| remarks.push(Remark { entry: Some(index), text: text.to_owned(), look: true });
        let is_command = matches!(entry.says, Says::Start(_) | Says::Start6(_) | Says::Stop(_) | Says::Stop6(_));
        if entry.says == Says::Comment {
            continue;
        }
        if !is_command && has_remark(entry.text.as_bytes()) {
            say(NO_REMARKS);
        }
        if continues(entry.text.as_bytes()) {
            say(NO_JOINING);
        }
    }
    remarks
}

/// Adds to a refusal what the line was most likely meant to be. `before`: the number of the line before it, if that ends
/// in a backslash.
pub fn explain(mut refusal: Refusal, line: &[u8], before: Option<usize>) -> Refusal {
    if let Some(before) = before {
        refusal.help = format!("knockd joins no lines: write that of line {before} and this on one line");
    } else if has_remark(line) {
        refusal.help = format!("{NO_REMARKS}; put it on a line of its own");
    }
    refusal
}
