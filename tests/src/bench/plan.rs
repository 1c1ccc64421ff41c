//! What is to be measured, and how often.

use super::peers::Kind;
use super::sheet::Commit;

/// What is to be measured, and how long it may take.
#[derive(Clone, Copy, Debug)]
pub struct Plan<'a> {
    /// Fewer and smaller rounds: under ten minutes in all.
    pub quick: bool,
    /// Only the sections with this text in their name.
    pub only: Option<&'a str>,
    /// What is measured beside it.
    pub beside: Option<&'a Commit>,
}

impl Plan<'_> {
    /// The number of rounds, or of runs in each, for a full and for a quick bench.
    #[must_use]
    pub const fn choose(&self, full: usize, quick: usize) -> usize {
        if self.quick { quick } else { full }
    }

    /// The rounds of anything that is cheap to measure: never fewer than seven.
    #[must_use]
    pub const fn rounds(&self) -> usize {
        self.choose(15, 7)
    }

    /// Those that are ours: another commit and the control are among them if one is measured beside.
    #[must_use]
    pub(super) const fn ours(&self) -> &'static [Kind] {
        const OURS: [Kind; 3] = [Kind::Own, Kind::Before, Kind::Control];
        if self.beside.is_some() { &OURS } else { &[Kind::Own] }
    }

    /// Ours, and these peers.
    #[must_use]
    pub(super) fn ours_and(&self, peers: &[Kind]) -> Vec<Kind> {
        [self.ours(), peers].concat()
    }
}
