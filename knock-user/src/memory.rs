//! Keeping the daemon small: to start and to load a program takes many times the memory of what comes after.

use std::collections::HashMap;
use std::hash::Hash;

/// Room for so many is kept in a map, whether it is used or not.
const ROOM: usize = 4096;

/// Gives back the room of a map in which there was much more than there is.
pub fn shrink<K: Eq + Hash, V>(map: &mut HashMap<K, V>) {
    if map.capacity() > ROOM && map.len() < map.capacity() / 8 {
        map.shrink_to(map.len() * 2);
    }
}

/// Asks the allocator to share one heap among threads, which [`give_back`] can make smaller unlike others, and to keep
/// large blocks apart, so that they leave no holes. Before there is a second thread.
pub fn be_sparing() {
    /// Its default; saying so keeps it from growing with every block that is freed.
    #[cfg(target_env = "gnu")]
    const APART: libc::c_int = 128 << 10;
    #[cfg(target_env = "gnu")]
    // SAFETY: takes numbers; a setting that is unknown changes nothing.
    unsafe {
        libc::mallopt(libc::M_ARENA_MAX, 1);
        libc::mallopt(libc::M_MMAP_THRESHOLD, APART);
    }
}

/// Hands free memory back to the system: the allocator keeps what it was given for as long as something above it is in
/// use, and to load a program takes many times what is left of it.
pub fn give_back() {
    leave_code();
    #[cfg(target_env = "gnu")]
    // SAFETY: takes a number, and may be called at any time by any thread.
    unsafe {
        libc::malloc_trim(0);
    }
}

/// Hands back the pages of code that were run, which are in the file: what runs on is read again from the page cache.
/// Most of what a start runs never does again.
fn leave_code() {
    let Ok(maps) = std::fs::read_to_string("/proc/self/maps") else { return };
    for (start, end) in maps.lines().filter_map(code) {
        // SAFETY: the mapping is of a file, and nothing was written to it, as it is not writable: what is read from
        // it next is what was there.
        unsafe {
            libc::madvise(start as *mut libc::c_void, end - start, libc::MADV_DONTNEED);
        }
    }
}

/// The place of a mapping, by its line in `/proc/self/maps` (proc_pid_maps(5)), if it is code of a file.
fn code(line: &str) -> Option<(usize, usize)> {
    let mut fields = line.split_ascii_whitespace();
    let (start, end) = fields.next()?.split_once('-')?;
    let (permissions, path) = (fields.next()?, fields.nth(3)?);
    let place = (usize::from_str_radix(start, 16).ok()?, usize::from_str_radix(end, 16).ok()?);
    (permissions == "r-xp" && path.starts_with('/')).then_some(place)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_code_of_files_is_left() {
        let line = |permissions, path| format!("7f00-7f1000 {permissions} 00001000 fe:00 1234    {path}");
        assert_eq!(code(&line("r-xp", "/usr/bin/knockctl")), Some((0x7f00, 0x7f_1000)));
        for other in [line("r-xp", "[vdso]"), line("r-xp", ""), line("r--p", "/usr/bin/knockctl"), line("rwxp", "/x")] {
            assert_eq!(code(&other), None, "{other}");
        }
    }

    #[test]
    fn a_program_runs_on_without_the_code_that_it_has_left() {
        leave_code();
        let maps = std::fs::read_to_string("/proc/self/maps").expect("it was read");
        assert!(maps.lines().any(|line| code(line).is_some()), "{maps}");
    }
}
