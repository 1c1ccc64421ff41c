//! Elements of maps, for which aya has no call, or none that is quick.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd as _, BorrowedFd};

use super::bpf;

/// `BPF_MAP_LOOKUP_ELEM` and `BPF_MAP_GET_NEXT_KEY` of `enum bpf_cmd`.
const LOOK_UP: libc::c_long = 1;
const NEXT_KEY: libc::c_long = 4;
/// `BPF_MAP_LOOKUP_AND_DELETE_ELEM` of `enum bpf_cmd`; for hash maps since kernel 5.14.
const LOOKUP_AND_DELETE: libc::c_long = 21;
/// `BPF_MAP_LOOKUP_BATCH` of `enum bpf_cmd`; for arrays since kernel 5.6.
const LOOKUP_BATCH: libc::c_long = 24;

/// The arm of `union bpf_attr` for map elements.
#[repr(C)]
struct ElementAttr {
    map_fd: u32,
    padding: u32,
    key: u64,
    value: u64,
    flags: u64,
}

/// Takes an element out of a hash map and returns it, in one step.
///
/// # Errors
///
/// Of bpf(2); `None` if there is no such key.
pub fn take<K: aya::Pod, V: aya::Pod>(map: BorrowedFd<'_>, key: &K) -> io::Result<Option<V>> {
    let mut value = MaybeUninit::<V>::zeroed();
    let mut attr = ElementAttr {
        map_fd: map.as_raw_fd() as u32,
        padding: 0,
        key: std::ptr::from_ref(key) as u64,
        value: value.as_mut_ptr() as u64,
        flags: 0,
    };
    // SAFETY: key and value have the sizes that the map was opened with, and outlive the call.
    match unsafe { bpf(LOOKUP_AND_DELETE, &mut attr) } {
        // SAFETY: zeroed, and then written by the kernel; every pattern of a Pod is a value.
        Ok(_) => Ok(Some(unsafe { value.assume_init() })),
        Err(error) if error.raw_os_error() == Some(libc::ENOENT) => Ok(None),
        Err(error) => Err(error),
    }
}

/// The value under a key, by sizes that the caller knows from the map itself; `None` if there is no such key.
///
/// # Errors
///
/// Of bpf(2).
pub fn look_up(map: BorrowedFd<'_>, key: &[u8], size: usize) -> io::Result<Option<Vec<u8>>> {
    let mut value = vec![0; size];
    Ok(element(LOOK_UP, map, key.as_ptr(), &mut value)?.then_some(value))
}

/// The key behind `last`, or the first one; `None` if there are no more.
///
/// # Errors
///
/// Of bpf(2).
pub fn next_key(map: BorrowedFd<'_>, last: Option<&[u8]>, size: usize) -> io::Result<Option<Vec<u8>>> {
    let mut next = vec![0; size];
    let last = last.map_or(std::ptr::null(), <[u8]>::as_ptr);
    Ok(element(NEXT_KEY, map, last, &mut next)?.then_some(next))
}

/// False if there is no such element.
fn element(command: libc::c_long, map: BorrowedFd<'_>, key: *const u8, out: &mut [u8]) -> io::Result<bool> {
    let mut attr = ElementAttr {
        map_fd: map.as_raw_fd() as u32,
        padding: 0,
        key: key as u64,
        value: out.as_mut_ptr() as u64,
        flags: 0,
    };
    // SAFETY: key and result have the sizes that the map has, and outlive the call.
    match unsafe { bpf(command, &mut attr) } {
        Ok(_) => Ok(true),
        Err(error) if error.raw_os_error() == Some(libc::ENOENT) => Ok(false),
        Err(error) => Err(error),
    }
}

/// The arm of `union bpf_attr` for many map elements.
#[repr(C)]
struct BatchAttr {
    in_batch: u64,
    out_batch: u64,
    keys: u64,
    values: u64,
    count: u32,
    map_fd: u32,
    element_flags: u64,
    flags: u64,
}

/// Reads the first `entries` values of an array in one call, instead of one call for each.
///
/// # Errors
///
/// Of bpf(2); if the array is shorter.
pub fn read_array<V: aya::Pod>(map: BorrowedFd<'_>, entries: u32) -> io::Result<Vec<V>> {
    let mut next = 0_u32;
    let mut keys = vec![0_u32; entries as usize];
    let mut values = Vec::<V>::with_capacity(entries as usize);
    let mut attr = BatchAttr {
        in_batch: 0,
        out_batch: (&raw mut next) as u64,
        keys: keys.as_mut_ptr() as u64,
        values: values.as_mut_ptr() as u64,
        count: entries,
        map_fd: map.as_raw_fd() as u32,
        element_flags: 0,
        flags: 0,
    };
    // SAFETY: keys and values have room for `count` elements of the map, and outlive the call.
    unsafe { bpf(LOOKUP_BATCH, &mut attr) }?;
    if attr.count != entries {
        return Err(io::Error::from(io::ErrorKind::UnexpectedEof));
    }
    // SAFETY: the kernel has written that many; every pattern of a Pod is a value.
    unsafe { values.set_len(entries as usize) };
    Ok(values)
}
