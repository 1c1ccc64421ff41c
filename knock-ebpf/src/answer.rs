//! The answer to a denied packet, sent back where the packet came from.

use aya_ebpf::helpers::bpf_get_prandom_u32;
use knock_common::gate::reject::answer::{self, Sender};
use knock_common::packet::Packet;
use knock_common::packet::frame::FrameMut as _;

use crate::frame::Linear;
use crate::hook::Hook;
use crate::{globals, interface_report, maps, scratch};

/// Turns the frame into the answer to the packet in scratch memory, and sends it. What cannot be answered
/// is dropped.
///
/// So is a packet whose padding lies in a second buffer: the kernel takes buffers away from the end, while an answer
/// ends in the first; and generic XDP, up to Linux 6.18 at least, would then send octets that are not of this frame
/// (`bpf_prog_run_generic_xdp` leaves in `skb->len` what was taken away with a buffer).
#[inline(never)]
pub fn send<H: Hook>(hook: H) -> u32 {
    let frame = Linear::new(hook);
    if frame.is_all() { write(hook, frame) } else { H::DROP }
}

/// [`send`] for frames of one buffer.
#[inline(never)]
pub fn send_linear<H: Hook>(hook: H) -> u32 {
    write(hook, Linear::new(hook))
}

#[inline(always)]
fn write<H: Hook>(hook: H, mut frame: Linear<H>) -> u32 {
    // By reference: of an `Option` of a whole packet the compiler also spills what is not there, which
    // the verifier takes for a use.
    let Some(packet) = scratch::look() else { return H::DROP };
    let Some(report) = interface_report::of(hook) else { return H::DROP };
    let Some(sheet) = maps::SHEET.get_ptr_mut(0) else { return H::DROP };
    // SAFETY: this CPU's own value, which nobody else touches before the verdict (see `maps`).
    let sheet = unsafe { &mut *sheet };
    // SAFETY: takes nothing, and returns a number.
    let id = unsafe { bpf_get_prandom_u32() } as u16;
    let sender = Sender { ttl: report.ttl, hop_limit: report.hop_limit, id, key: globals::reject() };
    if answer::write(&mut frame, packet, &sender, sheet) && (packet.ip != 0 || name_protocol(&mut frame, packet)) {
        hook.send_back()
    } else {
        H::DROP
    }
}

/// Says what protocol a frame without a link header is of. Generic XDP reads that anew, from an Ethernet header
/// right before the frame, if what it takes for one has changed in the frame (`bpf_prog_run_generic_xdp`); tunnels
/// send nothing whose protocol they do not know.
#[inline(always)]
fn name_protocol<H: Hook>(frame: &mut Linear<H>, packet: &Packet) -> bool {
    const HEADER: i32 = 14;
    let protocol = if packet.src.is_v4() { [0x08, 0x00] } else { [0x86, 0xdd] };
    // A device without link headers has a MAC of zeroes: to it.
    frame.move_begin(-HEADER)
        && frame.put(0, &[0; 12]).is_some()
        && frame.put(12, &protocol).is_some()
        && frame.move_begin(HEADER)
}
