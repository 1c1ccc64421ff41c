//! What instructions do.

use anyhow::{Context as _, Result, bail, ensure};

use super::instruction::{CALL, EXIT, Instruction, LOAD_WIDE};
use super::machine::Vm;
use super::memory::{CONTEXT, Memory, VALUES};
use super::{call, object};

/// More than any frame takes.
const MOST: u32 = 1_000_000;

/// Runs the program to its end and says what it returns.
pub(super) fn execute(vm: &mut Vm) -> Result<u64> {
    let mut registers = [0_u64; 11];
    (registers[1], registers[10]) = (CONTEXT, Memory::stack_top(0));
    let mut callers: Vec<(usize, [u64; 4])> = Vec::new();
    let mut at = 0;
    loop {
        let one = *vm.code.get(at).context("behind the end of the program")?;
        vm.work.at[at] += 1;
        vm.work.instructions += 1;
        ensure!(vm.work.instructions < MOST, "the program does not end");
        at += 1;
        match one.code {
            EXIT => match callers.pop() {
                None => return Ok(registers[0]),
                Some((back, saved)) => {
                    at = back;
                    registers[6..10].copy_from_slice(&saved);
                    registers[10] = Memory::stack_top(callers.len());
                }
            },
            CALL if one.from == 1 => {
                callers.push((at, [registers[6], registers[7], registers[8], registers[9]]));
                registers[10] = Memory::stack_top(callers.len());
                at = at.wrapping_add_signed(one.number as isize);
            }
            CALL => {
                let [_, a, b, c, d, e, ..] = registers;
                let result = call::helper(vm, one.number, [a, b, c, d, e]);
                registers[0] = result.with_context(|| format!("helper {} before {at}", one.number))?;
            }
            LOAD_WIDE => {
                let next = vm.code.get(at).context("half an instruction")?.number;
                at += 1;
                registers[one.to] = match one.from {
                    0 => u64::from(one.number as u32) | u64::from(next as u32) << 32,
                    1 => object::table_address(one.number),
                    2 => VALUES + ((one.number as u64) << 32) + u64::from(next as u32),
                    other => bail!("a wide load of kind {other}"),
                };
            }
            _ => match one.code & 7 {
                0x04 | 0x07 => registers[one.to] = arithmetic(one, &registers)?,
                0x05 | 0x06 => {
                    if jumps(one, &registers)? {
                        at = at.wrapping_add_signed(one.offset.into());
                    }
                }
                _ => memory(vm, one, &mut registers).with_context(|| format!("instruction {}: {one:?}", at - 1))?,
            },
        }
    }
}

/// The second operand.
fn operand(one: Instruction, registers: &[u64; 11]) -> u64 {
    if one.code & 8 == 0 { i64::from(one.number) as u64 } else { registers[one.from] }
}

fn arithmetic(one: Instruction, registers: &[u64; 11]) -> Result<u64> {
    let (wide, a, b) = (one.code & 7 == 7, registers[one.to], operand(one, registers));
    if one.code & 0xf0 == 0xd0 {
        let swapped = match (one.code & 8 != 0, one.number) {
            (true, 16) => u64::from((a as u16).to_be()),
            (true, 32) => u64::from((a as u32).to_be()),
            (true, 64) => a.to_be(),
            (false, 16) => u64::from((a as u16).to_le()),
            (false, 32) => u64::from((a as u32).to_le()),
            (false, 64) => a.to_le(),
            _ => bail!("{one:?}"),
        };
        return Ok(swapped);
    }
    let (x, y) = (a as u32, b as u32);
    let both = match one.code & 0xf0 {
        0x00 => (a.wrapping_add(b), x.wrapping_add(y)),
        0x10 => (a.wrapping_sub(b), x.wrapping_sub(y)),
        0x20 => (a.wrapping_mul(b), x.wrapping_mul(y)),
        0x30 => (a.checked_div(b).unwrap_or(0), x.checked_div(y).unwrap_or(0)),
        0x40 => (a | b, x | y),
        0x50 => (a & b, x & y),
        0x60 => (a.wrapping_shl(b as u32), x.wrapping_shl(y)),
        0x70 => (a.wrapping_shr(b as u32), x.wrapping_shr(y)),
        0x80 => (a.wrapping_neg(), x.wrapping_neg()),
        0x90 => (a.checked_rem(b).unwrap_or(a), x.checked_rem(y).unwrap_or(x)),
        0xa0 => (a ^ b, x ^ y),
        0xb0 => (b, y),
        0xc0 => ((a as i64).wrapping_shr(b as u32) as u64, (x as i32).wrapping_shr(y) as u32),
        _ => bail!("{one:?}"),
    };
    Ok(if wide { both.0 } else { both.1.into() })
}

fn jumps(one: Instruction, registers: &[u64; 11]) -> Result<bool> {
    let (mut a, mut b) = (registers[one.to], operand(one, registers));
    let (mut signed_a, mut signed_b) = (a as i64, b as i64);
    if one.code & 7 == 6 {
        (a, b) = (u64::from(a as u32), u64::from(b as u32));
        (signed_a, signed_b) = (i64::from(a as i32), i64::from(b as i32));
    }
    Ok(match one.code & 0xf0 {
        0x00 => true,
        0x10 => a == b,
        0x20 => a > b,
        0x30 => a >= b,
        0x40 => a & b != 0,
        0x50 => a != b,
        0x60 => signed_a > signed_b,
        0x70 => signed_a >= signed_b,
        0xa0 => a < b,
        0xb0 => a <= b,
        0xc0 => signed_a < signed_b,
        0xd0 => signed_a <= signed_b,
        _ => bail!("{one:?}"),
    })
}

/// Loads, stores, and the atomic ones.
fn memory(vm: &mut Vm, one: Instruction, registers: &mut [u64; 11]) -> Result<()> {
    let size = [4, 2, 1, 8][usize::from(one.code >> 3 & 3)];
    let place = |register: u64| register.wrapping_add_signed(one.offset.into());
    match (one.code & 7, one.code & 0xe0) {
        (1, 0x60) if registers[one.from] == CONTEXT => {
            registers[one.to] = vm.memory.context(one.offset as u64)?;
        }
        (1, 0x60) => registers[one.to] = read(vm, place(registers[one.from]), size)?,
        (2, 0x60) => write(vm, place(registers[one.to]), size, i64::from(one.number) as u64)?,
        (3, 0x60) => write(vm, place(registers[one.to]), size, registers[one.from])?,
        (3, 0xc0) => {
            let (address, given) = (place(registers[one.to]), registers[one.from]);
            let old = read(vm, address, size)?;
            match one.number {
                0xf1 => {
                    let expected = if size == 4 { u64::from(registers[0] as u32) } else { registers[0] };
                    if old == expected {
                        write(vm, address, size, given)?;
                    }
                    registers[0] = old;
                }
                0x00 | 0x01 => {
                    write(vm, address, size, old.wrapping_add(given))?;
                    if one.number == 1 {
                        registers[one.from] = old;
                    }
                }
                _ => bail!("an atomic operation that is not known"),
            }
        }
        _ => bail!("an instruction that is not known"),
    }
    Ok(())
}

fn read(vm: &mut Vm, address: u64, size: usize) -> Result<u64> {
    let mut octets = [0; 8];
    octets[..size].copy_from_slice(vm.octets(address, size)?);
    Ok(u64::from_le_bytes(octets))
}

fn write(vm: &mut Vm, address: u64, size: usize, value: u64) -> Result<()> {
    vm.octets(address, size)?.copy_from_slice(&value.to_le_bytes()[..size]);
    Ok(())
}
