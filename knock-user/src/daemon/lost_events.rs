//! Events that the kernel could not tell of.

/// How many there were when the counter was read last.
#[derive(Default)]
pub struct LostEvents(Option<u64>);

impl LostEvents {
    /// How many more there are by now, as the counter stands at `count`. What was lost before the first look was
    /// another daemon's to say.
    pub const fn more(&mut self, count: u64) -> u64 {
        let before = match self.0 {
            Some(before) => before,
            None => count,
        };
        self.0 = Some(count);
        count.saturating_sub(before)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_lost_event_is_said_once_and_those_before_the_daemon_never() {
        let mut lost = LostEvents::default();
        assert_eq!([7, 7, 9, 9, 10].map(|count| lost.more(count)), [0, 0, 2, 0, 1]);
    }

    #[test]
    fn a_counter_that_begins_anew_is_followed() {
        let mut lost = LostEvents::default();
        assert_eq!([7, 0, 2].map(|count| lost.more(count)), [0, 0, 2]);
    }
}
