//! A shared 64-bit word in a map value, changed by compare-and-swap.

use core::cell::UnsafeCell;

/// A word that several CPUs and user space may touch at once.
///
/// The BPF target has no `Atomic*` types, so the kernel side goes through the compiler's
/// intrinsic, which becomes one `lock cmpxchg` (kernel 5.12, ISA v3).
#[repr(transparent)]
#[derive(Debug, Default)]
pub struct Atomic64(UnsafeCell<u64>);

// SAFETY: every access goes through `load` and `swap`, which are single 64-bit machine accesses.
unsafe impl Sync for Atomic64 {}

impl Atomic64 {
    /// A cell that holds `value`.
    #[inline(always)]
    #[must_use]
    pub const fn new(value: u64) -> Self {
        Self(UnsafeCell::new(value))
    }

    /// Reads the word.
    #[inline(always)]
    #[must_use]
    pub fn load(&self) -> u64 {
        #[cfg(target_arch = "bpf")]
        // SAFETY: the pointer comes from a reference, is aligned, and the read is one instruction.
        return unsafe { core::ptr::read_volatile(self.0.get()) };
        #[cfg(not(target_arch = "bpf"))]
        return self.atomic().load(core::sync::atomic::Ordering::SeqCst);
    }

    /// Writes the word, whatever it was.
    #[inline(always)]
    pub fn store(&self, value: u64) {
        #[cfg(target_arch = "bpf")]
        // SAFETY: the pointer comes from a reference, is aligned, and the write is one instruction.
        unsafe {
            core::ptr::write_volatile(self.0.get(), value);
        }
        #[cfg(not(target_arch = "bpf"))]
        self.atomic().store(value, core::sync::atomic::Ordering::SeqCst);
    }

    /// Reads the word behind everything that was written before, as other CPUs see it.
    #[inline(always)]
    #[must_use]
    pub fn load_behind_writes(&self) -> u64 {
        // Whether it swaps or not, a compare-and-swap is a full barrier.
        let _ = self.swap(0, 0);
        self.load()
    }

    /// Writes `new` if the word still is `old`; says whether it did.
    #[inline(always)]
    #[must_use]
    pub fn swap(&self, old: u64, new: u64) -> bool {
        #[cfg(target_arch = "bpf")]
        {
            use core::intrinsics::{AtomicOrdering, atomic_cxchg};
            // SAFETY: the pointer comes from a reference and is aligned for u64.
            let (_, swapped) = unsafe {
                atomic_cxchg::<u64, { AtomicOrdering::SeqCst }, { AtomicOrdering::SeqCst }>(self.0.get(), old, new)
            };
            swapped
        }
        #[cfg(not(target_arch = "bpf"))]
        {
            use core::sync::atomic::Ordering::SeqCst;
            self.atomic().compare_exchange(old, new, SeqCst, SeqCst).is_ok()
        }
    }

    /// Raises the word to `floor` if it is lower; says whether the word changed.
    #[inline(always)]
    pub fn raise(&self, floor: u64) -> bool {
        let mut tries = 0;
        while tries < MAX_TRIES {
            let old = self.load();
            if old >= floor {
                return false;
            }
            if self.swap(old, floor) {
                return true;
            }
            tries += 1;
        }
        false
    }

    #[cfg(not(target_arch = "bpf"))]
    fn atomic(&self) -> &core::sync::atomic::AtomicU64 {
        // SAFETY: the cell is aligned for u64, lives as long as `self`, and nothing accesses it
        // other than atomically.
        unsafe { core::sync::atomic::AtomicU64::from_ptr(self.0.get()) }
    }
}

impl Clone for Atomic64 {
    fn clone(&self) -> Self {
        Self::new(self.load())
    }
}

impl PartialEq for Atomic64 {
    fn eq(&self, other: &Self) -> bool {
        self.load() == other.load()
    }
}

/// How often a lost race is run again. Every loser means that another CPU won, so a source can
/// only lose this often by sending as many packets at the very same moment.
pub const MAX_TRIES: u32 = 4;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_swap_needs_the_old_value() {
        let cell = Atomic64::new(7);
        assert!(!cell.swap(6, 9));
        assert!(cell.swap(7, 9));
        assert_eq!(cell.load(), 9);
    }

    #[test]
    fn raise_never_lowers() {
        let cell = Atomic64::new(7);
        assert!(!cell.raise(6));
        assert!(cell.raise(8));
        assert_eq!(cell.load(), 8);
    }

    #[test]
    fn racing_raises_end_at_the_highest() {
        let cell = Atomic64::new(0);
        std::thread::scope(|scope| {
            for start in 0..4_u64 {
                let cell = &cell;
                scope.spawn(move || {
                    (0..1000).for_each(|n| while !cell.raise(n * 4 + start) && cell.load() < n * 4 + start {});
                });
            }
        });
        assert_eq!(cell.load(), 3999);
    }
}
