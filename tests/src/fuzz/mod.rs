//! What a fuzzer calls: each target takes any octets, and panics if they break what must hold.
//!
//! The same functions are driven by cargo-fuzz (`fuzz/`, `cargo xtask fuzz`) and, with random octets
//! from a seed and with all that ever broke something (`tests/cases/`), by the tests of the host build.
//!
//! Two things hold for every frame, however it is made: (a) one that asks for a new flow to a protected
//! port, from a source without a grant or trust, never passes; (b) one of an established connection
//! always does.

mod config;
pub mod edit;
mod gate;
mod history;
mod import;
pub mod mutate;
mod onetime;
mod packet;
mod profile;
pub mod reading;
mod scratch;
pub mod seeds;

/// A target: what it is called, what it does with octets, and octets to begin with.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// As the binary in `fuzz/` is called.
    pub name: &'static str,
    /// Panics if the octets break what must hold.
    pub run: fn(&[u8]),
    /// Inputs that are worth changing.
    pub seeds: fn() -> Vec<Vec<u8>>,
}

/// All of them.
pub const TARGETS: [Target; 7] = [
    Target { name: "packet", run: packet::run, seeds: seeds::frames },
    Target { name: "gate", run: gate::run, seeds: gate::seeds },
    Target { name: "history", run: history::run, seeds: history::seeds },
    Target { name: "onetime", run: onetime::run, seeds: onetime::seeds },
    Target { name: "profile", run: profile::run, seeds: profile::seeds },
    Target { name: "config", run: config::run, seeds: config::seeds },
    Target { name: "import", run: import::run, seeds: import::seeds },
];

/// Runs the target with this name.
///
/// # Panics
///
/// If the octets break what must hold, or there is no such target.
pub fn run(name: &str, octets: &[u8]) {
    let target = TARGETS.iter().find(|target| target.name == name).expect("a target");
    (target.run)(octets);
}
