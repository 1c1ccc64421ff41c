//! Waking up at a moment, and not before. The runtime's timers wake it up on the way there as well, up to three times
//! for one of five seconds, to sort themselves.

use std::future::poll_fn;
use std::os::fd::OwnedFd;
use std::task::ready;
use std::time::Duration;

use anyhow::{Context as _, Result};
use rustix::io::{Errno, read};
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create, timerfd_settime,
};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::time::Instant;

/// The alarm: timerfd_create(2).
pub struct Alarm {
    timer: AsyncFd<OwnedFd>,
    /// What it is set to.
    at: Option<Instant>,
}

impl Alarm {
    /// One that is not set.
    ///
    /// # Errors
    ///
    /// If there is no descriptor left.
    pub fn new() -> Result<Self> {
        let timer = timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC)
            .context("no timer")?;
        // SAFETY: the timer owns its descriptor, and keeps it open until it is dropped.
        let timer = unsafe { AsyncFd::register_with_interest(timer, Interest::READABLE) }
            .map_err(|error| anyhow::anyhow!("the timer cannot be awaited: {error}"))?;
        Ok(Self { timer, at: None })
    }

    /// Waits until this moment. Who drops it and waits for the same one again loses nothing.
    ///
    /// # Errors
    ///
    /// If the kernel does not take the time.
    pub async fn at(&mut self, moment: Instant) -> Result<()> {
        if self.at != Some(moment) {
            self.set(moment.saturating_duration_since(Instant::now()))?;
            self.at = Some(moment);
        }
        poll_fn(|context| {
            loop {
                let mut guard = ready!(self.timer.poll_read_ready(context))?;
                match read(guard.get_inner(), &mut [0; 8]) {
                    // It rang for a moment that was waited for before.
                    Err(Errno::AGAIN) => guard.clear_ready(),
                    read => return std::task::Poll::Ready(read.map(drop).context("the timer")),
                }
            }
        })
        .await?;
        self.at = None;
        Ok(())
    }

    fn set(&self, left: Duration) -> Result<()> {
        // Zero would turn it off.
        let left = left.max(Duration::from_nanos(1));
        let zero = Timespec { tv_sec: 0, tv_nsec: 0 };
        let value = Timespec { tv_sec: i64::try_from(left.as_secs())?, tv_nsec: left.subsec_nanos().into() };
        timerfd_settime(
            self.timer.get_ref(),
            TimerfdTimerFlags::empty(),
            &Itimerspec { it_interval: zero, it_value: value },
        )
        .context("the timer")?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(test: impl Future<Output = ()>) {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(test);
    }

    #[test]
    fn it_rings_at_its_moment() {
        run(async {
            let mut alarm = Alarm::new().unwrap();
            for wait in [0, 20, 5] {
                let moment = Instant::now() + Duration::from_millis(wait);
                alarm.at(moment).await.unwrap();
                assert!(Instant::now() >= moment);
            }
        });
    }

    #[test]
    fn another_moment_takes_the_place_of_the_first() {
        run(async {
            let mut alarm = Alarm::new().unwrap();
            let (near, far) = (Instant::now() + Duration::from_millis(10), Instant::now() + Duration::from_millis(60));
            // Dropped when it has rung, before anybody took notice.
            let waited = tokio::time::timeout(Duration::ZERO, alarm.at(near)).await;
            assert!(waited.is_err());
            std::thread::sleep(Duration::from_millis(20));
            alarm.at(far).await.unwrap();
            assert!(Instant::now() >= far);
        });
    }

    #[test]
    fn a_moment_that_has_passed_rings_at_once() {
        run(async {
            let mut alarm = Alarm::new().unwrap();
            alarm.at(Instant::now()).await.unwrap();
            let passed = Instant::now();
            alarm.at(passed).await.unwrap();
            alarm.at(passed).await.unwrap();
        });
    }
}
