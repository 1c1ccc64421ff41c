//! The packages, tried as an administrator uses them: installed on a Debian of its own, started,
//! knocked on, upgraded, removed.
//!
//! `cargo xtask test` builds them and runs it, in the same sandbox as the trials of `it`.

mod broken;
mod chroot;
mod container;
mod debian;
mod life;
mod tarball;
#[path = "../it/trials.rs"]
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
        eprintln!("package: {error:#}");
        return ExitCode::FAILURE;
    }
    let trials = [life::trials(), broken::trials(), container::trials(), chroot::trials(), tarball::trials()];
    libtest_mimic::run(&arguments, trials.into_iter().flatten().collect()).exit_code()
}
