//! When the table of grants is swept next, and when pins and links are looked after.

use std::time::Duration;

use tokio::time::Instant;

use crate::kernel::boot_now;

/// How often the grant table is looked through while it holds grants.
const SWEEP: Duration = Duration::from_secs(1);
/// The same while it holds none: `knockctl allow` writes to it without telling.
const IDLE_SWEEP: Duration = Duration::from_secs(5);

/// After a sweep there is none for so many times as long as it took: sweeps take a twenty-first of a CPU at most. Grants
/// end in time without them.
const SHARE: u32 = 20;
/// The same while there are more than one sweep takes out: they keep room from others.
const SHARE_BEHIND: u32 = 4;

/// How often pins and links are looked after: with each sweep, and without one where a large table makes it rare. A
/// little more than the idle sweep, so that it causes no wake-up of its own.
const LOOK: Duration = Duration::from_millis(5_200);

/// The times.
pub struct Rounds {
    sweep: Instant,
    /// When pins and links are looked after, if no sweep comes first.
    look: Instant,
    /// Until when there is no sweep.
    rest: Instant,
}

/// What a sweep has seen.
pub struct Seen {
    /// When it began.
    pub begun: Instant,
    /// When the next grant ends, boot time in ns.
    pub next: Option<u64>,
    /// Somebody waits for what becomes of grants.
    pub is_awaited: bool,
}

impl Rounds {
    /// All is due.
    pub const fn new(now: Instant) -> Self {
        Self { sweep: now, look: now, rest: now }
    }

    /// When there is next something to do.
    pub fn wake(&self) -> Instant {
        self.sweep.min(self.look)
    }

    /// True if a sweep is due.
    pub fn sweeps(&self, now: Instant) -> bool {
        self.sweep <= now
    }

    /// True if pins and links are to be looked after.
    pub fn looks(&self, now: Instant) -> bool {
        self.sweeps(now) || self.look <= now
    }

    /// A grant ends then: there is to be a sweep soon after.
    pub fn sweep_by(&mut self, boot: u64) {
        self.sweep = self.sweep.min(instant(boot)).max(Instant::now()).max(self.rest);
    }

    /// There is to be a sweep within a second, or once the rest is over.
    pub fn sweep_soon(&mut self) {
        self.sweep = self.sweep.min(Instant::now() + SWEEP).max(self.rest);
    }

    /// What goes with a sweep is due within a second, whether that itself has to rest or not.
    pub fn hurry(&mut self) {
        self.sweep = self.sweep.min(Instant::now() + SWEEP);
    }

    /// The same at once.
    pub fn hurry_now(&mut self) {
        self.sweep = Instant::now();
    }

    /// True while there is no sweep; the next comes when the rest is over.
    pub fn rests(&mut self, now: Instant) -> bool {
        let rests = now < self.rest;
        if rests {
            self.sweep = self.rest;
        }
        rests
    }

    /// A sweep could not be done.
    pub fn failed(&mut self, now: Instant) {
        self.sweep = now + IDLE_SWEEP;
    }

    /// A sweep is done.
    pub fn swept(&mut self, seen: &Seen) {
        let now = Instant::now();
        let has_more = seen.next.is_some_and(|end| end <= boot_now());
        self.rest = now + (now - seen.begun) * if has_more { SHARE_BEHIND } else { SHARE };
        let pause = if seen.next.is_some() || seen.is_awaited { SWEEP } else { IDLE_SWEEP };
        self.sweep = now + pause;
        if let Some(end) = seen.next {
            self.sweep = self.sweep.min(instant(end) + Duration::from_millis(1));
        }
        self.sweep = self.sweep.max(self.rest);
    }

    /// Pins and links are being looked after.
    pub fn looked(&mut self, now: Instant) {
        self.look = now + LOOK;
    }
}

/// A boot time in ns as an instant of this process.
pub fn instant(boot: u64) -> Instant {
    let left = boot.saturating_sub(boot_now());
    // A grant for good has no end; a day is as good as never.
    Instant::now() + Duration::from_nanos(left).min(Duration::from_secs(86_400))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    #[test]
    fn a_sweep_comes_when_the_next_grant_ends_and_within_a_second_while_there_are_any() {
        let now = Instant::now();
        let mut rounds = Rounds::new(now);
        assert!(rounds.sweeps(now) && rounds.looks(now));
        rounds.swept(&Seen { begun: Instant::now(), next: None, is_awaited: false });
        assert!(rounds.sweep > now + IDLE_SWEEP - SWEEP && !rounds.sweeps(now));
        rounds.sweep_by(boot_now() + SECOND / 2);
        assert!(rounds.sweep < now + SWEEP);
        rounds.swept(&Seen { begun: Instant::now(), next: Some(boot_now() + 60 * SECOND), is_awaited: false });
        assert!(rounds.sweep < now + IDLE_SWEEP);
        rounds.swept(&Seen { begun: Instant::now(), next: None, is_awaited: true });
        assert!(rounds.sweep < now + IDLE_SWEEP);
    }

    #[test]
    fn after_a_long_sweep_there_is_none_for_many_times_as_long() {
        let now = Instant::now();
        let mut rounds = Rounds::new(now);
        // As if it had taken ten seconds.
        let seen = |next| Seen { begun: Instant::now() - Duration::from_secs(10), next, is_awaited: true };
        rounds.swept(&seen(Some(boot_now() + SECOND)));
        assert!(rounds.sweep >= now + Duration::from_secs(200));
        rounds.sweep_by(boot_now());
        rounds.sweep_soon();
        assert!(rounds.sweep >= now + Duration::from_secs(200) && rounds.rests(now));
        // What goes with a sweep does not wait.
        rounds.hurry_now();
        assert!(rounds.sweeps(Instant::now()) && rounds.rests(Instant::now()) && !rounds.sweeps(Instant::now()));
        // There is more to take out.
        rounds.swept(&seen(Some(0)));
        assert!(rounds.sweep < now + Duration::from_secs(60));
    }
}
