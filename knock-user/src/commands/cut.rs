//! The end of connections that were let in, which nothing but `--cut` brings about.

use std::collections::HashSet;
use std::net::{IpAddr, SocketAddr};

use anyhow::{Context as _, Error, Result};
use knock_common::addr::Addr;
use knock_common::packet::Transport;

use crate::host::sockets::Connection;
use crate::host::{addresses, conntrack, sockets};
use crate::kernel::{Arrivals, State};
use crate::syntax::Port;

/// What came of it.
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
/// A link-local source belongs to an interface, which a socket tells, maybe by the bridge that it is a port of. Conntrack
/// does not: what it tracks of such a source stays, for it may be another's, and lets nobody in.
///
/// # Errors
///
/// If the rules or the flows cannot be read.
pub fn cut(state: &mut State, meant: impl Fn(&Addr) -> bool, service: Option<u32>) -> Result<Cut> {
    let owners = state.owners()?;
    let is_of_service = |tag: u32| service.is_none_or(|wanted| wanted == tag);
    let is_protected = |port: Port| owners.get(&port).is_some_and(|tag| is_of_service(*tag));
    let is_meant = |ip: IpAddr| meant(&Addr::from(ip));
    let own = addresses::own_addresses().context("the addresses of this host cannot be listed")?;
    // The same connection may be a flow, a socket and an entry of conntrack: source, its port, the port, and whether it is UDP.
    let (mut ended, mut forwarded) = (HashSet::new(), HashSet::new());
    let mut note = |source: SocketAddr, dest: SocketAddr, is_udp: bool| {
        let is_forwarded = !is_udp && !own.iter().any(|net| net.contains(&dest.ip()));
        let ends = if is_forwarded { &mut forwarded } else { &mut ended };
        ends.insert((source, dest.port(), is_udp));
    };
    // First the flows: what comes meanwhile notes none, for its grant is gone.
    let mut flows = state.flows()?;
    flows.retain(|flow| flow.service != 0 && is_of_service(flow.service) && meant(&flow.key.source));
    for key in flows.iter().map(|flow| flow.key) {
        let source = SocketAddr::new(key.source.into(), key.sport);
        let dest = SocketAddr::new(key.dest.destination(), key.dport);
        note(source, dest, key.is_udp());
    }
    let forgotten = state.forget_flows(&flows).map(drop);
    let tracked = conntrack::cut(is_meant, is_protected).context("connections that are tracked cannot be taken out");
    let tracked = tracked.map(|entries| {
        for entry in entries.iter().filter(|entry| entry.stands()) {
            let tuple = &entry.original;
            let ends = ((tuple.source, tuple.source_port).into(), (tuple.destination, tuple.destination_port).into());
            note(ends.0, ends.1, entry.transport == Transport::Udp);
        }
    });
    let destroyed = destroy(&meant, is_protected).context("the connections of this host cannot be ended");
    let destroyed = destroyed.map(|connections| {
        for connection in connections {
            note(connection.remote, connection.local, connection.transport == Transport::Udp);
        }
    });
    let failed = [forgotten, tracked, destroyed].into_iter().find_map(Result::err);
    Ok(Cut { ended: ended.len(), forwarded: forwarded.len(), failed })
}

/// Ends the sockets of this host with ports that are `wanted` whose other end is `meant`.
fn destroy(meant: impl Fn(&Addr) -> bool, wanted: impl Fn(Port) -> bool) -> Result<Vec<Connection>> {
    let mut connections = sockets::connections(wanted)?;
    let arrivals = Arrivals::of(&connections)?;
    connections.retain(|connection| arrivals.sources(connection).iter().any(&meant));
    Ok(sockets::destroy(connections)?)
}
