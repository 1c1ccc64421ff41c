//! The end of connections that were let in, which nothing but `--cut` brings about.

use std::collections::HashSet;
use std::net::IpAddr;

use anyhow::{Context as _, Error, Result};
use knock_common::addr::Addr;
use knock_common::packet::Transport;

use crate::firewall::State;
use crate::host::{addresses, conntrack, sockets};
use crate::settings::Port;

/// What came of it.
#[derive(Default)]
pub struct Cut {
    /// Connections that were ended.
    pub ended: usize,
    /// Connections of TCP that are only forwarded, to an address that is not this host's: a segment that asks for nothing
    /// passes there without a flow.
    pub forwarded: usize,
    /// What could not be done.
    pub failed: Option<Error>,
}

/// Ends the connections of sources that are `meant` with ports of a service, or of all: forgets the flows, takes out what
/// conntrack tracks, and destroys the sockets of this host (the other end gets a reset). One that fails keeps none of the
/// others from being done.
///
/// # Errors
///
/// If the rules or the flows cannot be read.
pub fn cut(state: &mut State, meant: impl Fn(&Addr) -> bool, service: Option<u32>) -> Result<Cut> {
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
    let own = addresses::own_addresses().context("the addresses of this host cannot be listed")?;
    let is_forwarded = |dest: IpAddr, is_udp: bool| !is_udp && !own.iter().any(|net| net.contains(&dest));
    // The same connection may be a flow, a socket and an entry of conntrack: source, its port, the port, and whether it is UDP.
    let (mut ends, mut forwarded) = (HashSet::new(), HashSet::new());
    let mut note = |source: IpAddr, sport: u16, dest: IpAddr, dport: u16, is_udp: bool| {
        let ends = if is_forwarded(dest, is_udp) { &mut forwarded } else { &mut ends };
        ends.insert((source, sport, dport, is_udp));
    };
    let mut failed = None;
    let mut tried = |outcome: Result<()>| {
        if let Err(error) = outcome {
            failed.get_or_insert(error);
        }
    };
    // First the flows: what comes meanwhile notes none, for its grant is gone.
    let mut flows = state.flows()?;
    flows.retain(|flow| {
        let transport = if flow.key.is_udp() { Transport::Udp } else { Transport::Tcp };
        meant(&flow.key.source) && is_protected(Port { number: flow.key.dport, transport })
    });
    for flow in &flows {
        let key = &flow.key;
        note(key.source.into(), key.sport, key.dest.into(), key.dport, key.is_udp());
    }
    tried(state.forget_flows(&flows).map(drop));
    tried(track(&is_meant, &is_protected, &mut note));
    tried(own_sockets(&is_meant, &is_protected, &mut note));
    Ok(Cut { ended: ends.len(), forwarded: forwarded.len(), failed })
}

/// Takes out what conntrack tracks.
fn track(
    is_meant: &impl Fn(IpAddr) -> bool,
    is_protected: &impl Fn(Port) -> bool,
    note: &mut impl FnMut(IpAddr, u16, IpAddr, u16, bool),
) -> Result<()> {
    let tracked = conntrack::dump(|entry| {
        let (source, port) = (entry.original.source, entry.original.destination_port);
        is_meant(source) && is_protected(Port { number: port, transport: entry.transport })
    });
    let tracked = tracked.context("connections that are tracked cannot be listed")?.unwrap_or_default();
    for entry in tracked.iter().filter(|entry| entry.stands()) {
        let tuple = &entry.original;
        let is_udp = entry.transport == Transport::Udp;
        note(tuple.source, tuple.source_port, tuple.destination, tuple.destination_port, is_udp);
    }
    conntrack::delete(&tracked).context("connections that are tracked cannot be taken out")?;
    Ok(())
}

/// Destroys the sockets of this host.
fn own_sockets(
    is_meant: &impl Fn(IpAddr) -> bool,
    is_protected: &impl Fn(Port) -> bool,
    note: &mut impl FnMut(IpAddr, u16, IpAddr, u16, bool),
) -> Result<()> {
    let found = sockets::connections(is_protected).context("the connections of this host cannot be listed")?;
    sockets::destroy(is_meant, is_protected).context("the connections of this host cannot be ended")?;
    for connection in found.iter().filter(|connection| is_meant(connection.remote.ip())) {
        let (remote, local) = (connection.remote, connection.local);
        note(remote.ip(), remote.port(), local.ip(), local.port(), connection.transport == Transport::Udp);
    }
    Ok(())
}
