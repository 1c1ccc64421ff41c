//! When attempts run out, so that the log can say so. Learnt from events: the table in the kernel
//! is not looked through.

use std::collections::{BTreeSet, HashMap};

use knock_common::addr::Addr;

/// Attempts that the daemon waits for.
#[derive(Default)]
pub struct Deadlines {
    by_time: BTreeSet<(u64, Addr, u32)>,
    by_attempt: HashMap<(Addr, u32), (u64, u8)>,
}

/// An attempt that ran out.
#[derive(Debug, PartialEq, Eq)]
pub struct Timeout {
    /// The source.
    pub source: Addr,
    /// Tag of the door.
    pub door: u32,
    /// Steps made.
    pub stage: u8,
}

/// More than the log tells of in a minute at its default rate.
const MOST: usize = 1 << 13;

impl Deadlines {
    /// An attempt made a step; it runs out at `until` (boot time in ns).
    pub fn set(&mut self, source: Addr, door: u32, until: u64, stage: u8) {
        self.clear(source, door);
        if self.by_attempt.len() < MOST {
            self.by_time.insert((until, source, door));
            self.by_attempt.insert((source, door), (until, stage));
        }
    }

    /// The same, if the attempt is waited for already.
    pub fn renew(&mut self, source: Addr, door: u32, until: u64, stage: u8) {
        if self.by_attempt.contains_key(&(source, door)) {
            self.set(source, door, until, stage);
        }
    }

    /// An attempt ended.
    pub fn clear(&mut self, source: Addr, door: u32) {
        if let Some((until, _)) = self.by_attempt.remove(&(source, door)) {
            self.by_time.remove(&(until, source, door));
        }
    }

    /// When the next attempt runs out.
    pub fn next(&self) -> Option<u64> {
        self.by_time.first().map(|(until, ..)| *until)
    }

    /// Attempts that have run out at `now`.
    pub fn take_due(&mut self, now: u64) -> Vec<Timeout> {
        let mut due = Vec::new();
        while let Some(&(until, source, door)) = self.by_time.first()
            && until <= now
        {
            self.by_time.pop_first();
            if let Some((_, stage)) = self.by_attempt.remove(&(source, door)) {
                due.push(Timeout { source, door, stage });
            }
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: Addr = Addr::from_v4([192, 0, 2, 7]);

    #[test]
    fn only_the_last_step_of_an_attempt_runs_out() {
        let mut deadlines = Deadlines::default();
        deadlines.set(A, 1, 100, 1);
        deadlines.set(A, 1, 100, 2);
        assert_eq!(deadlines.take_due(99), []);
        assert_eq!(deadlines.take_due(100), [Timeout { source: A, door: 1, stage: 2 }]);
        assert_eq!(deadlines.next(), None);
    }

    #[test]
    fn an_ended_attempt_does_not_run_out() {
        let mut deadlines = Deadlines::default();
        deadlines.set(A, 1, 100, 1);
        deadlines.set(A, 2, 50, 1);
        deadlines.clear(A, 2);
        assert_eq!(deadlines.next(), Some(100));
        deadlines.clear(A, 1);
        assert_eq!(deadlines.take_due(1000), []);
    }
}
