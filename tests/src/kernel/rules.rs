//! Rules in the maps of a program that is loaded already, so that many configs need one load.

use anyhow::{Result, ensure};
use aya::Ebpf;
use aya::maps::lpm_trie::Key;
use aya::maps::{Array, LpmTrie, MapData};
use knock_common::addr::Addr;
use knock_common::layout::name;
use knock_common::rules::{Door, Knock, PortRoles, Service};
use knock_user::rules::RuleSet;

use super::maps::{Plain, take};

/// The maps that hold the rules.
pub(super) struct RuleMaps {
    ports: Array<MapData, Plain<PortRoles>>,
    knocks: Array<MapData, Plain<Knock>>,
    doors: Array<MapData, Plain<Door>>,
    services: Array<MapData, Plain<Service>>,
    trusted: LpmTrie<MapData, Plain<Addr>, u32>,
    no_door: Door,
    no_service: Service,
}

impl RuleMaps {
    pub(super) fn take(ebpf: &mut Ebpf) -> Result<Self> {
        let doors: Array<MapData, Plain<Door>> = take(ebpf, name::DOORS)?;
        let services: Array<MapData, Plain<Service>> = take(ebpf, name::SERVICES)?;
        // The last slots, which no test fills, are zeroed.
        let (last_door, last_service) = (doors.len() - 1, services.len() - 1);
        Ok(Self {
            ports: take(ebpf, name::PORTS)?,
            knocks: take(ebpf, name::KNOCKS)?,
            no_door: doors.get(&last_door, 0)?.0,
            doors,
            no_service: services.get(&last_service, 0)?.0,
            services,
            trusted: take(ebpf, name::TRUSTED)?,
        })
    }

    /// Takes the rules `old` out, and puts `new` in.
    pub(super) fn replace(&mut self, old: &RuleSet, new: &RuleSet) -> Result<()> {
        ensure!(new.knocks.len() <= self.knocks.len() as usize, "more knock ports than the program was loaded with");
        for (port, _) in &old.ports {
            self.ports.set(u32::from(*port), Plain(PortRoles::default()), 0)?;
        }
        for (port, roles) in &new.ports {
            self.ports.set(u32::from(*port), Plain(*roles), 0)?;
        }
        fill(&mut self.knocks, old.knocks.len(), &new.knocks, Knock::NONE)?;
        fill(&mut self.doors, old.doors.len(), &new.doors, self.no_door)?;
        fill(&mut self.services, old.services.len(), &new.services, self.no_service)?;
        for (bits, network) in &old.trusted {
            self.trusted.remove(&Key::new(*bits, Plain(*network)))?;
        }
        for (bits, network) in &new.trusted {
            self.trusted.insert(&Key::new(*bits, Plain(*network)), 1, 0)?;
        }
        Ok(())
    }
}

/// Writes `values`, and `none` where there were more.
fn fill<T: Copy>(array: &mut Array<MapData, Plain<T>>, old: usize, values: &[T], none: T) -> Result<()>
where
    Plain<T>: aya::Pod,
{
    for index in 0..old.max(values.len()) {
        let value = values.get(index).copied().unwrap_or(none);
        array.set(index as u32, Plain(value), 0)?;
    }
    Ok(())
}
