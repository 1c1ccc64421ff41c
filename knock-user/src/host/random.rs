//! Numbers that nobody can foresee. The kernel's generator gives them once it is ready; early in a boot it may not be.

use std::io::{self, Read};

use anyhow::{Context as _, Result};
use log::warn;
use rustix::io::Errno;
use rustix::rand::{GetRandomFlags, getrandom};

/// What to say where it gives none.
pub const SAYS_NOTHING: &str = "getrandom(2): the kernel gives no random numbers";

/// The kernel's generator. Who reads waits until it is ready.
#[derive(Debug)]
pub struct Generator;

impl Read for Generator {
    fn read(&mut self, octets: &mut [u8]) -> io::Result<usize> {
        Ok(once_ready(|flags| getrandom(&mut *octets, flags))?)
    }
}

/// So many random octets.
///
/// # Errors
///
/// If the kernel gives none.
pub fn octets<const N: usize>() -> Result<[u8; N]> {
    let mut octets = [0; N];
    Generator.read_exact(&mut octets).context(SAYS_NOTHING)?;
    Ok(octets)
}

/// Asks, and waits if there is nothing to be had yet: who looks on learns why.
fn once_ready(mut ask: impl FnMut(GetRandomFlags) -> Result<usize, Errno>) -> Result<usize, Errno> {
    match ask(GetRandomFlags::NONBLOCK) {
        Err(Errno::AGAIN) => {
            warn!("the kernel's random numbers are not ready yet, so early in the boot: waiting for them");
            ask(GetRandomFlags::empty())
        }
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_asks_before_the_generator_is_ready_waits_for_it() {
        let mut asked = Vec::new();
        let found = once_ready(|flags| {
            asked.push(flags);
            if flags.contains(GetRandomFlags::NONBLOCK) { Err(Errno::AGAIN) } else { Ok(8) }
        });
        assert_eq!(found, Ok(8));
        assert_eq!(asked, [GetRandomFlags::NONBLOCK, GetRandomFlags::empty()]);
    }

    #[test]
    fn another_error_is_told_and_nothing_is_made_up() {
        assert_eq!(once_ready(|_| Err(Errno::NOSYS)), Err(Errno::NOSYS));
    }

    #[test]
    fn no_two_are_alike() {
        assert_ne!(octets::<16>().unwrap(), octets::<16>().unwrap());
    }
}
