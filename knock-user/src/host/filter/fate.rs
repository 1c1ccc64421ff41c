//! What is said of a packet that was led through packet filters.

use super::model::RuleLocation;

/// What becomes of a packet.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Fate {
    /// It passes all filters.
    Passes,
    /// It ends here.
    Dropped {
        /// Where.
        place: RuleLocation,
        /// Its sender is told.
        is_answered: bool,
        /// Not the packet itself ends there, but the answer to it.
        is_reply: bool,
    },
    /// It passes or not, by what the packet leaves open: who sends it, mostly.
    Depends(String),
    /// Not everything was understood.
    Unknown(String),
}

impl Fate {
    /// In a few words that go on from "if so,".
    #[must_use]
    pub fn in_words(&self) -> String {
        match self {
            Self::Passes => "it passes".to_owned(),
            Self::Dropped { place, is_answered, is_reply } => {
                let verb = if *is_answered { "rejects" } else { "drops" };
                format!("{place}, {verb} {}", if *is_reply { "the answer to it" } else { "it" })
            }
            Self::Depends(why) | Self::Unknown(why) => format!("it cannot be told: {why}"),
        }
    }

    /// What is said of a packet of a connection if nobody knows which of the two is so: this one for a new connection, or the
    /// other for one that connection tracking knows.
    #[must_use]
    pub fn or(self, known: Self) -> Self {
        match (self, known) {
            (new, known) if new == known => new,
            (Self::Unknown(why) | Self::Depends(why), _) | (_, Self::Unknown(why) | Self::Depends(why)) => {
                Self::Unknown(why)
            }
            (new, known) => Self::Unknown(format!(
                "it depends on whether connection tracking knows its connection: if so, {}; if not, {}",
                known.in_words(),
                new.in_words()
            )),
        }
    }
}
