//! bpf(2): whether the verifier takes a few instructions, and the kernel a command.

use std::io;
use std::os::fd::AsFd as _;

use super::batch::LOOKUP_BATCH;
use super::links::LINK_DETACH;
use super::{bpf, open, take};

/// `BPF_MAP_CREATE`.
const CREATE: libc::c_long = 0;
/// `BPF_MAP_TYPE_HASH`.
const HASH: u32 = 1;

/// `BPF_PROG_LOAD`.
const LOAD: libc::c_long = 5;
/// `BPF_PROG_TYPE_XDP`.
const XDP: u32 = 6;

/// The arm of `union bpf_attr` for a load, up to what Linux 4.17 knows.
#[repr(C)]
struct Attr {
    kind: u32,
    count: u32,
    code: u64,
    licence: u64,
    log_level: u32,
    log_size: u32,
    log: u64,
    version: u32,
    flags: u32,
}

/// Loads an XDP program of these instructions with these flags, and lets it go.
///
/// # Errors
///
/// `EINVAL`, mostly, if the kernel does not know an instruction or a flag.
pub fn takes(code: &[u64], flags: u32) -> io::Result<()> {
    let licence = c"GPL";
    let mut attr = Attr {
        kind: XDP,
        count: code.len() as u32,
        code: code.as_ptr() as u64,
        licence: licence.as_ptr() as u64,
        log_level: 0,
        log_size: 0,
        log: 0,
        version: 0,
        flags,
    };
    // SAFETY: the attribute is that of a load, which returns a descriptor; both pointers are to what outlives the
    // call, of the length that is said and ended by a zero.
    unsafe { open(LOAD, &mut attr) }.map(drop)
}

/// A command of `enum bpf_cmd` that takes a descriptor.
#[derive(Clone, Copy, Debug)]
pub struct Command {
    number: libc::c_long,
    /// Where the descriptor is in its arm of `union bpf_attr`, in words of 32 bits.
    place: usize,
}

impl Command {
    /// Many elements of a map at once. Two pointers in and out, two to keys and values, and a count come first.
    pub const LOOKUP_BATCH: Self = Self { number: LOOKUP_BATCH, place: 9 };
    /// What came with links to XDP.
    pub const LINK_DETACH: Self = Self { number: LINK_DETACH, place: 0 };

    /// Gives the command no descriptor at all.
    ///
    /// # Errors
    ///
    /// `EINVAL` if the kernel does not know the command, `EBADF` if it does.
    pub fn try_it(self) -> io::Result<()> {
        let mut attr = [0_u32; 16];
        attr[self.place] = u32::MAX;
        // SAFETY: neither command goes on to what is behind the descriptor that is none.
        unsafe { bpf(self.number, &mut attr) }.map(drop)
    }
}

/// Makes a hash map, and takes an element out of it that is not there.
///
/// # Errors
///
/// `ENOTSUPP` (524) if the kernel takes none out of such maps in one step.
pub fn takes_out() -> io::Result<()> {
    // Octets of a key and of a value, elements, flags.
    let mut attr = [HASH, 4, 4, 1, 0];
    // SAFETY: the beginning of the attribute of this command, which returns a descriptor and takes no pointer.
    let map = unsafe { open(CREATE, &mut attr) }?;
    take::<u32, u32>(map.as_fd(), &0).map(drop)
}
