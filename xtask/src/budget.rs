//! The time that a run of everything may take, and what is left of it. It is printed and fails nothing: a slow
//! machine is no fault of a change.

use std::env;
use std::fmt;
use std::process::Command;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// For `lint` and `test` together from a clean clone, on two cores.
const LIMIT: Duration = Duration::from_secs(25 * 60);

/// When a run of several verbs began, in seconds since 1970: `.ci/run` sets it.
const BEGAN: &str = "KNOCK_BEGAN";

/// What is left of the time.
#[derive(Clone, Copy, Debug)]
pub struct Budget {
    began: SystemTime,
}

impl Budget {
    /// From the beginning of the run, or from now if this verb is all of it.
    pub fn begin() -> Self {
        let seconds = env::var(BEGAN).ok().and_then(|text| text.parse().ok());
        let began = seconds.map(|seconds| UNIX_EPOCH + Duration::from_secs(seconds));
        Self { began: began.unwrap_or_else(SystemTime::now) }
    }

    /// Has a child count from the same moment.
    pub fn pass_on(self, command: &mut Command) {
        let since = self.began.duration_since(UNIX_EPOCH).unwrap_or_default();
        command.env(BEGAN, since.as_secs().to_string());
    }

    fn used(self) -> Duration {
        self.began.elapsed().unwrap_or_default()
    }
}

impl fmt::Display for Budget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&sentence(self.used()))
    }
}

fn sentence(used: Duration) -> String {
    let (used, limit) = (used.as_secs(), LIMIT.as_secs());
    match limit.checked_sub(used) {
        Some(left) => format!("{used} s of {limit} s used, {left} s left"),
        None => format!("{used} s used: {} s OVER THE BUDGET of {limit} s", used - limit),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_child_counts_from_the_same_moment() {
        let mut command = Command::new("true");
        Budget { began: UNIX_EPOCH + Duration::from_secs(1000) }.pass_on(&mut command);
        let given: Vec<_> = command.get_envs().collect();
        assert_eq!(given, [(BEGAN.as_ref(), Some("1000".as_ref()))]);
    }

    #[test]
    fn what_is_left_is_said_and_so_is_what_is_over() {
        assert_eq!(sentence(Duration::from_secs(500)), "500 s of 1500 s used, 1000 s left");
        assert_eq!(sentence(LIMIT), "1500 s of 1500 s used, 0 s left");
        assert_eq!(sentence(Duration::from_secs(1510)), "1510 s used: 10 s OVER THE BUDGET of 1500 s");
    }
}
