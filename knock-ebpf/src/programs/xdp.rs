//! The gate for interfaces whose frames begin with an Ethernet header.

use aya_ebpf::macros::xdp;
use aya_ebpf::programs::XdpContext;
use knock_common::gate::pipeline;

use super::action::{ETHERNET, FRAGS, Gate, LINEAR};

/// For kernels that hand over multi-buffer frames (5.18).
#[expect(clippy::needless_pass_by_value, reason = "the macro calls it so")]
#[xdp(frags)]
fn knock_gate(ctx: XdpContext) -> u32 {
    pipeline::run(&Gate::<_, ETHERNET, FRAGS>::new(&ctx))
}

/// For older kernels, whose frames are always linear.
#[expect(clippy::needless_pass_by_value, reason = "the macro calls it so")]
#[xdp]
fn knock_linear(ctx: XdpContext) -> u32 {
    pipeline::run(&Gate::<_, ETHERNET, LINEAR>::new(&ctx))
}
