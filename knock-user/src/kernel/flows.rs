//! What the program has to know beside its rules so that no connection is cut (rule 19): which addresses are this
//! host's own, and which connections stood before it.

use std::collections::{BTreeSet, HashSet};
use std::net::SocketAddr;

use anyhow::{Context as _, Result};
use aya::maps::lpm_trie::Key;
use aya::maps::{HashMap, LpmTrie, MapData};
use ipnet::IpNet;
use knock_common::abi::flow::{FlowKey, FlowState, Phase};
use knock_common::abi::layout::name;
use knock_common::abi::rules::Role;
use knock_common::addr::{Addr, V4_BEGINS};
use knock_common::packet::Transport;
use log::{debug, warn};

use super::interfaces::arrival::Arrivals;
use super::pins::swap;
use super::pod::{FlowRecord, Plain};
use super::program::load::Program;
use super::state::was_there;
use super::sys::boot_now;
use crate::host::conntrack::Tuple;
use crate::host::{addresses, conntrack, sockets};
use crate::paths::Paths;
use crate::rules::RuleSet;
use crate::syntax::Port;

type Table<'a> = HashMap<&'a mut MapData, Plain<FlowKey>, Plain<FlowRecord>>;

/// Tells the program which addresses are this host's own, and takes out those that are gone.
///
/// # Errors
///
/// If the kernel cannot be asked, or the table takes not all of them.
pub fn tell_addresses(program: &mut Program) -> Result<()> {
    let own = addresses::own_addresses().context("the addresses of this host cannot be listed")?;
    let wanted: BTreeSet<(u32, Addr)> = own.iter().map(prefix).collect();
    let mut table: LpmTrie<&mut MapData, Plain<Addr>, u32> = program.map(name::OWN).try_into()?;
    let known = table.keys().map(|key| key.map(|key| (key.prefix_len(), key.data().0)));
    let known = known.collect::<Result<BTreeSet<_>, _>>()?;
    // First what is gone, which makes room.
    for (bits, addr) in known.difference(&wanted) {
        table.remove(&Key::new(*bits, Plain(*addr)))?;
    }
    for (bits, addr) in wanted.difference(&known) {
        let key = Key::new(*bits, Plain(*addr));
        table.insert(&key, 1, 0).context("an address of this host cannot be noted")?;
    }
    Ok(())
}

/// The same where nobody waits for it. Without an address of this host, a probe of a port there is taken for one that is
/// only forwarded, and the stack answers it.
pub fn tell_addresses_or_warn(program: &mut Program) {
    if let Err(error) = tell_addresses(program) {
        warn!("{error:#}: probes may learn on which ports this host listens");
    }
}

/// A network over the mapped form.
fn prefix(net: &IpNet) -> (u32, Addr) {
    let bits = u32::from(net.prefix_len()) + if net.addr().is_ipv4() { V4_BEGINS } else { 0 };
    (bits, Addr::from(net.network()))
}

/// Connections that stand already, on their way into the table: found before the gate judges them, and once more when it
/// does, for those that came meanwhile.
pub struct TakeOver {
    found: Vec<(FlowKey, Phase)>,
    /// What was noted, and is to be as it was written unless something was seen of it since.
    noted: Vec<(FlowKey, FlowState)>,
}

impl TakeOver {
    /// Asks for connections with ports that these rules protect. Nobody need be kept from changing the gate meanwhile:
    /// what somebody cuts until [`Self::finish`] is taken out by it. What cannot be asked of the kernel is told in the log.
    pub fn find(rules: &RuleSet) -> Self {
        Self { found: standing(rules).0, noted: Vec::new() }
    }

    /// Notes them. The gate stands whether or not it can be done.
    pub fn note(&mut self, program: &mut Program) {
        let found = std::mem::take(&mut self.found);
        match note(program, &found) {
            Ok(noted) => self.noted.extend(noted),
            Err(error) => warn!("{error:#}: forwarded ones may be cut"),
        }
    }

    /// Notes those that came meanwhile, with the program's rules, and forgets what is gone again. Nobody cuts a connection
    /// between the look and the note.
    pub fn finish(mut self, paths: &Paths, program: &mut Program) {
        let _held = swap::lock(paths).inspect_err(|error| warn!("{error:#}: a connection that is cut now may go on"));
        let (found, is_whole) = standing(program.rules());
        if is_whole && let Err(error) = self.forget_all_but(program, &found) {
            warn!("{error:#}: a connection that was cut a moment ago may go on");
        }
        self.found = found;
        self.note(program);
        debug!("{} connections that stand were noted", self.noted.len());
    }

    /// Forgets what was noted, is not found any more, and of which nothing was seen.
    fn forget_all_but(&mut self, program: &mut Program, found: &[(FlowKey, Phase)]) -> Result<()> {
        let found: HashSet<&FlowKey> = found.iter().map(|(key, _)| key).collect();
        let mut table: Table<'_> = program.map(name::FLOWS).try_into()?;
        for (key, state) in self.noted.extract_if(.., |(key, _)| !found.contains(key)) {
            if table.get(&Plain(key), 0).is_ok_and(|there| there.0.state == state.0) {
                was_there(table.remove(&Plain(key))).context("a connection cannot be forgotten")?;
            }
        }
        Ok(())
    }
}

