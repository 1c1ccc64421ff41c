//! Addresses: the number of a region in the upper half, the place in it in the lower.

use anyhow::{Result, ensure};

/// Where the program's context is (`struct xdp_md`).
pub(super) const CONTEXT: u64 = 1 << 32;
const STACK: u64 = 2 << 32;
const FRAME: u64 = 3 << 32;
/// A socket that a look-up has found.
pub(super) const SOCKET: u64 = 4 << 32;
/// The tables' values are in the regions from this on, by number.
pub(super) const VALUES: u64 = 16 << 32;
/// What stands for a table as a whole.
pub(super) const TABLES: u64 = 1 << 48;

/// One function's part of the stack.
pub(super) const STACK_FRAME: u64 = 512;
const STACK_FRAMES: u64 = 8;
/// What a driver leaves free before a frame, and behind it.
const HEADROOM: u64 = 256;

/// Everything but the tables.
pub(super) struct Memory {
    stack: Vec<u8>,
    buffer: Vec<u8>,
    begin: u64,
    end: u64,
    pub(super) socket: [u8; 96],
}

impl Memory {
    pub(super) const fn new() -> Self {
        Self { stack: Vec::new(), buffer: Vec::new(), begin: 0, end: 0, socket: [0; 96] }
    }

    /// A frame has come.
    pub(super) fn begin(&mut self, frame: &[u8]) {
        self.stack = vec![0; (STACK_FRAME * STACK_FRAMES) as usize];
        self.buffer = vec![0; HEADROOM as usize];
        self.buffer.extend(frame);
        self.buffer.extend([0; HEADROOM as usize]);
        (self.begin, self.end) = (HEADROOM, HEADROOM + frame.len() as u64);
    }

    /// The top of the stack of a function that is called by `depth` others.
    pub(super) fn stack_top(depth: usize) -> u64 {
        STACK + (depth as u64 + 1) * STACK_FRAME
    }

    /// A field of the context.
    pub(super) fn context(&self, offset: u64) -> Result<u64> {
        Ok(match offset {
            0 | 8 => FRAME + self.begin,
            4 => FRAME + self.end,
            12 => 1,
            _ => anyhow::bail!("no field of the context at {offset}"),
        })
    }

    /// The length of the frame.
    pub(super) const fn length(&self) -> u64 {
        self.end - self.begin
    }

    /// Moves both ends; false if there is no room.
    pub(super) fn adjust(&mut self, begin: i64, end: i64) -> bool {
        let (first, last) = (self.begin as i64 + begin, self.end as i64 + end);
        let fits = first >= 0 && last - first >= 14 && last <= self.buffer.len() as i64;
        if fits {
            (self.begin, self.end) = (first as u64, last as u64);
        }
        fits
    }

    /// The octets at an address that is in no table.
    pub(super) fn at(&mut self, address: u64, length: usize) -> Result<&mut [u8]> {
        let begin = (address & 0xffff_ffff) as usize;
        let region = match address >> 32 << 32 {
            STACK => &mut self.stack[..],
            FRAME => &mut self.buffer[..],
            SOCKET => &mut self.socket[..],
            _ => anyhow::bail!("nothing is at {address:#x}"),
        };
        ensure!(begin + length <= region.len(), "{length} octets at {address:#x} are too many");
        Ok(&mut region[begin..begin + length])
    }
}
