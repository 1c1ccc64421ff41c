//! The host build as each of the programs in the object, and with a frame over several buffers.

use knock_common::frame::Frame;
use knock_common::gate::{self, Verdict};
use knock_common::packet::{self, Other, Packet};

use super::Memory;

/// What the kernel program copies of a frame whose headers lie across buffers.
const COPIED: usize = 2048;

/// How the frames of an interface begin.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Link {
    /// With an Ethernet header.
    Ethernet,
    /// With the IP header.
    Raw,
}

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

impl Link {
    fn parse<F: Frame + ?Sized>(self, frame: &F, packet: &mut Packet) -> Result<(), Other> {
        match self {
            Self::Ethernet => packet::parse(frame, packet),
            Self::Raw => packet::parse_ip(frame, packet),
        }
    }
}

impl Memory {
    /// Judges a frame of which the first `linear` octets lie in the first buffer, as the programs do that
    /// take such frames.
    pub fn judge_split(&self, link: Link, frame: &[u8], linear: usize) -> Verdict {
        let mut packet = Packet::BLANK;
        let first = &frame[..linear.min(frame.len())];
        match link.parse(first, &mut packet) {
            Ok(()) => match gate::judge_packet(self, first, &mut packet, true) {
                // No answer is written over more than one buffer.
                Verdict::Reject if first.len() < frame.len() => Verdict::Deny,
                verdict => verdict,
            },
            Err(Other::Malformed | Other::TinyFragment) => {
                packet = Packet::BLANK;
                match link.parse(&Copied(frame), &mut packet) {
                    Ok(()) => gate::judge_packet(self, first, &mut packet, false),
                    Err(other) => gate::judge_other(self, other),
                }
            }
            Err(other) => gate::judge_other(self, other),
        }
    }

    /// Judges a frame that lies in one buffer, as the programs for older kernels do.
    pub fn judge_linear(&self, link: Link, frame: &[u8]) -> Verdict {
        let mut packet = Packet::BLANK;
        match link.parse(frame, &mut packet) {
            Ok(()) => gate::judge_packet(self, frame, &mut packet, true),
            Err(other) => gate::judge_other(self, other),
        }
    }
}
