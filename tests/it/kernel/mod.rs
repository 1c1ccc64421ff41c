//! Frames through the program in the kernel.

mod budget;
mod buffers;
mod cost;
mod differ;
mod empty;
mod features;
mod gate;
mod histories;
mod limits;
mod once;
mod questions;
mod races;
mod raw;
mod reject;
mod sockets;
mod sweeps;

use tests::harness::Test;

/// The tests.
pub fn tests() -> Vec<Test> {
    [
        sockets::tests(),
        limits::tests(),
        sweeps::tests(),
        once::tests(),
        questions::tests(),
        features::tests(),
        empty::tests(),
        buffers::tests(),
        raw::tests(),
        differ::tests(),
        races::tests(),
        reject::tests(),
        histories::tests(),
        cost::tests(),
        budget::tests(),
    ]
    .into_iter()
    .flatten()
    .collect()
}
