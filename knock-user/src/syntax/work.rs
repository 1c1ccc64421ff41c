//! How often something is looked at or held against something else, counted in tests: how long a config takes to read,
//! and an import, follows from that, and not from how busy a machine is. Outside of tests nothing is counted.

#[cfg(test)]
use std::cell::Cell;

#[cfg(test)]
thread_local! {
    static DONE: Cell<u64> = const { Cell::new(0) };
}

/// Once more.
#[cfg(test)]
pub fn note() {
    DONE.set(DONE.get() + 1);
}

/// Nothing.
#[cfg(not(test))]
pub const fn note() {}

/// All of this thread.
#[cfg(test)]
pub fn done() -> u64 {
    DONE.get()
}
