//! The breath that is taken where the kernel tells of more than is read at once.

use std::time::Duration;

use tokio::time::Instant;

/// How long no events are read after as many as are read at once: who can make the kernel tell of a million a second is not to have a CPU of
/// the host for that. What does not fit into the ring buffer meanwhile is counted.
const BREATH: Duration = Duration::from_millis(20);

/// Until when no events are read.
#[derive(Default)]
pub struct Breath(Option<Instant>);

impl Breath {
    /// As many events as are read at once were there.
    pub fn take(&mut self, now: Instant) {
        self.0 = Some(now + BREATH);
    }

    /// Looks whether it is over.
    pub fn tick(&mut self, now: Instant) {
        self.0 = self.0.filter(|until| *until > now);
    }

    /// True while no events are read.
    pub const fn lasts(&self) -> bool {
        self.0.is_some()
    }

    /// When it is over.
    pub const fn wake(&self) -> Option<Instant> {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_read_until_there_were_too_many_and_again_after_a_while() {
        let now = Instant::now();
        let mut breath = Breath::default();
        assert!(!breath.lasts() && breath.wake().is_none());
        breath.take(now);
        assert_eq!(breath.wake(), Some(now + BREATH));
        breath.tick(now + BREATH - Duration::from_nanos(1));
        assert!(breath.lasts());
        breath.tick(now + BREATH);
        assert!(!breath.lasts() && breath.wake().is_none());
    }
}
