//! What every program gives to the pipeline: how it reads, and a table from verdict to XDP action.

use aya_ebpf::bindings::xdp_action;
use aya_ebpf::programs::XdpContext;
use knock_common::gate::Verdict;
use knock_common::gate::pipeline::Program;
use knock_common::packet::link::Link;
use knock_common::packet::{Other, Packet};

use crate::frame::{Copied, Linear};
use crate::kernel::Kernel;
use crate::{answer, desk};

/// An XDP program with a frame before it: whether its frames begin with an Ethernet header, and whether they may have
/// several buffers.
pub struct Xdp<'a, const ETHERNET: bool, const HAS_BUFFERS: bool> {
    ctx: &'a XdpContext,
    world: Kernel<'a>,
    frame: Linear<'a>,
}

impl<'a, const ETHERNET: bool, const HAS_BUFFERS: bool> Xdp<'a, ETHERNET, HAS_BUFFERS> {
    #[inline(always)]
    pub fn new(ctx: &'a XdpContext) -> Self {
        Self { ctx, world: Kernel::new(ctx), frame: Linear::new(ctx) }
    }
}

impl<'a, const ETHERNET: bool, const HAS_BUFFERS: bool> Program for Xdp<'a, ETHERNET, HAS_BUFFERS> {
    type World = Kernel<'a>;
    type Frame = Linear<'a>;
    type Action = u32;

    const LINK: Link = link(ETHERNET);
    const HAS_BUFFERS: bool = HAS_BUFFERS;

    #[inline(always)]
    fn world(&self) -> &Kernel<'a> {
        &self.world
    }

    #[inline(always)]
    fn frame(&self) -> &Linear<'a> {
        &self.frame
    }

    #[inline(always)]
    fn read(&self, packet: &mut Packet) -> Result<(), Other> {
        desk::take(read::<ETHERNET>(self.ctx), packet)
    }

    #[inline(always)]
    fn read_across(&self, packet: &mut Packet) -> Result<(), Other> {
        desk::take(read_across::<ETHERNET>(self.ctx), packet)
    }

    #[inline(always)]
    fn trace(&self, verdict: Verdict) {
        aya_log_ebpf::trace!(self.ctx, "verdict {}", verdict as u32);
    }

    #[inline(always)]
    fn pass(&self) -> u32 {
        xdp_action::XDP_PASS
    }

    #[inline(always)]
    fn drop(&self) -> u32 {
        xdp_action::XDP_DROP
    }

    #[inline(always)]
    fn answer(&self) -> u32 {
        if HAS_BUFFERS { answer::send(self.ctx) } else { answer::send_linear(self.ctx) }
    }
}

const fn link(is_ethernet: bool) -> Link {
    if is_ethernet { Link::Ethernet } else { Link::Ip }
}

/// Reads the headers from the first buffer and leaves the packet on the desk. Returns what [`desk::take`] takes.
///
/// What that takes of the stack is free again when the judging begins: a BPF call chain has 512 octets of it, and the long
/// paths take most of them.
#[inline(never)]
fn read<const ETHERNET: bool>(ctx: &XdpContext) -> u32 {
    desk::say(match desk::blank() {
        Some(packet) => link(ETHERNET).parse(&Linear::new(ctx), packet),
        None => Err(Other::Malformed),
    })
}

/// As [`read`], across buffers. The packet is made on the desk, since the copy takes much of the stack as well.
#[inline(never)]
fn read_across<const ETHERNET: bool>(ctx: &XdpContext) -> u32 {
    let Some(frame) = Copied::new(ctx) else { return desk::say(Err(Other::Malformed)) };
    let Some(packet) = desk::blank() else { return desk::say(Err(Other::Malformed)) };
    desk::say(link(ETHERNET).parse(&frame, packet))
}
