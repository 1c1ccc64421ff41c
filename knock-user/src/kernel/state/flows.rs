//! Connections that were let in, as the pinned table has them (rule 19).

use std::collections::HashSet;
use std::os::fd::AsFd as _;

use anyhow::{Context as _, Result};
use aya::maps::{IterableMap, MapData};
use knock_common::abi::flow::{FlowKey, FlowState, Phase};
use knock_common::abi::layout::name;
use knock_common::addr::Addr;
use knock_common::packet::Transport;

use super::{State, was_there};
use crate::kernel::pod::{FlowRecord, Plain};
use crate::kernel::sys::{self, boot_now};
use crate::syntax::Port;

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
        let owners = self.owners()?;
        let mut flows = Vec::new();
        self.each_flow(|key, state| {
            let transport = if key.is_udp() { Transport::Udp } else { Transport::Tcp };
            let service = owners.get(&Port { number: key.dport, transport }).copied().unwrap_or(0);
            flows.push(FlowEntry { key, state, service });
        })?;
        flows.sort_unstable_by_key(|flow| flow.key);
        Ok(flows)
    }

    /// The [sites](Addr::site) of all of them.
    ///
    /// # Errors
    ///
    /// Of bpf(2).
    pub fn flow_sites(&self) -> Result<HashSet<Addr>> {
        let mut sites = HashSet::new();
        self.each_flow(|key, _| {
            sites.insert(key.source.site());
        })?;
        Ok(sites)
    }

    /// The same, in no order.
    fn each_flow(&self, mut each: impl FnMut(FlowKey, FlowState)) -> Result<()> {
        let (now, idle) = (boot_now(), self.flow_idle()?);
        let each = |key: Plain<FlowKey>, record: Plain<FlowRecord>| {
            let (key, state) = (key.0, FlowState(record.0.state));
            if state.is_live(key.is_udp(), now, idle) && state.phase() != Some(Phase::Closing) {
                each(key, state);
            }
        };
        self.lru(name::FLOWS, |table: Table<'_>| {
            sys::each(IterableMap::map(&table).fd().as_fd(), each).context("connections cannot be read")
        })
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
