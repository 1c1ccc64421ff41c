//! When a scan is made, and by whom.

use crate::lab::Host;

/// When a scan is made.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Moment {
    /// Before the client has knocked.
    Before,
    /// After it has. Both the client and the stranger scan then.
    After,
}

impl Moment {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Before, Self::After];

    /// In a word.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Before => "before",
            Self::After => "after",
        }
    }

    /// Who scans, the client first.
    pub(super) const fn sources(self) -> &'static [Host] {
        match self {
            Self::Before => &[Host::Client],
            Self::After => &[Host::Client, Host::Stranger],
        }
    }

    /// True if a host holds a grant then.
    pub(super) const fn grants(self, host: Host) -> bool {
        matches!((self, host), (Self::After, Host::Client))
    }
}
