//! What needs root: BPF programs in this kernel, and whole hosts in network namespaces.
//!
//! `cargo xtask test` runs it. Each trial has a sandbox of its own. A trial that cannot run fails; none is left
//! out silently.

mod e2e;
mod kernel;

use std::process::ExitCode;

fn main() -> ExitCode {
    tests::trial::run(kernel::trials().into_iter().chain(e2e::trials()).collect())
}
