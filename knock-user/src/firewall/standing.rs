//! Connections that were let in, as the pinned table has them (rule 19).

use std::collections::{HashMap, HashSet};
use std::os::fd::AsFd as _;

use anyhow::{Context as _, Result};
use aya::maps::{IterableMap, MapData};
use knock_common::addr::Addr;
use knock_common::flow::{FlowKey, FlowState, Phase};
use knock_common::layout::name;
use knock_common::packet::Transport;

use super::plain::{FlowRecord, Plain};
use super::state::{State, was_there};
use super::sys::{self, boot_now};

type Table<'a> = aya::maps::HashMap<&'a mut MapData, Plain<FlowKey>, Plain<FlowRecord>>;

/// A connection that was let in and has not ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FlowEntry {
    /// The map's key.
    pub key: FlowKey,
    /// The map's value.
    pub state: FlowState,
    /// Tag of the service that protects its port; 0 if none does by now.
    pub service: u32,
}

impl State {
    /// The connections that were let in and stand, as far as the gate has noted them: what was there before it and ends
    /// at a socket of this host is not among them. Those that the client has ended are left out.
    ///
    /// # Errors
    ///
    /// Of bpf(2).
    pub fn flows(&self) -> Result<Vec<FlowEntry>> {
        let (now, idle) = (boot_now(), self.flow_idle()?);
        let services = self.services()?;
        let mut ports = HashMap::new();
        for (number, transport, service) in self.protected()? {
            let transport = if transport == "udp" { Transport::Udp } else { Transport::Tcp };
            ports.insert((number, transport as u32), services.get(service as usize).map_or(0, |service| service.tag));
        }
        let mut flows = Vec::new();
        let each = |key: Plain<FlowKey>, record: Plain<FlowRecord>| {
            let (key, state) = (key.0, FlowState(record.0.state));
            if state.is_live(key.is_udp(), now, idle) && state.phase() != Some(Phase::Closing) {
                let service = ports.get(&(key.dport, key.transport)).copied().unwrap_or(0);
                flows.push(FlowEntry { key, state, service });
            }
        };
        self.lru(name::FLOWS, |table: Table<'_>| {
            sys::each(IterableMap::map(&table).fd().as_fd(), each).context("connections cannot be read")
        })?;
        flows.sort_unstable_by_key(|flow| flow.key);
        Ok(flows)
    }

    /// The [sites](knock_common::addr::Addr::site) of all of them.
    ///
    /// # Errors
    ///
    /// Of bpf(2).
    pub fn flow_sites(&self) -> Result<HashSet<Addr>> {
        let (now, idle) = (boot_now(), self.flow_idle()?);
        let mut sites = HashSet::new();
        let each = |key: Plain<FlowKey>, record: Plain<FlowRecord>| {
            let state = FlowState(record.0.state);
            if state.is_live(key.0.is_udp(), now, idle) && state.phase() != Some(Phase::Closing) {
                sites.insert(key.0.source.site());
            }
        };
        self.lru(name::FLOWS, |table: Table<'_>| {
            sys::each(IterableMap::map(&table).fd().as_fd(), each).context("connections cannot be read")
        })?;
        Ok(sites)
    }

    /// Forgets these connections: what no socket of this host owns is denied from now on. Says how many there were.
    ///
    /// # Errors
    ///
    /// Of bpf(2).
    pub fn forget_flows(&mut self, flows: &[FlowEntry]) -> Result<usize> {
        self.lru(name::FLOWS, |mut table: Table<'_>| {
            let mut count = 0;
            for flow in flows {
                let removed = was_there(table.remove(&Plain(flow.key))).context("a connection cannot be forgotten")?;
                count += usize::from(removed);
            }
            Ok(count)
        })
    }
}
