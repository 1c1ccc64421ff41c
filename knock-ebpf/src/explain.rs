//! Frames that `knockctl explain` sends through `BPF_PROG_TEST_RUN`: they bring a sign along that no frame from a wire has.

use knock_common::abi::counter::Counter;
use knock_common::packet::frame::Frame as _;

use crate::frame::Linear;
use crate::hook::Hook;

/// True if the frame asks what decides on it.
#[inline(always)]
pub fn asks<H: Hook>(hook: H) -> bool {
    // Unknown to the verifier, so that it does not follow everything twice.
    Linear::<H>::forget(u32::from(hook.question().is_some())) != 0
}

/// Writes the answer behind the question.
#[inline(always)]
pub fn answer<H: Hook>(hook: H, counter: Counter) {
    if let Some(place) = hook.question() {
        // SAFETY: four octets behind the question are the answer's, by the contract of `Hook`.
        unsafe { place.add(1).write(counter as u32 + 1) };
    }
}
