//! bpf(2): whether the verifier takes a few instructions.

use std::io;

use super::open;

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
