//! What the gate says of a frame.

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
