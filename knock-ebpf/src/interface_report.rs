//! What the daemon has told of the interface on which a frame came.

use knock_common::abi::layout::InterfaceReport;

use crate::hook::Hook;
use crate::maps;

/// What it has told; nothing of an interface that needs no word. To be used while this frame is judged.
#[inline(always)]
pub fn of<'a, H: Hook>(hook: H) -> Option<&'a InterfaceReport> {
    // SAFETY: octets and a word that are only read. What the loader removes or replaces stays memory of the table, which
    // the kernel may give to another key; the loader waits for readers before it writes others there.
    unsafe { maps::INTERFACES.get(hook.interface()) }
}

/// To which interface a link-local source of the frame belongs. Not inlined, so that it takes nothing of the stack of
/// those who ask.
#[inline(never)]
pub fn scope<H: Hook>(hook: H) -> u32 {
    match of(hook) {
        Some(report) if report.scope != 0 => report.scope,
        _ => hook.interface(),
    }
}
