//! `bpf(2)` where aya has no call for it.

use std::io::{Error, Result};
use std::os::fd::{AsRawFd as _, BorrowedFd, FromRawFd as _, OwnedFd, RawFd};

use nix::libc;

const MAP_CREATE: libc::c_int = 0;
const MAP_UPDATE_ELEM: libc::c_int = 2;
const MAP_DELETE_ELEM: libc::c_int = 3;
const MAP_GET_NEXT_KEY: libc::c_int = 4;
const PROG_LOAD: libc::c_int = 5;
const LINK_CREATE: libc::c_int = 28;
const PROG_TYPE_XDP: u32 = 6;

/// `union bpf_attr` of the calls for one element of a map.
#[repr(C)]
struct Element {
    map: RawFd,
    reserved: u32,
    key: u64,
    value: u64,
    flags: u64,
}

/// The beginning of `union bpf_attr` of `BPF_MAP_CREATE`.
#[repr(C)]
struct NewMap {
    kind: u32,
    key: u32,
    value: u32,
    entries: u32,
}

/// The beginning of `union bpf_attr` of `BPF_PROG_LOAD`.
#[repr(C)]
#[derive(Default)]
struct Load {
    kind: u32,
    count: u32,
    instructions: u64,
    license: u64,
    log_level: u32,
    log_size: u32,
    log: u64,
    version: u32,
    flags: u32,
    name: [u64; 2],
    interface: u32,
    attach: u32,
}

/// The beginning of `union bpf_attr` of `BPF_LINK_CREATE`.
#[repr(C)]
struct Link {
    program: RawFd,
    interface: u32,
    kind: u32,
    flags: u32,
}

/// `BPF_XDP` of `enum bpf_attach_type`.
const XDP: u32 = 37;
/// `BPF_F_XDP_HAS_FRAGS`.
const HAS_FRAGS: u32 = 1 << 5;
/// `XDP_FLAGS_DRV_MODE`.
const NATIVE: u32 = 1 << 2;

fn bpf<T>(command: libc::c_int, attr: &mut T) -> Result<i64> {
    let attr: *mut T = attr;
    // SAFETY: the attribute is of its size, and its pointers are to what the command takes, for which
    // the callers below stand.
    let result = unsafe { libc::syscall(libc::SYS_bpf, command, attr, size_of::<T>()) };
    if result < 0 { Err(Error::last_os_error()) } else { Ok(result) }
}

fn address<T>(slice: &[T]) -> u64 {
    slice.as_ptr() as u64
}

/// Writes an element of an array of numbers per CPU.
pub(super) fn write_array(map: BorrowedFd<'_>, index: u32, values: &[u64]) -> Result<()> {
    let key = [index];
    let mut element =
        Element { map: map.as_raw_fd(), reserved: 0, key: address(&key), value: address(values), flags: 0 };
    bpf(MAP_UPDATE_ELEM, &mut element).map(drop)
}

/// All keys of a map of hashes, each of `size` octets.
pub(super) fn keys(map: BorrowedFd<'_>, size: usize) -> Result<Vec<Vec<u8>>> {
    let mut keys: Vec<Vec<u8>> = Vec::new();
    loop {
        // Behind the last one; none is behind none.
        let last = keys.last().map_or(0, |key| address(key));
        let mut next = vec![0; size];
        let to = next.as_mut_ptr() as u64;
        match bpf(MAP_GET_NEXT_KEY, &mut Element { map: map.as_raw_fd(), reserved: 0, key: last, value: to, flags: 0 })
        {
            Ok(_) => keys.push(next),
            Err(error) if error.raw_os_error() == Some(libc::ENOENT) => return Ok(keys),
            Err(error) => return Err(error),
        }
    }
}

/// Takes the element with this key out of a map; the key is as long as those of the map.
pub(super) fn remove(map: BorrowedFd<'_>, key: &[u8]) -> Result<()> {
    let mut element = Element { map: map.as_raw_fd(), reserved: 0, key: address(key), value: 0, flags: 0 };
    bpf(MAP_DELETE_ELEM, &mut element).map(drop)
}

/// A map with keys of four octets.
pub(super) fn create_map(kind: u32, value: u32, entries: u32) -> Result<OwnedFd> {
    let fd = bpf(MAP_CREATE, &mut NewMap { kind, key: 4, value, entries })?;
    // SAFETY: the kernel has just made it, for nobody else.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as RawFd) })
}

/// Puts a program into an array of programs.
pub(super) fn put_program(programs: BorrowedFd<'_>, program: BorrowedFd<'_>) -> Result<()> {
    let (key, value) = ([0_u32], [program.as_raw_fd() as u32]);
    let mut element =
        Element { map: programs.as_raw_fd(), reserved: 0, key: address(&key), value: address(&value), flags: 0 };
    bpf(MAP_UPDATE_ELEM, &mut element).map(drop)
}

/// Loads an XDP program of these instructions, that says of itself whether it knows multi-buffer frames.
pub(super) fn load_xdp(instructions: &[u64], frags: bool) -> Result<OwnedFd> {
    let license = b"GPL\0";
    let mut load = Load {
        kind: PROG_TYPE_XDP,
        count: instructions.len() as u32,
        instructions: address(instructions),
        license: address(license),
        flags: if frags { HAS_FRAGS } else { 0 },
        attach: XDP,
        ..Load::default()
    };
    let fd = bpf(PROG_LOAD, &mut load)?;
    // SAFETY: the kernel has just made it, for nobody else.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as RawFd) })
}

/// Attaches a program to an interface of this network, in native mode, until the link is dropped.
pub(super) fn attach_xdp(program: BorrowedFd<'_>, interface: u32) -> Result<OwnedFd> {
    let mut link = Link { program: program.as_raw_fd(), interface, kind: XDP, flags: NATIVE };
    let fd = bpf(LINK_CREATE, &mut link)?;
    // SAFETY: the kernel has just made it, for nobody else.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as RawFd) })
}
