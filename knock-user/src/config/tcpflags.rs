//! The `tcpflags` of a door.

use knock_common::packet::flags::{FlagTest, TcpFlags};

use super::report::Report;
use super::suggest;
use super::value::Item;

/// The default: a request for a connection.
pub(super) const REQUEST: FlagTest = FlagTest::SYN;

/// Reads a list of names, with `!` before those that must be clear.
///
/// `syn` without a word on `ack` means a request for a connection, SYN without ACK: an answer is no knock.
pub(super) fn read(item: &Item<'_>, report: &Report<'_>) -> Option<FlagTest> {
    let mut test = FlagTest { set: 0, clear: 0 };
    let mut sound = true;
    for item in item.list(report)? {
        let Some(text) = item.string(report) else {
            sound = false;
            continue;
        };
        let name = text.trim().to_ascii_lowercase();
        let (name, negated) = name.strip_prefix('!').map_or((name.as_str(), false), |name| (name.trim(), true));
        let Some(bit) = bit_of(name) else {
            item.error(report, format!("unknown flag \"{}\"", text.escape_debug()), help(name));
            sound = false;
            continue;
        };
        let (here, there) = if negated { (&mut test.clear, test.set) } else { (&mut test.set, test.clear) };
        *here |= bit;
        if there & bit != 0 {
            item.error(report, format!("{name} and !{name} contradict each other"), "remove one of them");
            sound = false;
        }
    }
    if test.set & TcpFlags::SYN != 0 && test.set & TcpFlags::ACK == 0 {
        test.clear |= TcpFlags::ACK;
    }
    sound.then_some(test)
}

/// True if no segment of a live connection can be such a knock.
pub(super) fn only_opens(test: FlagTest) -> bool {
    (0..=u8::MAX).map(TcpFlags).all(|flags| flags.opens() || !test.accepts(flags))
}

/// True if one segment can satisfy both.
pub(super) const fn overlap(one: FlagTest, other: FlagTest) -> bool {
    one.set & other.clear == 0 && one.clear & other.set == 0
}

fn bit_of(name: &str) -> Option<u8> {
    TcpFlags::NAMES.iter().find(|(known, _)| *known == name).map(|&(_, bit)| bit)
}

fn help(name: &str) -> String {
    let known = TcpFlags::NAMES.map(|(known, _)| known);
    match suggest::nearest(name, &known) {
        Some(near) => format!("did you mean {near}?"),
        None => format!("known: {}; with ! for a flag that must not be set", known.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_requests_cannot_be_taken_for_a_connection() {
        assert!(only_opens(REQUEST));
        assert!(!only_opens(FlagTest { set: TcpFlags::SYN, clear: 0 }));
        assert!(!only_opens(FlagTest { set: TcpFlags::FIN, clear: 0 }));
        assert!(only_opens(FlagTest { set: TcpFlags::FIN, clear: TcpFlags::SYN | TcpFlags::ACK | TcpFlags::RST }));
        assert!(!only_opens(FlagTest { set: 0, clear: 0 }));
    }

    #[test]
    fn tests_overlap_unless_a_bit_parts_them() {
        assert!(overlap(REQUEST, FlagTest { set: TcpFlags::URG, clear: 0 }));
        assert!(!overlap(REQUEST, FlagTest { set: TcpFlags::ACK, clear: 0 }));
    }
}
