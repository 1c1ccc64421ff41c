//! Numbers that nobody can foresee. The kernel's generator gives them once it is ready; early in a boot it may not be.

use std::io::{self, Read};
use std::sync::{OnceLock, mpsc};
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result};
use log::warn;
use rustix::io::Errno;
use rustix::rand::{GetRandomFlags, getrandom};

/// What to say where it gives none.
pub const SAYS_NOTHING: &str = "getrandom(2): the kernel gives no random numbers";

/// How often somebody is told that it is still waited for.
const STEP: Duration = Duration::from_secs(5);

/// Who is told.
static LOOKS_ON: OnceLock<fn()> = OnceLock::new();

/// From now on this is called again and again while the generator is waited for. The first call counts.
pub fn tell_while_waiting(tell: fn()) {
    let _ = LOOKS_ON.set(tell);
}

/// The kernel's generator. Who reads waits until it is ready.
#[derive(Debug)]
pub struct Generator;

impl Read for Generator {
    fn read(&mut self, octets: &mut [u8]) -> io::Result<usize> {
        let tell = || LOOKS_ON.get().into_iter().for_each(|tell| tell());
        Ok(once_ready(|flags| getrandom(&mut *octets, flags), STEP, tell)?)
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

/// Asks, and waits if there is nothing to be had yet: who looks on learns why, and is told in each step that it still is
/// so. The waiting is done by the kernel, in another thread: it gathers what it needs only while somebody waits.
fn once_ready(
    mut ask: impl FnMut(GetRandomFlags) -> Result<usize, Errno> + Send,
    step: Duration,
    tell: impl Fn(),
) -> Result<usize, Errno> {
    match ask(GetRandomFlags::NONBLOCK) {
        Err(Errno::AGAIN) => {
            warn!("the kernel's random numbers are not ready yet, so early in the boot: waiting for them");
            tell();
            thread::scope(|scope| {
                let (done, is_done) = mpsc::channel();
                let waits = move || {
                    // Nobody takes it if this thread has ended.
                    let _ = done.send(ask(GetRandomFlags::empty()));
                };
                thread::Builder::new()
                    .name("random".to_owned())
                    .spawn_scoped(scope, waits)
                    .map_err(|_| Errno::AGAIN)?;
                loop {
                    match is_done.recv_timeout(step) {
                        Ok(found) => return found,
                        Err(mpsc::RecvTimeoutError::Timeout) => tell(),
                        // The thread has panicked, and with it this one will.
                        Err(mpsc::RecvTimeoutError::Disconnected) => return Err(Errno::IO),
                    }
                }
            })
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
        let ask = |flags: GetRandomFlags| {
            asked.push(flags);
            if flags.contains(GetRandomFlags::NONBLOCK) { Err(Errno::AGAIN) } else { Ok(8) }
        };
        assert_eq!(once_ready(ask, STEP, || ()), Ok(8));
        assert_eq!(asked, [GetRandomFlags::NONBLOCK, GetRandomFlags::empty()]);
    }

    #[test]
    fn while_the_generator_is_waited_for_somebody_is_told_again_and_again() {
        let (told, is_told) = mpsc::channel();
        let ask = move |flags: GetRandomFlags| {
            if flags.contains(GetRandomFlags::NONBLOCK) {
                return Err(Errno::AGAIN);
            }
            // It is ready as soon as it has been told three times.
            let told = (0..3).filter(|_| is_told.recv_timeout(Duration::from_secs(60)).is_ok()).count();
            Ok(told)
        };
        assert_eq!(once_ready(ask, Duration::from_millis(1), || told.send(()).unwrap_or_default()), Ok(3));
    }

    #[test]
    fn who_need_not_wait_is_told_nothing() {
        assert_eq!(once_ready(|_| Ok(8), STEP, || panic!("told")), Ok(8));
    }

    #[test]
    fn another_error_is_told_and_nothing_is_made_up() {
        assert_eq!(once_ready(|_| Err(Errno::NOSYS), STEP, || panic!("told")), Err(Errno::NOSYS));
    }

    #[test]
    fn no_two_are_alike() {
        assert_ne!(octets::<16>().unwrap(), octets::<16>().unwrap());
    }
}
