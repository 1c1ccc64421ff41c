//! The end of connections that were let in, which nothing but `--cut` brings about.

use std::collections::HashSet;
use std::net::IpAddr;

use anyhow::{Context as _, Result};
use knock_common::addr::Addr;
use knock_common::packet::Transport;

use crate::firewall::State;
use crate::host::{conntrack, sockets};
use crate::settings::Port;

/// Ends the connections of sources that are `meant` with ports of a service, or of all: destroys the sockets of this host
/// (the other end gets a reset), takes out what conntrack tracks, and forgets the flows, so that what is forwarded is denied
/// from its next packet on. Says how many connections those were.
///
/// # Errors
///
/// If one of these cannot be done; what was done before stays so.
pub fn cut(state: &mut State, meant: impl Fn(&Addr) -> bool, service: Option<u32>) -> Result<usize> {
    let services = state.services()?;
    let mut ports = HashSet::new();
    for (number, transport, index) in state.protected()? {
        let tag = services.get(index as usize).map(|service| service.tag);
        if service.is_none_or(|wanted| tag == Some(wanted)) {
            let transport = if transport == "udp" { Transport::Udp } else { Transport::Tcp };
            ports.insert(Port { number, transport });
        }
    }
    let is_protected = |port: Port| ports.contains(&port);
    let is_meant = |ip: IpAddr| meant(&Addr::from(ip));
    // The same connection may be a flow, a socket and an entry of conntrack.
    let mut ends = HashSet::new();
    // First the flows: what comes meanwhile notes none, for its grant is gone.
    let mut flows = state.flows()?;
    flows.retain(|flow| {
        let transport = if flow.key.is_udp() { Transport::Udp } else { Transport::Tcp };
        meant(&flow.key.source) && is_protected(Port { number: flow.key.dport, transport })
    });
    for flow in &flows {
        ends.insert((IpAddr::from(flow.key.source), flow.key.sport, flow.key.dport, flow.key.is_udp()));
    }
    state.forget_flows(&flows)?;
    let tracked = conntrack::dump(|entry| {
        let (source, port) = (entry.original.source, entry.original.destination_port);
        is_meant(source) && is_protected(Port { number: port, transport: entry.transport })
    });
    let tracked = tracked.context("connections that are tracked cannot be listed")?.unwrap_or_default();
    for entry in tracked.iter().filter(|entry| entry.stands()) {
        let (tuple, is_udp) = (&entry.original, entry.transport == Transport::Udp);
        ends.insert((tuple.source, tuple.source_port, tuple.destination_port, is_udp));
    }
    conntrack::delete(&tracked).context("connections that are tracked cannot be taken out")?;
    let own = sockets::connections(is_protected).context("the connections of this host cannot be listed")?;
    for connection in own.iter().filter(|connection| is_meant(connection.remote.ip())) {
        let (remote, is_udp) = (connection.remote, connection.transport == Transport::Udp);
        ends.insert((remote.ip(), remote.port(), connection.local.port(), is_udp));
    }
    sockets::destroy(is_meant, is_protected).context("the connections of this host cannot be ended")?;
    Ok(ends.len())
}
