//! How many denials the log tells of: so many in a second, and then how many more there were.
//!
//! The kernel counts tokens down on every CPU; a token is one event. Here the events of all CPUs are
//! counted together, and the tokens are renewed.

use std::time::Duration;

use tokio::time::Instant;

/// The time in which the rate counts.
const SECOND: Duration = Duration::from_secs(1);

/// The limit, and what it left out.
pub struct Denials {
    rate: u32,
    /// Told of since the last renewal.
    told: u32,
    /// Events that were not told of since then.
    surplus: u64,
    /// The kernel's count of denials without a token, as last seen.
    unlogged: Option<u64>,
    /// When there are new tokens; `None` while none is used.
    pub renewal: Option<Instant>,
}

impl Denials {
    /// So many a second, `rate` of them.
    pub const fn new(rate: u32) -> Self {
        Self { rate, told: 0, surplus: 0, unlogged: None, renewal: None }
    }

    /// Goes on with another limit from the next renewal on.
    pub const fn set_rate(&mut self, rate: u32) {
        self.rate = rate;
    }

    /// Tokens for each CPU: one alone may get all denials.
    pub fn tokens(&self) -> u64 {
        u64::from(self.rate)
    }

    /// True if the log shall tell of this denial.
    pub fn admit(&mut self) -> bool {
        self.renewal.get_or_insert_with(|| Instant::now() + SECOND);
        if self.told < self.rate {
            self.told += 1;
            return true;
        }
        self.surplus += 1;
        false
    }

    /// Begins the next second. Returns how many were left out of the last one, `unlogged` being the
    /// kernel's count by now.
    pub fn renew(&mut self, unlogged: u64) -> u64 {
        self.renewal = None;
        self.told = 0;
        let before = self.unlogged.replace(unlogged).unwrap_or(unlogged);
        std::mem::take(&mut self.surplus) + unlogged.saturating_sub(before)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_is_told_of_up_to_the_rate_and_the_rest_is_counted() {
        let mut denials = Denials::new(3);
        assert_eq!(denials.renew(100), 0);
        let told = (0..8).filter(|_| denials.admit()).count();
        assert_eq!(told, 3);
        assert!(denials.renewal.is_some());
        assert_eq!(denials.renew(140), 5 + 40);
        assert_eq!(denials.renewal, None);
        assert!(denials.admit());
        assert_eq!(denials.renew(140), 0);
    }

    #[test]
    fn the_counts_of_an_unloaded_gate_are_no_denials() {
        let mut denials = Denials::new(3);
        denials.renew(100);
        assert_eq!(denials.renew(7), 0);
        assert_eq!(denials.renew(9), 2);
    }
}
