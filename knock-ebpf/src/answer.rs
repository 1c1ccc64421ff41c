//! The answer to a denied packet, sent back where the packet came from.

use aya_ebpf::bindings::xdp_action;
use aya_ebpf::helpers::bpf_get_prandom_u32;
use aya_ebpf::programs::XdpContext;
use knock_common::layout::Place;
use knock_common::reject::answer::{self, Sender};

use crate::frame::Linear;
use crate::{desk, maps, settings};

/// What an answer takes from the interface of the frame.
#[inline(always)]
pub fn place(ctx: &XdpContext) -> Option<&Place> {
    let index = ctx.ingress_ifindex() as u32;
    // SAFETY: octets that are only read; the loader replaces a value as a whole, and a removed one is
    // kept for those that hold it.
    unsafe { maps::PLACES.get(index) }
}

/// Turns the frame into the answer to the packet on the desk, and sends it. What cannot be answered
/// is dropped.
#[inline(never)]
pub fn send(ctx: &XdpContext) -> u32 {
    // By reference: of an `Option` of a whole packet the compiler also spills what is not there, which
    // the verifier takes for a use.
    let Some(packet) = desk::look() else { return xdp_action::XDP_DROP };
    let Some(place) = place(ctx) else { return xdp_action::XDP_DROP };
    let Some(sheet) = maps::SHEET.get_ptr_mut(0) else { return xdp_action::XDP_DROP };
    // SAFETY: this CPU's own value; XDP programs do not interrupt one another on a CPU.
    let sheet = unsafe { &mut *sheet };
    // SAFETY: takes nothing, and returns a number.
    let id = unsafe { bpf_get_prandom_u32() } as u16;
    let sender = Sender { ttl: place.ttl, hop_limit: place.hop_limit, id, key: settings::reject() };
    if answer::write(&mut Linear::new(ctx), packet, &sender, sheet) { xdp_action::XDP_TX } else { xdp_action::XDP_DROP }
}
