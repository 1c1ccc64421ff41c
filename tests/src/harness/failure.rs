//! Why a test fails, and whether the machine alone may be the reason.
//!
//! A wait that was over too early, a figure that was measured, and a system call that failed for want of resources may
//! come from a busy machine: the test is made once more, alone. Everything else says who got in or what was lost (a
//! connection that was reset, a file that is gone), and is never forgiven.

use std::{error, fmt, io};

/// The exit code of a test that failed by an assertion, as Rust's own tests have it.
pub const BROKEN: u8 = 101;
/// The exit code of a test that may pass on a quieter machine: EX_TEMPFAIL of sysexits.h.
pub const UNSTABLE: u8 = 75;

/// A wait that ended before the state came.
#[derive(Debug)]
pub struct Late(pub String);

impl fmt::Display for Late {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl error::Error for Late {}

/// A figure (time, CPU time, memory) that is beyond its limit.
#[derive(Debug)]
pub struct Measured(pub String);

impl fmt::Display for Measured {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl error::Error for Measured {}

/// `ensure!` for a figure that depends on how busy the machine is: see [`Measured`].
#[macro_export]
macro_rules! ensure_measured {
    ($condition:expr, $($text:tt)+) => {
        if !$condition {
            return Err(::anyhow::Error::new($crate::harness::failure::Measured(format!($($text)+))));
        }
    };
}

/// The exit code for an error of a test.
#[must_use]
pub fn code_of(error: &anyhow::Error) -> u8 {
    let is_forgivable =
        |cause: &(dyn error::Error + 'static)| cause.is::<Late>() || cause.is::<Measured>() || is_shortage(cause);
    if error.chain().any(is_forgivable) { UNSTABLE } else { BROKEN }
}

/// Whether a system call failed because the machine had too little of something. EAGAIN is not among these: a read that
/// waited for an answer in vain ends with it as well.
fn is_shortage(cause: &(dyn error::Error + 'static)) -> bool {
    use nix::libc::{EINTR, EMFILE, ENFILE, ENOBUFS, ENOMEM, ENOSPC};
    let number = match (cause.downcast_ref::<nix::Error>(), cause.downcast_ref::<io::Error>()) {
        (Some(error), _) => Some(*error as i32),
        (None, Some(error)) => error.raw_os_error(),
        (None, None) => None,
    };
    number.is_some_and(|number| [EINTR, EMFILE, ENFILE, ENOBUFS, ENOMEM, ENOSPC].contains(&number))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use anyhow::{Context, Result, anyhow, ensure};

    use super::*;
    use crate::lab::until;

    #[test]
    fn an_assertion_is_never_forgiven() {
        let got_in = || -> Result<()> {
            ensure!(1 == 2, "a stranger got in");
            Ok(())
        };
        assert_eq!(code_of(&got_in().unwrap_err()), BROKEN);
        assert_eq!(code_of(&anyhow!("the grant is lost").context("after the crash")), BROKEN);
        let no_number = "x".parse::<u8>().context("a counter").unwrap_err();
        assert_eq!(code_of(&no_number), BROKEN);
    }

    #[test]
    fn a_wait_a_figure_and_a_want_of_resources_are_forgivable() {
        let late = until("a state", Duration::ZERO, || None::<()>).context("the gate").unwrap_err();
        assert_eq!(code_of(&late), UNSTABLE);
        let slow = || -> Result<()> {
            ensure_measured!(1 > 2, "{} s", 2);
            Ok(())
        };
        assert_eq!(code_of(&slow().unwrap_err()), UNSTABLE);
        let short = |number: i32| anyhow::Error::new(io::Error::from_raw_os_error(number)).context("a probe");
        assert_eq!(code_of(&short(nix::libc::ENOMEM)), UNSTABLE);
        assert_eq!(code_of(&anyhow::Error::new(nix::Error::ENFILE)), UNSTABLE);
    }

    #[test]
    fn a_lost_connection_or_file_is_not_forgiven() {
        for number in [nix::libc::ECONNRESET, nix::libc::EPIPE, nix::libc::EAGAIN] {
            assert_eq!(code_of(&io::Error::from_raw_os_error(number).into()), BROKEN, "{number}");
        }
        let gone = std::fs::read("/proc/no such file").context("a pin").unwrap_err();
        assert_eq!(code_of(&gone), BROKEN);
    }
}
