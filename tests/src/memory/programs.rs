//! The host build as each of the programs in the object, and with a frame over several buffers.

use knock_common::gate::Verdict;
use knock_common::gate::pipeline::{self, Program};
use knock_common::packet::frame::Frame;
use knock_common::packet::link::Link;
use knock_common::packet::{Other, Packet};

use super::Memory;

/// What the kernel program copies of a frame whose headers lie across buffers.
const COPIED: usize = 2048;

/// All buffers of a frame, of which the headers were copied together.
struct Copied<'a>(&'a [u8]);

impl Frame for Copied<'_> {
    type View<const N: usize> = [u8; N];

    fn view<const N: usize>(&self, offset: u32) -> Option<[u8; N]> {
        self.0[..self.0.len().min(COPIED)].view(offset)
    }

    fn reaches(&self, length: u32) -> bool {
        self.0.reaches(length)
    }
}

/// A program with a frame before it, as the kernel's: whether it takes the fast path, and whether its frames may have
/// several buffers. It returns what is seen of a verdict from outside.
struct InMemory<'a, const HAS_FAST_PATH: bool, const HAS_BUFFERS: bool> {
    memory: &'a Memory,
    link: Link,
    first: &'a [u8],
    all: &'a [u8],
}

impl<const HAS_FAST_PATH: bool, const HAS_BUFFERS: bool> Program for InMemory<'_, HAS_FAST_PATH, HAS_BUFFERS> {
    type Env = Memory;
    type Frame = [u8];
    type Action = Verdict;

    const HAS_FAST_PATH: bool = HAS_FAST_PATH;
    const HAS_BUFFERS: bool = HAS_BUFFERS;

    fn env(&self) -> &Memory {
        self.memory
    }

    fn frame(&self) -> &[u8] {
        self.first
    }

    fn read(&self, packet: &mut Packet) -> Result<(), Other> {
        self.link.parse(self.first, packet)
    }

    fn read_across(&self, packet: &mut Packet) -> Result<(), Other> {
        // What the first buffer held of it is not to be seen.
        *packet = Packet::BLANK;
        self.link.parse(&Copied(self.all), packet)
    }

    fn pass(&self) -> Verdict {
        Verdict::Pass
    }

    fn drop(&self) -> Verdict {
        Verdict::Deny
    }

    fn answer(&self) -> Verdict {
        // No answer is written over more than one buffer.
        if self.first.len() < self.all.len() { Verdict::Deny } else { Verdict::Reject }
    }
}

impl Memory {
    /// Takes a frame with an Ethernet header through the gate, as the program for kernels of today does.
    pub(super) fn judge_one(&self, frame: &[u8]) -> Verdict {
        pipeline::run(&InMemory::<true, true> { memory: self, link: Link::Ethernet, first: frame, all: frame })
    }

    /// The same without the fast path, for a frame of which the first `linear` octets lie in the first buffer: what the
    /// kernel sees on the fast path is held against what is read at length.
    pub fn judge_split(&self, link: Link, frame: &[u8], linear: usize) -> Verdict {
        let first = &frame[..linear.min(frame.len())];
        pipeline::run(&InMemory::<false, true> { memory: self, link, first, all: frame })
    }

    /// The same as the programs for older kernels do.
    pub fn judge_linear(&self, link: Link, frame: &[u8]) -> Verdict {
        pipeline::run(&InMemory::<false, false> { memory: self, link, first: frame, all: frame })
    }
}
