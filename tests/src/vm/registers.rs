//! Registers that a function reads, and some way to them does not write.
//!
//! A compiler leaves one unwritten where it knows more than the code says: which numbers another function returns,
//! that two tests never differ. Newer verifiers often learn the same, older ones refuse the program ("R6 !read_ok").

use std::collections::BTreeMap;

use super::instruction::{CALL, EXIT, Instruction, LOAD_WIDE};
use super::machine::Vm;

/// Registers, a bit each.
type Set = u16;

/// Those that a function finds unwritten: all but its five arguments and the frame.
const UNWRITTEN: Set = 0b011_1100_0001;
/// What a call leaves unwritten: the arguments. What it returns is written.
const SPENT: Set = 0b11_1110;

/// The classes of instructions.
const LDX: u8 = 1;
const ST: u8 = 2;
const STX: u8 = 3;
const ALU: u8 = 4;
const JMP: u8 = 5;
const JMP32: u8 = 6;
const ALU64: u8 = 7;
/// The operand is a register.
const BY_REGISTER: u8 = 8;
const OPERATION: u8 = 0xf0;
const MOVE: u8 = 0xb0;
const SWAP: u8 = 0xd0;
const ALWAYS: u8 = 0;
/// What an atomic operation leaves in its register: `BPF_FETCH`; and where a comparison takes the old value from.
const FETCH: i32 = 1;
const COMPARE_AND_SWAP: i32 = 0xf1;
const ATOMIC: u8 = 0xc0;

impl Vm {
    /// The places at which a register is read that some way there leaves unwritten, with its number.
    #[must_use]
    pub fn unwritten(&self) -> Vec<(usize, u32)> {
        let calls = self.code.iter().enumerate().filter_map(|(at, one)| one.callee(at));
        let mut found: Vec<_> = [0].into_iter().chain(calls).flat_map(|begin| within(&self.code, begin)).collect();
        found.sort_unstable();
        found.dedup();
        found
    }
}

/// The same for the function that begins there.
fn within(code: &[Instruction], begin: usize) -> Vec<(usize, u32)> {
    // What may be unwritten before each instruction, on any way there.
    let mut before = BTreeMap::from([(begin, UNWRITTEN)]);
    let mut work = vec![begin];
    let mut found = Vec::new();
    while let Some(at) = work.pop() {
        let (one, unwritten) = (code[at], before[&at]);
        let (reads, writes) = effects(one);
        let missing = reads & unwritten;
        found.extend((0..11).filter(|register| missing >> register & 1 != 0).map(|register| (at, register)));
        let spent = if one.code == CALL { SPENT } else { 0 };
        let after = (unwritten | spent) & !writes;
        for next in nexts(one, at) {
            let known = before.get(&next).copied();
            if known.is_none_or(|known| known | after != known) {
                before.insert(next, known.unwrap_or(0) | after);
                work.push(next);
            }
        }
    }
    found
}

/// Where it goes on.
fn nexts(one: Instruction, at: usize) -> Vec<usize> {
    let is_jump = [JMP, JMP32].contains(&(one.code & 7)) && one.code != CALL && one.code != EXIT;
    match one.code {
        EXIT => vec![],
        LOAD_WIDE => vec![at + 2],
        _ if !is_jump => vec![at + 1],
        code if code & OPERATION == ALWAYS => vec![(at + 1).wrapping_add_signed(one.offset.into())],
        _ => vec![at + 1, (at + 1).wrapping_add_signed(one.offset.into())],
    }
}

/// The registers that it reads, and those that it writes. A call's arguments are not known here.
fn effects(one: Instruction) -> (Set, Set) {
    let (to, from) = (1 << one.to, 1 << one.from);
    let by = if one.code & BY_REGISTER != 0 { from } else { 0 };
    match (one.code & 7, one.code) {
        (_, CALL) => (0, 1),
        // A function may have nothing to return. (A program has: the verifier of each kernel sees to that.)
        (_, EXIT) => (0, 0),
        (_, LOAD_WIDE) => (0, to),
        (ALU | ALU64, code) if code & OPERATION == MOVE => (by, to),
        // Its bit for a register says which byte order.
        (ALU | ALU64, code) if code & OPERATION == SWAP => (to, to),
        (ALU | ALU64, _) => (to | by, to),
        (LDX, _) => (from, to),
        (ST, _) => (to, 0),
        (STX, code) if code & 0xe0 == ATOMIC => {
            let is_fetch = one.number & FETCH != 0;
            // It compares with r0, and leaves the old value there.
            let is_swap = one.number == COMPARE_AND_SWAP;
            (to | from | u16::from(is_swap), if is_swap { 1 } else { from * u16::from(is_fetch) })
        }
        (STX, _) => (to | from, 0),
        (_, code) if code & OPERATION == ALWAYS => (0, 0),
        _ => (to | by, 0),
    }
}

#[cfg(test)]
mod tests {
    use super::super::instruction::one;
    use super::*;

    #[test]
    fn a_register_that_one_way_leaves_unwritten_is_found() {
        // if r1 == 0 goto +1; r6 = 1; r0 = r6; exit.
        let torn = [one(0x15, 1, 0, 1, 0), one(0xb7, 6, 0, 0, 1), one(0xbf, 0, 6, 0, 0), one(EXIT, 0, 0, 0, 0)];
        assert_eq!(within(&torn, 0), [(2, 6)]);
        // The same with the jump behind its use.
        let whole = [one(0x15, 1, 0, 2, 0), torn[1], torn[2], one(0xb7, 0, 0, 0, 0), torn[3]];
        assert_eq!(within(&whole, 0), []);
        // What a call spends is gone.
        let spent = [one(CALL, 0, 0, 0, 5), one(0xbf, 6, 1, 0, 0), torn[3]];
        assert_eq!(within(&spent, 0), [(1, 1)]);
    }
}
