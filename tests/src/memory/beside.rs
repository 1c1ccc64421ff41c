//! Another gate beside the one in memory.

use std::fmt;

use knock_common::gate::Verdict;

use super::Memory;

/// Is told of everything that happens to a [`Memory`], and panics if it would have done otherwise.
pub trait Beside: fmt::Debug + Send {
    /// Before a frame: takes over what a test has changed.
    fn before(&mut self, memory: &Memory);
    /// After it: does the same, and holds itself against what has become of `memory`.
    fn after(&mut self, memory: &Memory, frame: &[u8], verdict: Verdict);
}
