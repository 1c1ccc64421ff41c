//! Waiting for a condition.

use std::env;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Result;

use crate::harness::failure::Late;

/// Long enough for anything in the lab on a busy machine: whoever waits that long has failed.
pub const TIMEOUT: Duration = Duration::from_secs(30);
/// How long a boot may take on a busy host; on an idle one it is two seconds.
pub const BOOT_TIMEOUT: Duration = Duration::from_secs(60);

/// How often a condition is looked at.
const INTERVAL: Duration = Duration::from_millis(2);

/// How many times longer than on this machine itself a wait may take, by `KNOCK_PATIENCE`: in an emulator, which has a
/// tenth of the speed and shares the CPUs with others.
#[must_use]
pub(crate) fn patience() -> u32 {
    env::var("KNOCK_PATIENCE").ok().and_then(|text| text.parse().ok()).unwrap_or(1)
}

/// Asks again and again until `ready` gives a value.
///
/// # Errors
///
/// A [`Late`] that names `what`, if it did not come within the time.
pub fn until<T>(what: &str, timeout: Duration, mut ready: impl FnMut() -> Option<T>) -> Result<T> {
    let (start, timeout) = (Instant::now(), timeout * patience());
    loop {
        if let Some(value) = ready() {
            return Ok(value);
        }
        if start.elapsed() > timeout {
            return Err(Late(format!("waited {timeout:?} in vain: {what}")).into());
        }
        thread::sleep(INTERVAL);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_condition_is_asked_until_it_holds() {
        let mut asked = 0;
        let third = until("the third", TIMEOUT, || {
            asked += 1;
            (asked == 3).then_some(asked)
        });
        assert_eq!(third.unwrap(), 3);
    }

    #[test]
    fn what_does_not_come_is_named() {
        let error = until("a pig that flies", Duration::ZERO, || None::<()>).unwrap_err();
        assert!(error.to_string().ends_with("in vain: a pig that flies"), "{error}");
    }
}
