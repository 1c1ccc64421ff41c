//! What needs root: BPF programs in this kernel, and whole hosts in network namespaces.
//!
//! `cargo xtask test` runs it. Each test has a sandbox of its own. A test that cannot run fails; none is left
//! out silently.

mod e2e;
mod kernel;

use std::process::ExitCode;

fn main() -> ExitCode {
    tests::harness::run(kernel::tests().into_iter().chain(e2e::tests()).collect())
}
