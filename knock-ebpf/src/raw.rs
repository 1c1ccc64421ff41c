//! The gate for interfaces whose frames begin with the IP header: tun, PPP, WireGuard, tunnels of IP in
//! IP. Programs of their own, which the loader loads only where there is such an interface.

use aya_ebpf::macros::xdp;
use aya_ebpf::programs::XdpContext;
use knock_common::gate;
use knock_common::packet::{self, Other, Packet};

use crate::frame::{Copied, Linear};
use crate::kernel::Kernel;
use crate::{action, desk, linear_action};

/// For kernels that hand over multi-buffer frames (5.18).
#[expect(clippy::needless_pass_by_value, reason = "the macro calls it so")]
#[xdp(frags)]
fn knock_raw(ctx: XdpContext) -> u32 {
    let world = Kernel::new(&ctx);
    let frame = Linear::new(&ctx);
    let mut packet = Packet::BLANK;
    let in_one = match desk::take(read(&ctx), &mut packet) {
        Ok(()) => true,
        // What the first buffer does not hold may lie in the next.
        Err(Other::Malformed | Other::TinyFragment) => match desk::take(read_scattered(&ctx), &mut packet) {
            Ok(()) => false,
            Err(other) => return action(&ctx, gate::judge_other(&world, other)),
        },
        Err(other) => return action(&ctx, gate::judge_other(&world, other)),
    };
    action(&ctx, gate::judge_packet(&world, &frame, &mut packet, in_one))
}

/// For older kernels, whose frames are always linear.
#[expect(clippy::needless_pass_by_value, reason = "the macro calls it so")]
#[xdp]
fn knock_raw_linear(ctx: XdpContext) -> u32 {
    let world = Kernel::new(&ctx);
    let frame = Linear::new(&ctx);
    let mut packet = Packet::BLANK;
    match desk::take(read(&ctx), &mut packet) {
        Ok(()) => linear_action(&ctx, gate::judge_packet(&world, &frame, &mut packet, true)),
        Err(other) => linear_action(&ctx, gate::judge_other(&world, other)),
    }
}

/// As `read` for Ethernet.
#[inline(never)]
fn read(ctx: &XdpContext) -> u32 {
    desk::say(match desk::blank() {
        Some(packet) => packet::parse_ip(&Linear::new(ctx), packet),
        None => Err(Other::Malformed),
    })
}

/// As `read_scattered` for Ethernet.
#[inline(never)]
fn read_scattered(ctx: &XdpContext) -> u32 {
    let Some(frame) = Copied::new(ctx) else { return desk::say(Err(Other::Malformed)) };
    let Some(packet) = desk::blank() else { return desk::say(Err(Other::Malformed)) };
    desk::say(packet::parse_ip(&frame, packet))
}
