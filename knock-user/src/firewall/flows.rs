//! What the program has to know beside its rules so that no connection is cut (rule 19): which addresses are this
//! host's own, and which connections stood before it.

use std::collections::BTreeSet;

use anyhow::{Context as _, Result};
use aya::maps::lpm_trie::Key;
use aya::maps::{HashMap, LpmTrie, MapData};
use ipnet::IpNet;
use knock_common::addr::{Addr, V4_BEGINS};
use knock_common::flow::{FlowKey, FlowState, Phase};
use knock_common::layout::name;
use knock_common::packet::Transport;
use knock_common::rules::Role;
use log::{debug, warn};

use super::interfaces::{self, Interface};
use super::load::Program;
use super::plain::{FlowRecord, Plain};
use super::sys::boot_now;
use crate::host::{addresses, conntrack, sockets};
use crate::rules::RuleSet;
use crate::settings::Port;

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

/// Notes connections with protected ports that stand already, as far as the kernel knows them: those that conntrack
/// tracks, and those of this host's own sockets over link-local addresses, whose socket may belong to another
/// interface than the gate stands on. What is noted already is left alone.
///
/// # Errors
///
/// If the table cannot be written. What cannot be asked of the kernel is told in the log.
fn take_over(program: &mut Program, rules: &RuleSet) -> Result<()> {
    let protected = |port: Port| is_protected(rules, port);
    let mut found = Vec::new();
    match conntrack::dump(|tracked| tracked.to_this_gate(protected).next().is_some()) {
        Ok(tracked) => {
            for flow in tracked.iter().flatten().flat_map(|entry| entry.to_this_gate(protected)) {
                let key = FlowKey {
                    source: flow.tuple.source.into(),
                    dest: flow.tuple.destination.into(),
                    sport: flow.tuple.source_port,
                    dport: flow.tuple.destination_port,
                    transport: flow.transport as u32,
                };
                // It is not known on which link such a source is.
                if !key.source.is_link_local() {
                    found.push((key, if flow.ending { Phase::Closing } else { Phase::Open }));
                }
            }
        }
        Err(error) => warn!("connections that stand cannot be asked for, and forwarded ones may be cut: {error}"),
    }
    match sockets::connections(protected) {
        Ok(connections) => {
            let mut local = connections;
            local.retain(|connection| Addr::from(connection.remote.ip()).is_link_local());
            let all = if local.is_empty() { Vec::new() } else { interfaces::list().unwrap_or_default() };
            for connection in local {
                for interface in lower(connection.interface, &all) {
                    let key = FlowKey {
                        source: Addr::from(connection.remote.ip()).scoped(interface),
                        dest: Addr::from(connection.local.ip()),
                        sport: connection.remote.port(),
                        dport: connection.local.port(),
                        transport: connection.transport as u32,
                    };
                    found.push((key, Phase::Open));
                }
            }
        }
        Err(error) => warn!("connections over link-local addresses cannot be asked for, and may be cut: {error}"),
    }
    let (now, idle) = (boot_now(), program.settings().flow_idle);
    let mut table: HashMap<&mut MapData, Plain<FlowKey>, Plain<FlowRecord>> = program.map(name::FLOWS).try_into()?;
    let mut new = 0;
    for (key, phase) in found {
        let record = FlowRecord { state: FlowState::new(phase, now).0, service: 0, key: 0 };
        let known = table.get(&Plain(key), 0).ok();
        if known.is_some_and(|known| FlowState(known.0.state).is_live(key.is_udp(), now, idle)) {
            continue;
        }
        // One that has ended stands again.
        table.insert(Plain(key), Plain(record), 0).context("connections that stand cannot be noted")?;
        new += 1;
    }
    debug!("{new} connections that stand are noted");
    Ok(())
}

/// The same where the gate stands whether or not it can be done.
pub fn take_over_or_warn(program: &mut Program, rules: &RuleSet) {
    if let Err(error) = take_over(program, rules) {
        warn!("{error:#}: forwarded ones may be cut");
    }
}

/// The interfaces on which packets for this one arrive: itself, and its ports if it is a bridge or a bond.
fn lower(interface: u32, all: &[Interface]) -> impl Iterator<Item = u32> {
    let ports = all.iter().filter(move |one| one.master == Some(interface)).map(|one| one.index);
    [interface].into_iter().chain(ports)
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
