//! Sequences that everybody can read: those of this project's documents, and of knockd's.

use super::Severity;
use super::model::{Config, Door};
use crate::syntax::Diagnostic;

/// Where they stand, and their ports. Who tries them tries every order, and TCP and UDP.
const PUBLISHED: [(&str, &[u16]); 12] = [
    ("knockd's own config", &[7000, 8000, 9000]),
    ("knockd's own config", &[12345, 54321, 24680, 13579]),
    ("knockd's manual", &[2222, 3333, 4444]),
    ("the manual of knockd's client", &[123, 456, 789]),
    (OURS, &[38211, 9407, 52630, 17944]),
    (OURS, &[38211, 9407, 52630]),
    (OURS, &[17950, 52600, 9400]),
    (OURS, &[41002, 11873, 30551]),
    (OURS, &[21973, 40127, 33518]),
    (OURS, &[17203, 45110, 8842]),
    (OURS, &[60921, 2077, 31900]),
    (OURS, &[7000, 8000]),
];
const OURS: &str = "this program's own documents";

/// Doors that everybody can open, with how bad that is to be taken for. No finding repeats a port.
#[must_use]
pub fn remarks(config: &Config, severity: Severity) -> Vec<Diagnostic> {
    let remark = |door: &Door| {
        // What is good for one time was never good for everybody.
        let place = place_of(door).filter(|_| door.one_time.is_none())?;
        let message = format!("EVERYBODY KNOWS THIS SEQUENCE: its ports stand in {place}");
        let key = format!("doors.{}.sequence", door.name.as_str());
        let finding = Diagnostic::of_file(config.path.display().to_string(), key, severity, message);
        Some(finding.with_help("choose your own: `knockctl sequence` makes one at random"))
    };
    config.doors.iter().filter_map(remark).collect()
}

/// Where the ports of a door stand for everybody to read.
fn place_of(door: &Door) -> Option<&'static str> {
    let mut ports: Vec<u16> = door.sequence.iter().map(|step| step.number).collect();
    is_published(&mut ports)
}

/// The same of ports in any order, which are put into order.
pub(crate) fn is_published(ports: &mut [u16]) -> Option<&'static str> {
    ports.sort_unstable();
    let is_it = |known: &[u16]| {
        let mut known = known.to_vec();
        known.sort_unstable();
        known == ports
    };
    PUBLISHED.iter().find(|(_, known)| is_it(known)).map(|(place, _)| *place)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(sequence: &str, severity: Severity) -> Vec<String> {
        let text = format!(
            "[options]\ninterfaces = [\"eth0\"]\n[services.s]\nports = [22]\n[doors.d]\nservice = \"s\"\nsequence = {sequence}\n"
        );
        let config = Config::parse(&text, "k.toml").unwrap_or_else(|error| panic!("{error}")).0;
        remarks(&config, severity).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_published_sequence_is_known_in_every_order_and_by_every_transport() {
        let text = "k.toml: error: doors.d.sequence: EVERYBODY KNOWS THIS SEQUENCE: its ports stand in knockd's own config\n  \
                    help: choose your own: `knockctl sequence` makes one at random";
        for sequence in ["[7000, 8000, 9000]", "[\"9000/udp\", 7000, \"8000/udp\"]"] {
            assert_eq!(said(sequence, Severity::Error), [text], "{sequence}");
            assert_eq!(said(sequence, Severity::Warning), [text.replace("error", "warning")]);
        }
        for own in ["[7000, 8000, 9001]", "[7000, 8000, 9000, 7001]", "[7000, 7000, 8000, 9000]"] {
            assert_eq!(said(own, Severity::Error), [""; 0], "{own}");
        }
    }

    /// Every list of ports in a document: what stands behind `sequence =`, or behind `knock HOST`.
    fn shown(text: &str) -> Vec<Vec<u16>> {
        let behind = |line: &str| {
            let line = line.trim_start_matches(['#', ' ', '$']);
            let rest = line
                .strip_prefix("sequence = ")
                .or_else(|| line.split_once("knockctl knock -v 192.0.2.1 ").map(|(_, rest)| rest))?;
            let numbers = rest.split(|c: char| !c.is_ascii_digit()).filter_map(|word| word.parse().ok());
            Some(numbers.collect::<Vec<u16>>()).filter(|numbers| !numbers.is_empty())
        };
        text.lines().filter_map(behind).collect()
    }

    #[test]
    fn whatever_our_documents_show_is_known_to_be_published() {
        let readme = include_str!("../../../README.md");
        let mut all = shown(readme);
        for example in [
            include_str!("../../../examples/knock.toml"),
            include_str!("../../../examples/article.toml"),
            include_str!("../../../examples/client.toml"),
        ] {
            all.extend(shown(example));
        }
        assert!(!all.is_empty());
        for ports in all {
            assert!(is_published(&mut ports.clone()).is_some(), "{ports:?} is shown, and not in the list");
        }
    }
}
