//! What the gate says of a frame.

use crate::abi::counter::Counter;
use crate::gate::env::Env;

/// What becomes of the frame.
#[must_use]
#[repr(u32)]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// On to the network stack, untouched.
    Pass,
    /// Denied, without a word.
    Deny,
    /// Denied, and answered as a closed port would (rule 12).
    Reject,
}

/// Counts a verdict, or gives it as the explanation that is asked for; true if that was all.
#[inline(always)]
pub(super) fn decide<E: Env>(env: &E, counter: Counter) -> bool {
    if env.asks() {
        env.explain(counter);
        return true;
    }
    env.count(counter);
    false
}
