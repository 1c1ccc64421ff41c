//! Changes of links and addresses, as the kernel announces them (rtnetlink(7)).

use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use futures_util::StreamExt as _;
use futures_util::stream::BoxStream;
use log::{info, warn};
use rtnetlink::MulticastGroup;
use rtnetlink::packet_core::{NetlinkMessage, NetlinkPayload};
use rtnetlink::packet_route::RouteNetlinkMessage;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::Daemon;
use super::record::Record;
use crate::firewall::{Firewall, Interface};
use crate::host::addresses;

/// What is told while it is so.
const NOT_FOLLOWED: &str = "interfaces cannot be followed";

/// How often pins and links are looked after: with each sweep, and without one where a large table makes it rare. A
/// little more than the idle sweep, so that it causes no wake-up of its own.
const LOOK: Duration = Duration::from_millis(5_200);
/// How often interfaces that could not have the gate are tried again, though nothing about them has changed: some
/// drivers write to the kernel's log each time that they refuse.
const RETRY: Duration = Duration::from_secs(30);

/// The announcements.
pub struct Links {
    messages: BoxStream<'static, NetlinkMessage<RouteNetlinkMessage>>,
    connection: JoinHandle<()>,
}

/// What was announced.
#[derive(Debug, PartialEq, Eq)]
pub enum Announced {
    /// Something about these interfaces, as they were then, and maybe about addresses.
    Some(Vec<Interface>, bool),
    /// Announcements were lost: anything may have changed.
    Lost,
}

impl Announced {
    /// True if it may concern the gate.
    pub fn concerns(&self, firewall: &Firewall) -> bool {
        match self {
            Self::Some(links, _) => links.iter().any(|link| firewall.cares_for(link)),
            Self::Lost => true,
        }
    }
}

impl Links {
    /// Begins to listen.
    ///
    /// # Errors
    ///
    /// If netlink cannot be used.
    pub fn open() -> Result<Self> {
        let groups = [&[MulticastGroup::Link], &addresses::CHANGES[..]].concat();
        let (connection, _, messages) = rtnetlink::new_multicast_connection(&groups)
            .context("changes of interfaces cannot be followed by netlink")?;
        let messages = messages.map(|(message, _)| message).boxed();
        Ok(Self { messages, connection: tokio::spawn(connection) })
    }

    /// Waits for announcements and takes all that are there.
    ///
    /// # Errors
    ///
    /// If the kernel announces nothing any more.
    pub async fn next(&mut self) -> Result<Announced> {
        let (mut found, mut addresses) = (Vec::new(), false);
        let mut next = self.messages.next().await;
        loop {
            let Some(message) = next else { bail!("netlink has closed: changes of interfaces cannot be followed") };
            match message.payload {
                NetlinkPayload::InnerMessage(
                    RouteNetlinkMessage::NewLink(link) | RouteNetlinkMessage::DelLink(link),
                ) => found.extend(Interface::announced(&link)),
                NetlinkPayload::InnerMessage(
                    RouteNetlinkMessage::NewAddress(_) | RouteNetlinkMessage::DelAddress(_),
                ) => addresses = true,
                NetlinkPayload::Overrun(_) => {
                    self.skip().await;
                    return Ok(Announced::Lost);
                }
                _ => {}
            }
            match futures_util::poll!(self.messages.next()) {
                std::task::Poll::Ready(message) => next = message,
                std::task::Poll::Pending => return Ok(Announced::Some(found, addresses)),
            }
        }
    }

    /// Passes over what is there: everything is looked at anew.
    async fn skip(&mut self) {
        while let std::task::Poll::Ready(Some(_)) = futures_util::poll!(self.messages.next()) {}
    }
}

impl Drop for Links {
    fn drop(&mut self) {
        self.connection.abort();
    }
}

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
        self.next_look = now + LOOK;
        self.follow_addresses();
        let retries = self.next_retry <= now && self.firewall.try_refused_again();
        if retries {
            self.next_retry = now + RETRY;
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
            self.log.append(&Record::of("link", text));
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
            self.log.append(&Record { interface: Some(change.interface().to_owned()), ..Record::of("link", text) });
        }
        if stood && self.firewall.attached().is_empty() {
            warn!("{}", self.standing());
        }
    }
}