/// Connections with protected ports that stand, as far as the kernel knows them and the gate needs to: those that conntrack
/// tracks, and those of this host's own sockets over link-local addresses, whose socket may belong to another interface than
/// the gate stands on. The gate finds other sockets of TCP by itself (rule 10). Says whether all could be asked.
fn standing(rules: &RuleSet) -> (Vec<(FlowKey, Phase)>, bool) {
    let protected = |port: Port| is_protected(rules, port);
    let (mut found, mut is_whole) = (Vec::new(), true);
    match forwarded(protected) {
        Ok(flows) => found.extend(flows),
        Err(error) => {
            is_whole = false;
            warn!("connections that stand cannot be asked for, and forwarded ones may be cut: {error:#}");
        }
    }
    match link_local(protected) {
        Ok(flows) => found.extend(flows),
        Err(error) => {
            is_whole = false;
            warn!("connections over link-local addresses cannot be asked for, and may be cut: {error:#}");
        }
    }
    (found, is_whole)
}

/// Of those that conntrack tracks, those that are not found by a look-up of their socket.
fn forwarded(protected: impl Fn(Port) -> bool) -> Result<Vec<(FlowKey, Phase)>> {
    // First: what has ended its socket meanwhile has an entry for longer.
    let tracked = conntrack::dump(|tracked| tracked.to_this_gate(&protected).next().is_some())?.unwrap_or_default();
    let own = match tracked.is_empty() {
        true => HashSet::new(),
        // They only take room.
        false => {
            sockets::everywhere(|number| protected(Port { number, transport: Transport::Tcp })).unwrap_or_default()
        }
    };
    let flows = tracked.iter().flat_map(|entry| entry.to_this_gate(&protected));
    let flows = flows.filter_map(|flow| {
        let Tuple { source, source_port, destination, destination_port } = flow.tuple;
        let (local, remote) = ((destination, destination_port).into(), (source, source_port).into());
        let is_own = flow.transport == Transport::Tcp && own.contains(&(local, remote));
        let source = Addr::from(source);
        // It is not known on which link a link-local source is.
        let is_needed = !is_own && !source.is_link_local();
        let phase = if flow.ending { Phase::Closing } else { Phase::Open };
        is_needed.then(|| (key_of(flow.transport, source, local, remote), phase))
    });
    Ok(flows.collect())
}

/// The key of a connection with these ends, whose remote one is this source to the gate.
fn key_of(transport: Transport, source: Addr, local: SocketAddr, remote: SocketAddr) -> FlowKey {
    FlowKey { source, dest: local.ip().into(), sport: remote.port(), dport: local.port(), transport: transport as u32 }
}

/// Those of this host over link-local addresses, under each interface on which their packets may come.
fn link_local(protected: impl Fn(Port) -> bool) -> Result<Vec<(FlowKey, Phase)>> {
    let mut connections = sockets::connections(protected)?;
    connections.retain(|connection| Addr::from(connection.remote.ip()).is_link_local());
    let arrivals = Arrivals::of(&connections)?;
    let flows = connections.iter().flat_map(|connection| {
        let key = |source| key_of(connection.transport, source, connection.local, connection.remote);
        arrivals.sources(connection).into_iter().map(move |source| (key(source), Phase::Open))
    });
    Ok(flows.collect())
}

/// Notes these connections, and says which were not noted yet.
fn note(program: &mut Program, found: &[(FlowKey, Phase)]) -> Result<Vec<(FlowKey, FlowState)>> {
    let (now, idle) = (boot_now(), program.settings().flow_idle);
    let mut table: Table<'_> = program.map(name::FLOWS).try_into()?;
    let mut noted = Vec::new();
    for (key, phase) in found {
        let known = table.get(&Plain(*key), 0).ok();
        if known.is_some_and(|known| FlowState(known.0.state).is_live(key.is_udp(), now, idle)) {
            continue;
        }
        // One that has ended stands again.
        let state = FlowState::new(*phase, now);
        let record = FlowRecord { state: state.0, service: 0, key: 0 };
        table.insert(Plain(*key), Plain(record), 0).context("connections that stand cannot be noted")?;
        noted.push((*key, state));
    }
    Ok(noted)
}

/// True if the gate protects the port.
pub fn is_protected(rules: &RuleSet, port: Port) -> bool {
    rules.ports.binary_search_by_key(&port.number, |(number, _)| *number).is_ok_and(|index| {
        let role = rules.ports[index].1.of(port.transport);
        matches!(role.role(), Role::Protected(_))
    })
}

/// True if these rules protect a port that the others do not.
pub fn protects_more(rules: &RuleSet, others: &RuleSet) -> bool {
    let each = [Transport::Tcp, Transport::Udp];
    rules.ports.iter().any(|(number, _)| {
        each.into_iter().any(|transport| {
            let port = Port { number: *number, transport };
            is_protected(rules, port) && !is_protected(others, port)
        })
    })
}
