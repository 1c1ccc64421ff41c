//! How often something is looked at or held against something else, counted in tests: how long a config takes to read,
//! and an import, follows from that, and not from how busy a machine is.

use std::cell::Cell;

thread_local! {
    static DONE: Cell<u64> = const { Cell::new(0) };
}

/// Once more.
pub fn note() {
    DONE.set(DONE.get() + 1);
}

/// All of this thread.
pub fn done() -> u64 {
    DONE.get()
}
