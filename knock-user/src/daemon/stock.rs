//! When a standby program is loaded.

use std::time::Duration;

use tokio::time::Instant;

/// How long after a change of the gate that is: where everything starts, others need the CPU more.
const CALM: Duration = Duration::from_secs(2);

/// The time, while it is ahead.
pub struct Stock(Option<Instant>);

impl Stock {
    /// The gate was put up, or an attempt to swap its rules has ended. From its end: the next one would have to wait for a
    /// standby program that is being loaded.
    pub fn after(now: Instant) -> Self {
        Self(Some(now + CALM))
    }

    /// True once, when it is time.
    pub fn is_due(&mut self, now: Instant) -> bool {
        self.0.take_if(|at| *at <= now).is_some()
    }

    /// When it is time.
    pub const fn wake(&self) -> Option<Instant> {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_is_loaded_once_and_a_while_after_the_last_change() {
        let now = Instant::now();
        let mut stock = Stock::after(now);
        assert!(!stock.is_due(now + CALM - Duration::from_nanos(1)));
        // A reload comes first.
        stock = Stock::after(now + CALM / 2);
        assert!(!stock.is_due(now + CALM));
        assert_eq!(stock.wake(), Some(now + CALM / 2 + CALM));
        assert!(stock.is_due(now + CALM * 2) && !stock.is_due(now + CALM * 2));
        assert_eq!(stock.wake(), None);
    }
}
