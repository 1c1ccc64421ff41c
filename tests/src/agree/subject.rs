//! What every gate under test can be asked.

use knock_common::abi::flow::{FlowKey, FlowState};
use knock_common::abi::grant::{Grant, GrantKey};
use knock_common::abi::rules::SLOTS;
use knock_common::addr::Addr;
use knock_common::gate::Verdict;

use crate::model::{Nanos, Source};

/// A source of a scenario, as a gate stores it.
#[must_use]
pub fn stored(source: Source) -> Addr {
    Addr::from(source.ip).scoped(source.link)
}

/// A gate under test: the host build in memory, or the program in the kernel.
pub trait Subject {
    /// Judges a frame that comes at `now` on this interface of [`crate::links`].
    fn judge(&mut self, now: Nanos, interface: u32, frame: &[u8]) -> Verdict;
    /// The stored attempts of a source, a word each.
    fn attempts(&mut self, source: &Addr) -> [u64; SLOTS];
    /// All stored grants.
    fn grants(&mut self) -> Vec<(GrantKey, Grant)>;
    /// All stored flows.
    fn flows(&mut self) -> Vec<(FlowKey, FlowState)>;
    /// All counters, in the order of [`Counter::ALL`](knock_common::abi::counter::Counter::ALL).
    fn counters(&mut self) -> Vec<u64>;
}
