//! Every pause of a second or more, with its reason. Everything else waits for a state: see [`super::until`].
//!
//! `cargo xtask lint` refuses longer sleeps elsewhere.

use std::thread;
use std::time::Duration;

/// Why a test does nothing for a while.
#[derive(Clone, Copy, Debug)]
pub enum Pause {
    /// A second start or stop command would have run by then: the daemon sweeps once a second.
    NoOtherHook,
    /// The same, where the first one takes two seconds itself.
    NoOtherSlowHook,
    /// A trial of eight seconds would have ended by then, if it had not been confirmed.
    NoEndOfTrial,
    /// A watchdog of two seconds would have ended a daemon that hangs by then.
    NoWatchdog,
    /// A refused interface is tried once more with the next sweep of the links. What comes after that is what counts.
    SweepOfLinks,
    /// A limit per second is seen over more than one second.
    LimitPerSecond,
    /// The same over more than two.
    LimitOverSeconds,
    /// Traffic inside a tunnel once a second, for three windows of its grant.
    TrafficOfTunnel,
    /// A flow that may be idle for three seconds is idle for longer.
    IdleFlow,
    /// A host sends one source one ICMP error a second.
    IcmpError,
    /// Before a scan that found nothing asks again.
    Rescan,
    /// Another program settles before its memory is measured: it does not say when it has.
    Settle,
    /// What a test has begun must go on for this long: calls that fail, sweeps that are measured, a timeout of another
    /// program that is compared with ours.
    Rest(Duration),
}

impl Pause {
    const fn length(self) -> Duration {
        match self {
            Self::TrafficOfTunnel | Self::Settle => Duration::from_secs(1),
            Self::IcmpError => Duration::from_millis(1100),
            Self::LimitPerSecond => Duration::from_millis(1500),
            Self::NoOtherHook | Self::Rescan => Duration::from_secs(2),
            Self::LimitOverSeconds => Duration::from_millis(2500),
            Self::NoOtherSlowHook => Duration::from_secs(3),
            Self::IdleFlow => Duration::from_millis(4500),
            Self::NoWatchdog => Duration::from_secs(5),
            Self::SweepOfLinks => Duration::from_secs(6),
            Self::NoEndOfTrial => Duration::from_secs(9),
            Self::Rest(time) => time,
        }
    }
}

/// Does nothing, for this reason.
pub fn pause(why: Pause) {
    thread::sleep(why.length());
}
