//! A value in memory that the compiler leaves there. Of what is written to a map value the verifier knows nothing afterwards,
//! and what stays there takes none of the 512 octets of a BPF stack.

use core::cell::UnsafeCell;

/// A value that is really written and really read each time, on one CPU.
#[repr(transparent)]
#[derive(Debug)]
pub struct Note<T: Copy>(UnsafeCell<T>);

impl<T: Copy> Note<T> {
    /// A note that says `value`.
    #[inline(always)]
    #[must_use]
    pub const fn new(value: T) -> Self {
        Self(UnsafeCell::new(value))
    }

    /// What it says.
    #[inline(always)]
    #[must_use]
    pub fn get(&self) -> T {
        // SAFETY: the pointer comes from a reference; the type is not `Sync`, so nobody writes.
        unsafe { self.0.get().read_volatile() }
    }

    /// Says `value` from now on.
    #[inline(always)]
    pub fn set(&self, value: T) {
        // SAFETY: the pointer comes from a reference; the type is not `Sync`, so nobody reads.
        unsafe { self.0.get().write_volatile(value) };
    }
}
