//! The gate on interfaces that come, go and change, and what is put back that somebody took away.

use log::{info, warn};
use tokio::time::Instant;

use super::Daemon;
use super::event_log::Record;
use super::netlink::Announced;

/// What is told while it is so.
const NOT_FOLLOWED: &str = "interfaces cannot be followed";

impl Daemon {
    pub(super) fn on_links(&mut self, announced: &Announced) {
        if matches!(announced, Announced::Lost | Announced::Some(_, true)) {
            self.follow_addresses();
        }
        if *announced == Announced::Lost {
            info!("too many changes of interfaces at once: they are listed anew");
        }
        if announced.concerns(&self.firewall) {
            if let Announced::Some(links, _) = announced {
                links.iter().for_each(|link| self.firewall.hurry(link));
            }
            self.follow_links();
        }
    }

    /// Networks that are this host's by routes alone are announced among all routes, and found by the next look.
    fn follow_addresses(&mut self) {
        let followed = self.firewall.follow_addresses();
        let _ = self.troubles.tell("probes may learn on which ports this host listens", followed);
    }

    /// Puts back what somebody has taken away, and tries again where the gate could not stand.
    pub(super) fn look_after_gate(&mut self, now: Instant) {
        self.rounds.looked(now);
        self.follow_addresses();
        let retries = self.rounds.may_retry(now) && self.firewall.try_refused_again();
        if retries {
            self.rounds.retried(now);
        }
        if retries || self.firewall.is_damaged() || self.troubles.has(NOT_FOLLOWED) {
            self.follow_links();
            self.notify.standing(&self.standing());
        }
    }

    /// Puts back what somebody has removed by hand. As long as that cannot be, it is tried again with every sweep,
    /// and said once.
    pub(super) fn put_pins_back(&mut self) {
        let mended = self.troubles.tell("THE PINS ARE GONE, and cannot be put back", self.firewall.mend());
        for text in mended.unwrap_or_default() {
            warn!("{text}");
            self.logbook.append(&Record::of("link", text));
        }
    }

    /// Brings the gate to the interfaces as they are now; with the next sweep, if it cannot.
    pub(super) fn follow_links(&mut self) {
        self.put_pins_back();
        let stood = !self.firewall.attached().is_empty();
        let changes = self.firewall.follow();
        for change in self.troubles.tell(NOT_FOLLOWED, changes).unwrap_or_default() {
            let text = change.text();
            if change.is_alarming() {
                warn!("{text}");
            } else {
                info!("{text}");
            }
            self.logbook.append(&Record { interface: Some(change.interface().to_owned()), ..Record::of("link", text) });
        }
        if stood && self.firewall.attached().is_empty() {
            warn!("{}", self.standing());
        }
    }
}
