//! What a host knows of itself, asked for as the gate asks.

mod addresses;
mod conntrack;
mod sockets;

use tests::trial::Trial;

/// The trials.
pub fn trials() -> Vec<Trial> {
    [conntrack::trials(), addresses::trials(), sockets::trials()].into_iter().flatten().collect()
}
