//! A figure: what was measured, of the gate and of its peers in the same rounds.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// One line of the table, one element of `figures` in the JSON.
#[derive(Clone, PartialEq, Serialize, Deserialize, Debug)]
pub struct Figure {
    /// What it is of, in words with dots between them; `docs/PERFORMANCE.md` has them all.
    pub id: String,
    /// What `value`, `spread` and `peers` count.
    pub unit: Cow<'static, str>,
    /// The gate's median over the rounds.
    pub value: f64,
    /// The least and the most of the gate's rounds.
    pub spread: [f64; 2],
    /// The peers' medians, by name.
    pub peers: BTreeMap<Cow<'static, str>, f64>,
    /// The gate against each peer: the median of the quotients within one round.
    pub ratio: BTreeMap<Cow<'static, str>, f64>,
    /// The gate against that of another commit, if one was measured in enough of the same rounds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub beside: Option<Beside>,
    /// What has to be known to read it.
    pub note: String,
}

/// The gate against that of another commit, and against itself: the control is the same gate once more.
#[derive(Clone, Copy, PartialEq, Serialize, Deserialize, Debug)]
pub struct Beside {
    /// The gate against the other commit's: the median of the quotients within one round.
    pub ratio: f64,
    /// The same of the control.
    pub control_ratio: f64,
    /// The least and the most of the gate against the control: noise.
    pub control: [f64; 2],
}

impl Figure {
    /// Says what has to be known to read it.
    #[must_use]
    pub fn note(mut self, note: impl Into<String>) -> Self {
        self.note = note.into();
        self
    }
}

/// Octets as MiB.
#[must_use]
pub fn mib(octets: u64) -> f64 {
    octets as f64 / f64::from(1 << 20)
}
