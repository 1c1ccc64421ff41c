//! When to knock again.

use std::time::Duration;

/// The first pause after a knock that could not be sent; it doubles up to the period.
const BACKOFF: Duration = Duration::from_secs(1);

/// How often to knock on a door that stays open for `open_for`: a sixth sooner, at least half a second
/// and at most 15 s, and earlier by what the knock itself takes. `None` if that leaves no time.
pub(super) fn period(open_for: Duration, delay: Duration, steps: usize) -> Option<Duration> {
    let margin = (open_for / 6).clamp(Duration::from_millis(500), Duration::from_secs(15));
    let pauses = u32::try_from(steps.saturating_sub(1)).ok()?;
    open_for.checked_sub(margin)?.checked_sub(delay.checked_mul(pauses)?).filter(|left| *left >= margin / 2)
}

/// Up to a tenth sooner, so that many clients do not knock in step, and a watcher sees no clock.
pub(super) fn jittered(period: Duration) -> Duration {
    period.mul_f64(1.0 - fastrand::f64() / 10.0)
}

/// The pause after this many failures in a row.
pub(super) fn backoff(failures: u32, period: Duration) -> Duration {
    BACKOFF.saturating_mul(1 << failures.saturating_sub(1).min(16)).min(period)
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: Duration = Duration::from_secs(1);

    #[test]
    fn the_next_knock_comes_before_the_door_closes() {
        let ms = Duration::from_millis;
        assert_eq!(period(60 * S, ms(10), 3), Some(50 * S - ms(20)));
        assert_eq!(period(3600 * S, Duration::ZERO, 4), Some(3585 * S));
        assert_eq!(period(4 * S, Duration::ZERO, 3), Some(4 * S - 4 * S / 6));
        assert_eq!(period(S, Duration::ZERO, 1), Some(ms(500)));
        for (open_for, delay, steps) in [(ms(400), S, 1), (2 * S, S, 3), (S, ms(400), 2)] {
            assert_eq!(period(open_for, delay, steps), None, "{open_for:?}");
        }
    }

    #[test]
    fn jitter_is_early_and_never_late() {
        for _ in 0..1000 {
            let pause = jittered(50 * S);
            assert!((45 * S..=50 * S).contains(&pause), "{pause:?}");
        }
    }

    #[test]
    fn failures_wait_longer_each_time_up_to_the_period() {
        let waits: Vec<u64> = [1, 2, 3, 4, 7, 40, u32::MAX].map(|n| backoff(n, 50 * S).as_secs()).into();
        assert_eq!(waits, [1, 2, 4, 8, 50, 50, 50]);
    }
}
