//! What every program gives to the pipeline: how it reads, and what it returns.

use aya_ebpf::programs::XdpContext;
use knock_common::gate::Verdict;
use knock_common::gate::pipeline::Program;
use knock_common::packet::link::Link;
use knock_common::packet::{Other, Packet};

use crate::env::Kernel;
use crate::frame::{Copied, Linear};
use crate::hook::{Hook, Xdp};
use crate::{answer, scratch};

/// Frames begin with an Ethernet header.
pub const ETHERNET: bool = true;
/// Frames begin with the IP header.
pub const IP: bool = false;
/// Frames may have several buffers.
pub const FRAGS: bool = true;
/// Frames have one buffer.
pub const LINEAR: bool = false;

/// A program with a frame before it: whether its frames begin with an Ethernet header, and whether they may have several
/// buffers.
pub struct Gate<H, const ETHERNET: bool, const HAS_BUFFERS: bool> {
    hook: H,
    env: Kernel<H>,
    frame: Linear<H>,
}

impl<const ETHERNET: bool, const HAS_BUFFERS: bool> Gate<Xdp, ETHERNET, HAS_BUFFERS> {
    #[inline(always)]
    pub fn new(ctx: &XdpContext) -> Self {
        let hook = Xdp::new(ctx);
        Self { hook, env: Kernel::new(hook), frame: Linear::new(hook) }
    }
}

impl<H: Hook, const ETHERNET: bool, const HAS_BUFFERS: bool> Program for Gate<H, ETHERNET, HAS_BUFFERS> {
    type Env = Kernel<H>;
    type Frame = Linear<H>;
    type Action = u32;

    const HAS_FAST_PATH: bool = ETHERNET;
    const HAS_BUFFERS: bool = HAS_BUFFERS;

    #[inline(always)]
    fn env(&self) -> &Kernel<H> {
        &self.env
    }

    #[inline(always)]
    fn frame(&self) -> &Linear<H> {
        &self.frame
    }

    #[inline(always)]
    fn read(&self, packet: &mut Packet) -> Result<(), Other> {
        scratch::take(read::<H, ETHERNET>(self.hook), packet)
    }

    #[inline(always)]
    fn read_across(&self, packet: &mut Packet) -> Result<(), Other> {
        scratch::take(read_across::<H, ETHERNET>(self.hook), packet)
    }

    #[inline(always)]
    fn trace(&self, verdict: Verdict) {
        aya_log_ebpf::trace!(self.hook, "verdict {}", verdict as u32);
    }

    #[inline(always)]
    fn pass(&self) -> u32 {
        H::PASS
    }

    #[inline(always)]
    fn drop(&self) -> u32 {
        H::DROP
    }

    #[inline(always)]
    fn answer(&self) -> u32 {
        if HAS_BUFFERS { answer::send(self.hook) } else { answer::send_linear(self.hook) }
    }
}

const fn link(is_ethernet: bool) -> Link {
    if is_ethernet { Link::Ethernet } else { Link::Ip }
}

/// Reads the headers from the first buffer and leaves the packet in scratch memory. Returns what [`scratch::take`] takes.
///
/// What that takes of the stack is free again when the judging begins: a BPF call chain has 512 octets of it, and the long
/// paths take most of them.
#[inline(never)]
fn read<H: Hook, const ETHERNET: bool>(hook: H) -> u32 {
    scratch::say(match scratch::blank() {
        Some(packet) => link(ETHERNET).parse(&Linear::new(hook), packet),
        None => Err(Other::Malformed),
    })
}

/// As [`read`], across buffers. The packet is made in scratch memory, since the copy takes much of the stack as well.
#[inline(never)]
fn read_across<H: Hook, const ETHERNET: bool>(hook: H) -> u32 {
    let Some(frame) = Copied::new(hook) else { return scratch::say(Err(Other::Malformed)) };
    let Some(packet) = scratch::blank() else { return scratch::say(Err(Other::Malformed)) };
    scratch::say(link(ETHERNET).parse(&frame, packet))
}
