//! The packages, tried as an administrator uses them: installed on a Debian of its own, started,
//! knocked on, upgraded, removed.
//!
//! `cargo xtask test` builds them and runs it, in sandboxes like those of `it`.

mod broken;
mod chroot;
mod container;
mod debian;
mod life;
mod tarball;

use std::process::ExitCode;

fn main() -> ExitCode {
    let tests = [life::tests(), broken::tests(), container::tests(), chroot::tests(), tarball::tests()];
    tests::harness::run(tests.into_iter().flatten().collect())
}
