//! What the daemon has told of the interface on which a frame came.

use aya_ebpf::programs::XdpContext;
use knock_common::layout::Place;

use crate::maps;

/// What it has told; nothing of an interface that needs no word.
#[inline(always)]
pub fn place(ctx: &XdpContext) -> Option<&Place> {
    let index = ctx.ingress_ifindex() as u32;
    // SAFETY: octets and a word that are only read. What the loader removes or replaces stays memory of the table, which
    // the kernel may give to another key; the loader waits for readers before it writes others there.
    unsafe { maps::PLACES.get(index) }
}

/// To which interface a link-local source of the frame belongs. Not inlined, so that it takes nothing of the stack of
/// those who ask.
#[inline(never)]
pub fn scope(ctx: &XdpContext) -> u32 {
    match place(ctx) {
        Some(place) if place.scope != 0 => place.scope,
        _ => ctx.ingress_ifindex() as u32,
    }
}
