//! What a host knows of itself, asked for as the gate asks.

mod addresses;
mod conntrack;
mod sockets;

use tests::harness::Test;

/// The tests.
pub fn tests() -> Vec<Test> {
    [conntrack::tests(), addresses::tests(), sockets::tests()].into_iter().flatten().collect()
}
