//! Frames that `knockctl explain` sends through `BPF_PROG_TEST_RUN`: they bring metadata along
//! (`struct xdp_md`, `data_meta`), which no frame from a wire does.

use aya_ebpf::programs::XdpContext;
use knock_common::counter::Counter;
use knock_common::frame::Frame as _;
use knock_common::layout::QUESTION;

use crate::frame::Linear;

/// True if the frame asks what decides on it.
#[inline(always)]
pub fn asks(ctx: &XdpContext) -> bool {
    // Unknown to the verifier, so that it does not follow everything twice.
    Linear::forget(u32::from(place(ctx).is_some())) != 0
}

/// Writes the answer behind the question.
#[inline(always)]
pub fn answer(ctx: &XdpContext, counter: Counter) {
    if let Some(place) = place(ctx) {
        // SAFETY: `place` has checked that eight octets of metadata are there.
        unsafe { place.add(1).write(counter as u32 + 1) };
    }
}

/// The metadata, if it is the question.
#[inline(always)]
fn place(ctx: &XdpContext) -> Option<*mut u32> {
    let (begin, end) = (ctx.metadata(), ctx.data());
    if begin + 8 > end {
        return None;
    }
    let place = begin as *mut u32;
    // SAFETY: eight octets of metadata are there, as the verifier sees as well.
    (unsafe { place.read() } == QUESTION).then_some(place)
}
