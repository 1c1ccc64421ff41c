//! A program that puts any record into a pinned ring buffer, as one of another version would.

use std::os::fd::{AsFd as _, AsRawFd as _};
use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use aya::maps::MapData;

use super::run::{LEAST, Run};
use super::{XDP_PASS, sys};

/// `bpf_ringbuf_output` of `enum bpf_func_id`.
const RINGBUF_OUTPUT: i32 = 130;

/// Octets that a program may have on its stack, less some.
const MOST: usize = 256;

/// One instruction, as the kernel encodes it on machines that are little-endian.
const fn instruction(code: u8, to: u8, from: u8, offset: i16, number: i32) -> u64 {
    code as u64 | (to as u64) << 8 | (from as u64) << 12 | (offset as u16 as u64) << 16 | (number as u32 as u64) << 32
}

/// Puts a record of `length` octets, all of them `octet`, into the ring buffer `times` times. The length is a multiple
/// of 8.
///
/// # Errors
///
/// If the kernel does not load the program, or the ring buffer is full.
pub fn put_records(pin: &Path, length: usize, octet: u8, times: u32) -> Result<()> {
    ensure!(cfg!(target_endian = "little") && length.is_multiple_of(8) && length <= MOST, "no such record: {length}");
    let ring = MapData::from_pin(pin).with_context(|| pin.display().to_string())?;
    let word = i32::from_ne_bytes([octet; 4]);
    let mut program = Vec::new();
    for at in (0..length).step_by(4) {
        let offset = at as i16 - length as i16;
        // *(u32 *)(r10 + offset) = word
        program.push(instruction(0x62, 10, 0, offset, word));
    }
    program.extend([
        // r1 = the map
        instruction(0x18, 1, 1, 0, ring.fd().as_fd().as_raw_fd()),
        0,
        // r2 = r10 - length
        instruction(0xbf, 2, 10, 0, 0),
        instruction(0x07, 2, 0, 0, -(length as i32)),
        // r3 = length, r4 = 0
        instruction(0xb7, 3, 0, 0, length as i32),
        instruction(0xb7, 4, 0, 0, 0),
        instruction(0x85, 0, 0, 0, RINGBUF_OUTPUT),
        // if r0 == 0: r0 = XDP_PASS
        instruction(0x55, 0, 0, 1, 0),
        instruction(0xb7, 0, 0, 0, XDP_PASS as i32),
        instruction(0x95, 0, 0, 0, 0),
    ]);
    let program = sys::load_xdp(&program, false).context("a program that puts records")?;
    let ran = Run::new(&[0; LEAST]).repeat(times).on(program.as_fd())?;
    ensure!(ran.action == XDP_PASS, "the ring buffer takes no record: {}", ran.action);
    Ok(())
}
