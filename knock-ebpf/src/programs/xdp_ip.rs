//! The gate for interfaces whose frames begin with the IP header: tun, PPP, WireGuard, tunnels of IP in
//! IP. Programs of their own, which the loader loads only where there is such an interface.

use aya_ebpf::macros::xdp;
use aya_ebpf::programs::XdpContext;
use knock_common::gate::pipeline;

use super::action::{FRAGS, Gate, IP, LINEAR};

/// For kernels that hand over multi-buffer frames (5.18).
#[expect(clippy::needless_pass_by_value, reason = "the macro calls it so")]
#[xdp(frags)]
fn knock_raw(ctx: XdpContext) -> u32 {
    pipeline::run(&Gate::<_, IP, FRAGS>::new(&ctx))
}

/// For older kernels, whose frames are always linear.
#[expect(clippy::needless_pass_by_value, reason = "the macro calls it so")]
#[xdp]
fn knock_raw_linear(ctx: XdpContext) -> u32 {
    pipeline::run(&Gate::<_, IP, LINEAR>::new(&ctx))
}
