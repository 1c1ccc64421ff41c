//! Many elements of a map in one system call.

use std::io;
use std::os::fd::{AsRawFd as _, BorrowedFd};

use super::bpf;

/// `BPF_MAP_LOOKUP_BATCH` and `BPF_MAP_UPDATE_BATCH` of `enum bpf_cmd`; for arrays and hash maps since kernel 5.6.
pub(super) const LOOKUP_BATCH: libc::c_long = 24;
const UPDATE_BATCH: libc::c_long = 26;

/// Elements of a hash map that are read in one call: some hundred KiB.
const AT_ONCE: u32 = 4096;

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

/// Reads the first `entries` values of an array.
///
/// # Errors
///
/// Of bpf(2); if the array is shorter.
pub fn read_array<V: aya::Pod>(map: BorrowedFd<'_>, entries: u32) -> io::Result<Vec<V>> {
    read_values(map, entries, 1)
}

/// The same for an array with a value for each of `cpus` possible CPUs; those of one index lie together.
///
/// # Errors
///
/// Of bpf(2); if the array is shorter.
pub fn read_per_cpu(map: BorrowedFd<'_>, entries: u32, cpus: usize) -> io::Result<Vec<u64>> {
    read_values(map, entries, cpus)
}

fn read_values<V: aya::Pod>(map: BorrowedFd<'_>, entries: u32, each: usize) -> io::Result<Vec<V>> {
    let mut next = 0_u32;
    let mut keys = vec![0_u32; entries as usize];
    let length = entries as usize * each;
    let mut values = Vec::<V>::with_capacity(length);
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
    match unsafe { bpf(LOOKUP_BATCH, &mut attr) } {
        // An array per CPU tells so that this was its end.
        Err(error) if error.raw_os_error() != Some(libc::ENOENT) => return Err(error),
        _ if attr.count != entries => return Err(io::Error::from(io::ErrorKind::UnexpectedEof)),
        _ => {}
    }
    // SAFETY: the kernel has written that many; every pattern of a Pod is a value.
    unsafe { values.set_len(length) };
    Ok(values)
}

/// Calls `each` with key and value of every element of a hash map whose keys and values have these sizes. What is
/// there all the time comes exactly once; what comes or goes meanwhile, once or not at all.
///
/// # Errors
///
/// Of bpf(2).
pub fn each_record(
    map: BorrowedFd<'_>,
    (key, value): (usize, usize),
    mut each: impl FnMut(&[u8], &[u8]),
) -> io::Result<()> {
    let mut room = AT_ONCE;
    // Where to go on: the number of a bucket, of which the kernel alone makes sense.
    let mut place: Option<u32> = None;
    let (mut keys, mut values) = (vec![0_u8; room as usize * key], vec![0_u8; room as usize * value]);
    loop {
        let (begin, mut next) = (place, 0_u32);
        let mut attr = BatchAttr {
            in_batch: begin.as_ref().map_or(0, |place| std::ptr::from_ref(place) as u64),
            out_batch: (&raw mut next) as u64,
            keys: keys.as_mut_ptr() as u64,
            values: values.as_mut_ptr() as u64,
            count: room,
            map_fd: map.as_raw_fd() as u32,
            element_flags: 0,
            flags: 0,
        };
        // SAFETY: keys and values have room for `count` elements of the sizes that the map has, and outlive the call
        // like the two places.
        let is_last = match unsafe { bpf(LOOKUP_BATCH, &mut attr) } {
            Ok(_) => false,
            Err(error) if error.raw_os_error() == Some(libc::ENOENT) => true,
            // One bucket alone holds more.
            Err(error) if error.raw_os_error() == Some(libc::ENOSPC) => {
                room *= 2;
                keys.resize(room as usize * key, 0);
                values.resize(room as usize * value, 0);
                continue;
            }
            Err(error) => return Err(error),
        };
        let count = attr.count as usize;
        keys.chunks_exact(key).zip(values.chunks_exact(value)).take(count).for_each(|(key, value)| each(key, value));
        if is_last {
            return Ok(());
        }
        place = Some(next);
    }
}

/// The same, typed.
///
/// # Errors
///
/// Of bpf(2).
pub fn each<K: aya::Pod, V: aya::Pod>(map: BorrowedFd<'_>, mut each: impl FnMut(K, V)) -> io::Result<()> {
    each_record(map, (size_of::<K>(), size_of::<V>()), |key, value| {
        // SAFETY: as many octets as the type has; every pattern of a Pod is a value.
        let key = unsafe { key.as_ptr().cast::<K>().read_unaligned() };
        // SAFETY: the same.
        let value = unsafe { value.as_ptr().cast::<V>().read_unaligned() };
        each(key, value);
    })
}

/// Writes elements to a hash map, whether their keys are there or not.
///
/// # Errors
///
/// Of bpf(2), with some of them written; if the map is full.
pub fn write<K: aya::Pod, V: aya::Pod>(map: BorrowedFd<'_>, keys: &[K], values: &[V]) -> io::Result<()> {
    assert_eq!(keys.len(), values.len(), "a value for each key");
    for (keys, values) in keys.chunks(AT_ONCE as usize).zip(values.chunks(AT_ONCE as usize)) {
        let mut attr = BatchAttr {
            in_batch: 0,
            out_batch: 0,
            keys: keys.as_ptr() as u64,
            values: values.as_ptr() as u64,
            count: keys.len() as u32,
            map_fd: map.as_raw_fd() as u32,
            element_flags: 0,
            flags: 0,
        };
        // SAFETY: there are `count` keys and values, which the kernel only reads.
        unsafe { bpf(UPDATE_BATCH, &mut attr) }?;
    }
    Ok(())
}
