//! A crowd: a program in front of another that gives the same frame another source in every run, so that one
//! `BPF_PROG_TEST_RUN` sends thousands of hosts through it. What it costs itself, it costs in front of any.

use std::net::Ipv4Addr;
use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd, OwnedFd};

use anyhow::{Context as _, Result, ensure};
use knock_user::kernel::write_elements;

use super::sys;

/// `BPF_MAP_TYPE_ARRAY` and `BPF_MAP_TYPE_PROG_ARRAY` of `enum bpf_map_type`.
const ARRAY: u32 = 2;
const PROGRAMS: u32 = 3;
/// `bpf_map_lookup_elem` and `bpf_tail_call` of `enum bpf_func_id`.
const LOOKUP: u32 = 1;
const TAIL_CALL: u32 = 12;

/// Where a frame of an IPv4 packet without options and VLAN tags has its header's checksum and its source.
const SUM: usize = 24;
const SOURCE: usize = 26;
const L4: usize = 34;
const UDP: u8 = 17;

/// What makes a frame that of one source: its address and the two checksums, as they lie in the frame.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Face(u64);

impl Face {
    /// That of a frame.
    ///
    /// # Panics
    ///
    /// If it holds no TCP or UDP over IPv4 without options and tags.
    #[must_use]
    pub fn of(frame: &[u8]) -> Self {
        assert_eq!((frame[12], frame[13], frame[14]), (8, 0, 0x45), "no frame that a crowd can send");
        let at = |offset: usize, count: usize| &frame[offset..offset + count];
        let octets = [at(SOURCE, 4), at(SUM, 2), at(checksum(frame), 2)].concat();
        Self(u64::from_ne_bytes(octets.try_into().expect("eight octets")))
    }
}

/// Where the checksum of TCP or UDP is.
fn checksum(frame: &[u8]) -> usize {
    L4 + if frame[23] == UDP { 6 } else { 16 }
}

/// The source with this number, of a million or so: neighbours here are none in the address range.
#[must_use]
pub fn source(number: u32) -> Ipv4Addr {
    // 10.0.0.0/8 has no more than 2^24; an odd factor reaches each of them once.
    Ipv4Addr::from(0x0a00_0000 | (number.wrapping_mul(0x9e_3779) & 0x00ff_ffff))
}

/// The program, and what it needs.
pub struct Crowd {
    program: OwnedFd,
    next: OwnedFd,
    faces: OwnedFd,
    count: u32,
    _programs: OwnedFd,
}

impl Crowd {
    /// In front of `target`, which knows multi-buffer frames or not, for frames like `frame` with these faces, a
    /// power of two of them.
    ///
    /// # Errors
    ///
    /// If the kernel does not load it.
    pub fn before(target: BorrowedFd<'_>, frags: bool, frame: &[u8], faces: &[Face]) -> Result<Self> {
        let count = faces.len() as u32;
        ensure!(count.is_power_of_two(), "{count} sources are no power of two");
        let next = sys::create_map(ARRAY, 8, 1)?;
        let map = sys::create_map(ARRAY, 8, count)?;
        let programs = sys::create_map(PROGRAMS, 4, 1)?;
        let raw = |fd: &OwnedFd| fd.as_raw_fd() as u32;
        let code = instructions([raw(&next), raw(&map), raw(&programs)], count - 1, checksum(frame));
        let program = sys::load_xdp(&code, frags).context("the program in front of another")?;
        sys::put_program(programs.as_fd(), target).context("the program does not fit behind another")?;
        let crowd = Self { program, next, faces: map, count, _programs: programs };
        crowd.send(faces)?;
        Ok(crowd)
    }

    /// Gives it other faces, as many as before at most, and lets the first come next.
    ///
    /// # Errors
    ///
    /// If the kernel does not.
    pub fn send(&self, faces: &[Face]) -> Result<()> {
        ensure!(faces.len() <= self.count as usize, "{} sources, and room for {}", faces.len(), self.count);
        let keys: Vec<u32> = (0..).take(faces.len()).collect();
        let values: Vec<u64> = faces.iter().map(|face| face.0).collect();
        write_elements(self.faces.as_fd(), &keys, &values).context("the sources of frames")?;
        self.restart()
    }

