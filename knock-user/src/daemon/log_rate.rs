//! How many lines of each kind the log gets in a second, and how many more there would have been. Whoever can make
//! the kernel tell of something, with forged knocks for one, shall not fill a disk with it, nor keep the daemon busy.
//!
//! Each kind counts on its own, so that a flood of wrong knocks does not hide who got in.

use std::time::Duration;

use knock_common::abi::event::Kind;
use tokio::time::Instant;

/// The time in which the rate counts.
const SECOND: Duration = Duration::from_secs(1);

/// What a line is about.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LineKind {
    /// An event of the kernel's.
    Kernel(Kind),
    /// An attempt that ran out.
    Timeout,
    /// A grant that ended.
    Expired,
}

/// Names, as in the records, by [`LineKind::slot`].
const NAMES: [&str; 17] = [
    "",
    "stage",
    "opened",
    "extended",
    "closed",
    "wrong",
    "denied",
    "refused",
    "spent",
    "elsewhere",
    "clock",
    "early",
    "mode",
    "outlived",
    "unlisted",
    "timeout",
    "expired",
];

impl LineKind {
    const fn slot(self) -> usize {
        match self {
            Self::Kernel(kind) => kind as usize,
            Self::Timeout => NAMES.len() - 2,
            Self::Expired => NAMES.len() - 1,
        }
    }
}

/// The limit, and what it left out.
pub struct LogRate {
    rate: u32,
    /// Lines since the last renewal, by slot.
    lines: [u32; NAMES.len()],
    /// When the next second begins; `None` while there was no line in this one.
    pub renewal: Option<Instant>,
}

impl LogRate {
    /// So many a second of each kind.
    pub const fn new(rate: u32) -> Self {
        Self { rate, lines: [0; NAMES.len()], renewal: None }
    }

    /// Goes on with another limit.
    pub const fn set_rate(&mut self, rate: u32) {
        self.rate = rate;
    }

    /// True if the log shall have this line.
    pub fn admit(&mut self, line: LineKind) -> bool {
        self.renewal.get_or_insert_with(|| Instant::now() + SECOND);
        let lines = &mut self.lines[line.slot()];
        *lines = lines.saturating_add(1);
        *lines <= self.rate
    }

    /// Begins the next second. Returns how many lines were left out of the last one, by the names of the records.
    pub fn renew(&mut self) -> Vec<(&'static str, u32)> {
        self.renewal = None;
        let lines = std::mem::replace(&mut self.lines, [0; NAMES.len()]);
        let left = NAMES.iter().zip(lines).map(|(name, lines)| (*name, lines.saturating_sub(self.rate)));
        left.filter(|(_, left)| *left > 0).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_has_its_own_share_and_the_rest_is_counted() {
        let mut log_rate = LogRate::new(3);
        let wrong = (0..10).filter(|_| log_rate.admit(LineKind::Kernel(Kind::Wrong))).count();
        assert_eq!(wrong, 3);
        assert!(
            log_rate.admit(LineKind::Kernel(Kind::Opened))
                && log_rate.admit(LineKind::Timeout)
                && log_rate.admit(LineKind::Expired)
        );
        assert!(log_rate.renewal.is_some());
        assert_eq!(log_rate.renew(), [("wrong", 7)]);
        assert_eq!(log_rate.renewal, None);
        assert!(log_rate.admit(LineKind::Kernel(Kind::Wrong)));
        assert_eq!(log_rate.renew(), []);
    }

    #[test]
    fn every_line_has_its_name() {
        for number in 1..=14 {
            let kind = Kind::from_number(number).unwrap();
            assert_eq!(NAMES[LineKind::Kernel(kind).slot()], format!("{kind:?}").to_lowercase());
        }
        assert_eq!([LineKind::Timeout, LineKind::Expired].map(|line| NAMES[line.slot()]), ["timeout", "expired"]);
    }
}
