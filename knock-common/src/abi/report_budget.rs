//! Of how many new attempts one CPU may tell per second, so that forged first knocks do not fill the ring buffer
//! and the log.

use crate::atomic::{Atomic64, MAX_TRIES};

/// One per CPU: the second it counts for and what was spent in it, in one word.
#[repr(transparent)]
#[derive(Debug, Default)]
pub struct Budget(Atomic64);

impl Budget {
    /// Takes one new attempt out of this second's `limit`; false if it is used up. A second here
    /// is 2^30 ns of boot time.
    #[inline(always)]
    #[must_use]
    pub fn take(&self, now: u64, limit: u32) -> bool {
        let window = (now >> 30) << 32;
        let mut tries = 0;
        while tries < MAX_TRIES {
            let word = self.0.load();
            let spent = if word & !0xffff_ffff == window { word & 0xffff_ffff } else { 0 };
            if spent >= u64::from(limit) {
                return false;
            }
            if self.0.swap(word, window | (spent + 1)) {
                return true;
            }
            tries += 1;
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_budget_ends_and_comes_back_in_the_next_second() {
        let budget = Budget::default();
        assert!(budget.take(5, 2));
        assert!(budget.take(6, 2));
        assert!(!budget.take(7, 2));
        assert!(budget.take(7 + (1 << 30), 2));
    }

    #[test]
    fn a_zero_limit_begins_nothing() {
        assert!(!Budget::default().take(5, 0));
    }
}
