//! The host build as each of the programs in the object, and with a frame over several buffers.

use knock_common::frame::Frame;
use knock_common::gate::Verdict;
use knock_common::gate::pipeline::{self, Program};
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

/// A program with a frame before it, as the kernel's: whether its frames begin with an Ethernet header, and whether they
/// may have several buffers. It returns what is seen of a verdict from outside.
struct InMemory<'a, const ETHERNET: bool, const HAS_BUFFERS: bool> {
    memory: &'a Memory,
    first: &'a [u8],
    all: &'a [u8],
}

impl<const ETHERNET: bool, const HAS_BUFFERS: bool> Program for InMemory<'_, ETHERNET, HAS_BUFFERS> {
    type World = Memory;
    type Frame = [u8];
    type Action = Verdict;

    const LINK: Link = if ETHERNET { Link::Ethernet } else { Link::Ip };
    const HAS_BUFFERS: bool = HAS_BUFFERS;

    fn world(&self) -> &Memory {
        self.memory
    }

    fn frame(&self) -> &[u8] {
        self.first
    }

    fn read(&self, packet: &mut Packet) -> Result<(), Other> {
        Self::LINK.parse(self.first, packet)
    }

    fn read_across(&self, packet: &mut Packet) -> Result<(), Other> {
        // What the first buffer held of it is not to be seen.
        *packet = Packet::BLANK;
        Self::LINK.parse(&Copied(self.all), packet)
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
    /// Takes a frame of which the first `linear` octets lie in the first buffer through the gate, as the programs do that
    /// take such frames.
    pub fn judge_split(&self, link: Link, frame: &[u8], linear: usize) -> Verdict {
        let first = &frame[..linear.min(frame.len())];
        match link {
            Link::Ethernet => pipeline::run(&InMemory::<true, true> { memory: self, first, all: frame }),
            Link::Ip => pipeline::run(&InMemory::<false, true> { memory: self, first, all: frame }),
        }
    }

    /// Takes a frame that lies in one buffer through the gate, as the programs for older kernels do.
    pub fn judge_linear(&self, link: Link, frame: &[u8]) -> Verdict {
        match link {
            Link::Ethernet => pipeline::run(&InMemory::<true, false> { memory: self, first: frame, all: frame }),
            Link::Ip => pipeline::run(&InMemory::<false, false> { memory: self, first: frame, all: frame }),
        }
    }
}
