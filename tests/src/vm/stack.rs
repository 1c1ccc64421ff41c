//! The stack of the object's functions, as kernels up to 6.8 count it.

use std::collections::BTreeMap;

use super::instruction::{Instruction, LOAD_WIDE};
use super::machine::Vm;

/// To so many octets each frame is rounded up. Later kernels round to 16, where code is compiled
/// (`round_up_stack_depth` of kernel/bpf/verifier.c).
const ROUND: u32 = 32;

/// The most that all frames of a chain of calls may have (`MAX_BPF_STACK`).
pub const MOST: u32 = 512;

/// `r10`, the end of the frame.
const FRAME: usize = 10;
/// `rX = r10` and `rX += number`, 64 bits wide.
const MOVE: u8 = 0xbf;
const ADD: u8 = 0x07;
/// The lowest three bits of a code, and those that go through memory: LDX, ST, STX.
const CLASS: u8 = 7;
const MEMORY: std::ops::RangeInclusive<u8> = 1..=3;

/// A function: what its own frame takes, in octets, and the functions that it calls, by their first instructions.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
struct Function {
    frame: u32,
    calls: Vec<usize>,
}

impl Vm {
    /// The chain of calls whose frames take most: the first instruction of each function, and the octets of its frame,
    /// not rounded. Calls that the constants of a config rule out count as well.
    #[must_use]
    pub fn deepest_chain(&self) -> Vec<(usize, u32)> {
        chain(&functions(&self.code), 0)
    }
}

/// What the frames of a chain of calls take.
#[must_use]
pub fn depth(chain: &[(usize, u32)]) -> u32 {
    chain.iter().map(|(_, frame)| (*frame).max(1).next_multiple_of(ROUND)).sum()
}

/// There is no recursion: the verifier would refuse it.
fn chain(functions: &BTreeMap<usize, Function>, begin: usize) -> Vec<(usize, u32)> {
    let function = &functions[&begin];
    let chains = function.calls.iter().map(|call| chain(functions, *call));
    let mut deepest = chains.max_by_key(|chain| depth(chain)).unwrap_or_default();
    deepest.insert(0, (begin, function.frame));
    deepest
}

/// The register with the address that an instruction goes to: of a load the one that it reads.
const fn base(one: Instruction) -> usize {
    if one.code & CLASS == 1 { one.from } else { one.to }
}

fn functions(code: &[Instruction]) -> BTreeMap<usize, Function> {
    let callees = code.iter().enumerate().filter_map(|(at, one)| one.callee(at));
    let mut functions: BTreeMap<usize, Function> =
        [0].into_iter().chain(callees).map(|begin| (begin, Function::default())).collect();
    let mut at = 0;
    while at < code.len() {
        let one = code[at];
        let lowest = match one.code {
            code if MEMORY.contains(&(code & CLASS)) && base(one) == FRAME => Some(i32::from(one.offset)),
            // An address on the stack is made of the end of the frame.
            MOVE if one.from == FRAME => {
                code.get(at + 1).filter(|next| next.code == ADD && next.to == one.to).map(|next| next.number)
            }
            _ => None,
        };
        if let Some((_, function)) = functions.range_mut(..=at).next_back() {
            function.frame = function.frame.max(lowest.unwrap_or(0).min(0).unsigned_abs());
            function.calls.extend(one.callee(at));
        }
        // The second half is no instruction.
        at += if one.code == LOAD_WIDE { 2 } else { 1 };
    }
    functions
}

#[cfg(test)]
mod tests {
    use super::super::instruction::{CALL, one};
    use super::*;

    #[test]
    fn the_deepest_chain_is_found() {
        let exit = one(0x95, 0, 0, 0, 0);
        // Stores at -40, calls two functions; the second has an address at -72 made, and calls the first.
        let code = [
            one(0x7b, FRAME, 1, -40, 0),
            one(CALL, 0, 1, 0, 2),
            one(CALL, 0, 1, 0, 2),
            exit,
            exit,
            one(MOVE, 2, FRAME, 0, 0),
            one(ADD, 2, 0, 0, -72),
            one(CALL, 0, 1, 0, -4),
            exit,
        ];
        let deepest = chain(&functions(&code), 0);
        assert_eq!(deepest, [(0, 40), (5, 72), (4, 0)]);
        assert_eq!(depth(&deepest), 64 + 96 + 32);
    }
}
