//! The rules of the program that runs, and how it was loaded.

use std::collections::HashMap;
use std::os::fd::AsFd as _;

use anyhow::{Context as _, Result, bail};
use aya::maps::{Array, Map};
use knock_common::abi::layout::{STATUS_FLOW_IDLE, STATUS_OBSERVE, STATUS_REJECT, name};
use knock_common::abi::rules::{Door, PortRoles, Role, Service};
use knock_common::packet::Transport;

use super::State;
use crate::kernel::pod::{InMap, Plain};
use crate::kernel::sys;
use crate::syntax::Port;

impl State {
    /// Doors of the running rules, in the order of their indices.
    ///
    /// # Errors
    ///
    /// If the pin cannot be read.
    pub fn doors(&self) -> Result<Vec<Door>> {
        Ok(self.rules::<Door>(name::DOORS)?.into_iter().take_while(|door| door.tag != 0).collect())
    }

    /// Services of the running rules, in the order of their indices.
    ///
    /// # Errors
    ///
    /// If the pin cannot be read.
    pub fn services(&self) -> Result<Vec<Service>> {
        Ok(self.rules::<Service>(name::SERVICES)?.into_iter().take_while(|service| service.tag != 0).collect())
    }

    /// The same without those that have no port: the services of doors that name none.
    ///
    /// # Errors
    ///
    /// If a pin cannot be read.
    pub fn protecting(&self) -> Result<Vec<Service>> {
        let protected = self.protected()?;
        let mut services: Vec<_> = (0_u32..).zip(self.services()?).collect();
        services.retain(|(index, _)| protected.iter().any(|(_, owner)| owner == index));
        Ok(services.into_iter().map(|(_, service)| service).collect())
    }

    /// The protected ports in the order of their numbers, with the index of the service.
    ///
    /// # Errors
    ///
    /// If the pin cannot be read.
    pub fn protected(&self) -> Result<Vec<(Port, u32)>> {
        let mut ports = Vec::new();
        for (number, roles) in (0..=u16::MAX).zip(self.rules::<PortRoles>(name::PORTS)?) {
            for transport in [Transport::Tcp, Transport::Udp] {
                if let Role::Protected(service) = roles.of(transport).role() {
                    ports.push((Port { number, transport }, service));
                }
            }
        }
        Ok(ports)
    }

    /// The tag of the service that protects each port.
    ///
    /// # Errors
    ///
    /// If a pin cannot be read.
    pub fn owners(&self) -> Result<HashMap<Port, u32>> {
        let services = self.services()?;
        let protected = self.protected()?.into_iter();
        Ok(protected.filter_map(|(port, index)| Some((port, services.get(index as usize)?.tag))).collect())
    }

    /// True if the gate denies nothing, and only counts and logs what it would deny.
    ///
    /// # Errors
    ///
    /// If the pin cannot be read.
    pub fn observes(&self) -> Result<bool> {
        Ok(self.status_flags()? & STATUS_OBSERVE != 0)
    }

    /// True if denied packets are answered as by a closed port.
    ///
    /// # Errors
    ///
    /// If the pin cannot be read.
    pub fn rejects(&self) -> Result<bool> {
        Ok(self.status_flags()? & STATUS_REJECT != 0)
    }

    /// How long a UDP flow may be idle, in ns.
    ///
    /// # Errors
    ///
    /// If the pin cannot be read.
    pub fn flow_idle(&self) -> Result<u64> {
        Ok((self.status_flags()? >> STATUS_FLOW_IDLE).saturating_mul(1_000_000_000))
    }

    fn status_flags(&self) -> Result<u64> {
        self.rule(name::TOLD, |map| Ok(Array::<_, u64>::try_from(&*map)?.get(&0, 0)?))
    }

    fn rules<T: InMap>(&self, name: &str) -> Result<Vec<T>> {
        self.rule(name, |map| {
            let Map::Array(map) = map else { bail!("no array") };
            let info = map.info()?;
            if info.value_size() as usize != size_of::<T>() {
                bail!("values of another size");
            }
            let values: Vec<Plain<T>> = sys::read_array(map.fd().as_fd(), info.max_entries())?;
            Ok(values.into_iter().map(|value| value.0).collect())
        })
    }

    /// Works on a table of the rules.
    fn rule<R>(&self, name: &str, work: impl FnOnce(&mut Map) -> Result<R>) -> Result<R> {
        let path = self.paths.rule(name);
        let done = self.kept.with(&path, Map::Array, work);
        done.with_context(|| format!("{}: start the gate again", path.display()))
    }
}