    /// Lets the first come next.
    ///
    /// # Errors
    ///
    /// If the kernel does not.
    pub fn restart(&self) -> Result<()> {
        Ok(sys::write_array(self.next.as_fd(), 0, &[0])?)
    }

    /// The program.
    #[must_use]
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.program.as_fd()
    }
}

/// One instruction (`struct bpf_insn`): code, destination and source register, offset, immediate.
const fn one(code: u8, to: u8, from: u8, offset: i16, number: u32) -> u64 {
    let word = [code, from << 4 | to, offset as u8, (offset >> 8) as u8];
    u32::from_le_bytes(word) as u64 | (number as u64) << 32
}

/// The program. Of each run it takes the next face, puts it into the frame and goes on in the other program; a
/// frame that is too short is dropped.
fn instructions([next, faces, programs]: [u32; 3], mask: u32, checksum: usize) -> Vec<u64> {
    const MOVE: u8 = 0xbf;
    let map = |to: u8, fd: u32| [one(0x18, to, 1, 0, fd), 0];
    // r0 = the element of r1 with the number at r10 - 4, or out.
    let out = |here: i16, length: i16| length - here - 1;
    let mut code = Vec::new();
    let end = 40;
    code.push(one(MOVE, 6, 1, 0, 0));
    code.push(one(0x62, 10, 0, -4, 0)); // *(u32 *)(r10 - 4) = 0
    code.extend(map(1, next));
    code.push(one(MOVE, 2, 10, 0, 0));
    code.push(one(0x07, 2, 0, 0, -4_i32 as u32)); // r2 += -4
    code.push(one(0x85, 0, 0, 0, LOOKUP));
    code.push(one(0x15, 0, 0, out(code.len() as i16, end), 0)); // if r0 == 0 goto end
    code.push(one(0x79, 7, 0, 0, 0)); // r7 = *(u64 *)r0
    code.push(one(MOVE, 1, 7, 0, 0));
    code.push(one(0x07, 1, 0, 0, 1)); // r1 += 1
    code.push(one(0x7b, 0, 1, 0, 0)); // *(u64 *)r0 = r1
    code.push(one(0x57, 7, 0, 0, mask)); // r7 &= mask
    code.push(one(0x63, 10, 7, -4, 0)); // *(u32 *)(r10 - 4) = r7
    code.extend(map(1, faces));
    code.push(one(MOVE, 2, 10, 0, 0));
    code.push(one(0x07, 2, 0, 0, -4_i32 as u32));
    code.push(one(0x85, 0, 0, 0, LOOKUP));
    code.push(one(0x15, 0, 0, out(code.len() as i16, end), 0));
    code.push(one(0x79, 8, 0, 0, 0)); // r8 = *(u64 *)r0
    code.push(one(0x61, 1, 6, 0, 0)); // r1 = data
    code.push(one(0x61, 2, 6, 4, 0)); // r2 = data_end
    code.push(one(MOVE, 3, 1, 0, 0));
    code.push(one(0x07, 3, 0, 0, checksum as u32 + 2));
    code.push(one(0x2d, 3, 2, out(code.len() as i16, end), 0)); // if r3 > r2 goto end
    code.push(one(0x63, 1, 8, SOURCE as i16, 0)); // *(u32 *)(r1 + SOURCE) = r8
    code.push(one(0x77, 8, 0, 0, 32)); // r8 >>= 32
    code.push(one(0x6b, 1, 8, SUM as i16, 0)); // *(u16 *)(r1 + SUM) = r8
    code.push(one(0x77, 8, 0, 0, 16));
    code.push(one(0x6b, 1, 8, checksum as i16, 0));
    code.push(one(MOVE, 1, 6, 0, 0));
    code.extend(map(2, programs));
    code.push(one(0xb7, 3, 0, 0, 0)); // r3 = 0
    code.push(one(0x85, 0, 0, 0, TAIL_CALL));
    while code.len() < end as usize {
        code.push(one(0xb7, 0, 0, 0, 0)); // r0 = 0
    }
    code.push(one(0xb7, 0, 0, 0, 0)); // r0 = XDP_ABORTED
    code.push(one(0x95, 0, 0, 0, 0)); // exit
    code
}
