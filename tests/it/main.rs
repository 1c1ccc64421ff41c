//! What needs root: BPF programs in this kernel, and whole hosts in network namespaces.
//!
//! `cargo xtask test` runs it. All of it happens in a sandbox, one trial after the other: they share
//! a kernel. A trial that cannot run fails; none is left out silently.

mod e2e;
mod kernel;
mod trials;

use std::process::ExitCode;

use libtest_mimic::Arguments;
use tests::lab::sandbox;

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    arguments.test_threads = Some(1);
    if !arguments.list
        && let Err(error) = sandbox::enter()
    {
        eprintln!("it: {error:#}");
        return ExitCode::FAILURE;
    }
    let trials = kernel::trials().into_iter().chain(e2e::trials()).collect();
    libtest_mimic::run(&arguments, trials).exit_code()
}
