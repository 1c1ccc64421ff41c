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

use tests::trial::Trial;

/// The trials.
pub fn trials() -> Vec<Trial> {
    [
        sockets::trials(),
        limits::trials(),
        sweeps::trials(),
        once::trials(),
        questions::trials(),
        features::trials(),
        empty::trials(),
        buffers::trials(),
        raw::trials(),
        differ::trials(),
        races::trials(),
        reject::trials(),
        histories::trials(),
        cost::trials(),
        budget::trials(),
    ]
    .into_iter()
    .flatten()
    .collect()
}
