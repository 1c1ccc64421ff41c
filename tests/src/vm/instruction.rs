//! Instructions of BPF (RFC 9669), up to version 3.

/// One of them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Instruction {
    pub(super) code: u8,
    pub(super) to: usize,
    pub(super) from: usize,
    pub(super) offset: i16,
    pub(super) number: i32,
}

impl Instruction {
    /// The number of the kernel's helper that it calls.
    pub(super) fn helper(self) -> Option<i32> {
        (self.code == CALL && self.from == 0).then_some(self.number)
    }

    /// The first instruction of the function that it calls, standing at this place itself.
    pub(super) fn callee(self, at: usize) -> Option<usize> {
        (self.code == CALL && self.from == 1).then(|| (at + 1).wrapping_add_signed(self.number as isize))
    }
}

/// The classes of instructions.
pub(super) const LOAD_WIDE: u8 = 0x18;
pub(super) const EXIT: u8 = 0x95;
pub(super) const CALL: u8 = 0x85;

/// An instruction in one line, for tests.
#[cfg(test)]
pub(super) const fn one(code: u8, to: usize, from: usize, offset: i16, number: i32) -> Instruction {
    Instruction { code, to, from, offset, number }
}
