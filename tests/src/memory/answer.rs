//! A frame in plain memory that an answer is written over.

use knock_common::gate::Verdict;
use knock_common::gate::reject::answer::{self, Sender, Sheet};
use knock_common::packet::frame::{Frame, FrameMut};
use knock_common::packet::{self, Packet};

use super::Memory;

struct Buffer(Vec<u8>);

impl Frame for Buffer {
    type View<const N: usize> = [u8; N];

    fn view<const N: usize>(&self, offset: u32) -> Option<[u8; N]> {
        self.0.as_slice().view(offset)
    }

    fn reaches(&self, length: u32) -> bool {
        self.0.as_slice().reaches(length)
    }
}

impl FrameMut for Buffer {
    fn resize(&mut self, added: u32, length: u32) -> bool {
        // As in the kernel, what is new holds anything.
        self.0.splice(..0, vec![0xaa; added as usize]);
        self.0.resize(length as usize, 0xaa);
        true
    }

    fn put<const N: usize>(&mut self, offset: u32, bytes: &[u8; N]) -> Option<()> {
        let at = offset as usize;
        self.0.get_mut(at..at + N)?.copy_from_slice(bytes);
        Some(())
    }
}

impl Memory {
    /// Judges a frame; the answer to it, if it is rejected.
    ///
    /// # Panics
    ///
    /// If a packet is rejected that cannot be answered.
    pub fn answer(&self, frame: &[u8], sender: Sender) -> (Verdict, Option<Vec<u8>>) {
        let verdict = self.judge_one(frame);
        if verdict != Verdict::Reject {
            return (verdict, None);
        }
        let mut packet = Packet::BLANK;
        packet::parse(frame, &mut packet).expect("what is rejected is a packet");
        let mut buffer = Buffer(frame.to_vec());
        assert!(answer::write(&mut buffer, &packet, &sender, &mut Sheet::BLANK.clone()), "there is room");
        (verdict, Some(buffer.0))
    }
}
