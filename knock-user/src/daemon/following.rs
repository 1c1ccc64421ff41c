//! The gate on interfaces that come, go and change, and what is put back that somebody took away.

use std::time::Duration;

use anyhow::Result;
use log::{info, warn};
use tokio::time::Instant;

use super::event_log::Record;
use super::logbook::Logbook;
use super::netlink::Announced;
use super::troubles::Troubles;
use crate::kernel::{Firewall, Interface, InterfaceChange};

/// What is told while it is so.
const NOT_FOLLOWED: &str = "interfaces cannot be followed";

/// How often interfaces that could not have the gate are tried again, though nothing about them has changed: some
/// drivers write to the kernel's log each time that they refuse.
const RETRY: Duration = Duration::from_secs(30);

/// What is asked of the gate here.
pub trait Gate {
    /// True if a change of the interface may concern it.
    fn cares_for(&self, link: &Interface) -> bool;
    /// Puts it on an interface that has just been announced, before all are looked at.
    fn hurry(&mut self, link: &Interface);
    /// Brings it to the interfaces that there are now.
    fn follow(&mut self) -> Result<Vec<InterfaceChange>>;
    /// Tells it which addresses are this host's.
    fn follow_addresses(&mut self) -> Result<()>;
    /// Has the next [`Self::follow`] try interfaces again that were refused. False if there are none.
    fn try_refused_again(&mut self) -> bool;
    /// True if somebody has taken something of it away.
    fn is_damaged(&self) -> bool;
    /// Puts that back, but for links. Says what.
    fn mend(&mut self) -> Result<Vec<String>>;
    /// Where it stands; `Err` with why, if it stands nowhere.
    fn places(&self) -> Result<String, String>;

    /// The same in words.
    fn standing(&self) -> String {
        match self.places() {
            Err(why) => format!("on no interface: NOTHING IS PROTECTED: {why}"),
            Ok(places) => format!("{places}: the gate stands"),
        }
    }
}

impl Gate for Firewall {
    fn cares_for(&self, link: &Interface) -> bool {
        self.cares_for(link)
    }

    fn hurry(&mut self, link: &Interface) {
        self.hurry(link);
    }

    fn follow(&mut self) -> Result<Vec<InterfaceChange>> {
        self.follow()
    }

    fn follow_addresses(&mut self) -> Result<()> {
        self.follow_addresses()
    }

    fn try_refused_again(&mut self) -> bool {
        self.try_refused_again()
    }

    fn is_damaged(&self) -> bool {
        self.is_damaged()
    }

    fn mend(&mut self) -> Result<Vec<String>> {
        self.mend()
    }

    fn places(&self) -> Result<String, String> {
        let all = self.attached().iter().map(|attached| format!("{} ({})", attached.name, attached.mode.name()));
        self.nowhere().map_or_else(|| Ok(all.collect::<Vec<_>>().join(", ")), Err)
    }
}

/// What is remembered, and where it is told what comes of it.
pub struct Following {
    /// Not before then are interfaces tried again that were refused.
    retry: Instant,
}

/// Where it is told what comes of it.
pub struct Telling<'a> {
    pub troubles: &'a mut Troubles,
    pub logbook: &'a mut Logbook,
}

impl Following {
    /// What was refused may be tried again at once.
    pub const fn new(now: Instant) -> Self {
        Self { retry: now }
    }

    /// Something was announced.
    pub fn hear(announced: &Announced, gate: &mut impl Gate, telling: &mut Telling<'_>) {
        if matches!(announced, Announced::Lost | Announced::Some(_, true)) {
            follow_addresses(gate, telling);
        }
        if *announced == Announced::Lost {
            info!("too many changes of interfaces at once: they are listed anew");
        }
        if announced.concerns(|link| gate.cares_for(link)) {
            if let Announced::Some(links, _) = announced {
                links.iter().for_each(|link| gate.hurry(link));
            }
            Self::follow(gate, telling);
        }
    }

    /// Puts back what somebody has taken away, and tries again where the gate could not stand. True if it may stand
    /// elsewhere now.
    pub fn look_after(&mut self, now: Instant, gate: &mut impl Gate, telling: &mut Telling<'_>) -> bool {
        follow_addresses(gate, telling);
        let retries = self.retry <= now && gate.try_refused_again();
        if retries {
            self.retry = now + RETRY;
        }
        let follows = retries || gate.is_damaged() || telling.troubles.has(NOT_FOLLOWED);
        if follows {
            Self::follow(gate, telling);
        }
        follows
    }

    /// Puts back what somebody has removed by hand. As long as that cannot be, it is tried again with every sweep,
    /// and said once.
    pub fn put_pins_back(gate: &mut impl Gate, telling: &mut Telling<'_>) {
        let mended = telling.troubles.tell("THE PINS ARE GONE, and cannot be put back", gate.mend());
        for text in mended.unwrap_or_default() {
            warn!("{text}");
            telling.logbook.append(&Record::of("link", text));
        }
    }

    /// Brings the gate to the interfaces as they are now; with the next look, if it cannot.
    pub fn follow(gate: &mut impl Gate, telling: &mut Telling<'_>) {
        Self::put_pins_back(gate, telling);
        let stood = gate.places().is_ok();
        let changes = gate.follow();
        for change in telling.troubles.tell(NOT_FOLLOWED, changes).unwrap_or_default() {
            let text = change.text();
            if change.is_alarming() {
                warn!("{text}");
            } else {
                info!("{text}");
            }
            let interface = Some(change.interface().to_owned());
            telling.logbook.append(&Record { interface, ..Record::of("link", text) });
        }
        if stood && gate.places().is_err() {
            warn!("{}", gate.standing());
        }
    }
}

/// Networks that are this host's by routes alone are announced among all routes, and found by the next look.
fn follow_addresses(gate: &mut impl Gate, telling: &mut Telling<'_>) {
    let followed = gate.follow_addresses();
    let _ = telling.troubles.tell("probes may learn on which ports this host listens", followed);
}

#[cfg(test)]
mod tests;
