//! Changes of links and addresses, as the kernel announces them (rtnetlink(7)).

use anyhow::{Context as _, Result, bail};
use futures_util::StreamExt as _;
use futures_util::stream::BoxStream;
use rtnetlink::MulticastGroup;
use rtnetlink::packet_core::{NetlinkMessage, NetlinkPayload};
use rtnetlink::packet_route::RouteNetlinkMessage;
use tokio::task::JoinHandle;

use crate::host::addresses;
use crate::kernel::Interface;

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
    /// True if it may concern the gate, which `cares_for` some interfaces.
    pub fn concerns(&self, cares_for: impl Fn(&Interface) -> bool) -> bool {
        match self {
            Self::Some(links, _) => links.iter().any(cares_for),
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
