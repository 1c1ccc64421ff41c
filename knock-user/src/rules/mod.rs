//! The rules: a [`Config`] becomes the tables that the kernel reads. Pure; loading them is the
//! loader's part.

mod check;
mod span;

#[cfg(test)]
mod tests;

use ipnet::IpNet;
use knock_common::abi::attempt::Ticks;
use knock_common::abi::grant::{HOST_BITS, Prefix};
use knock_common::abi::key::Key;
use knock_common::abi::rules::{Door, Knock, MAX_PREFIXES, PortRole, PortRoles, Role, Service};
use knock_common::abi::trust_filter::TrustFilter;
use knock_common::addr::{Addr, V4_BEGINS};
use knock_common::packet::Transport;
use knock_common::packet::flags::{FlagTest, Segments};

use self::span::nanoseconds;
use crate::config::{self, Config, Diagnostic, Port, PortRange, Severity};
use crate::sequences::slots;

/// [`V4_BEGINS`], among the lengths of prefixes.
const V4_BITS: u8 = V4_BEGINS as u8;

/// The kernel's tables. An index in one of them is an index in the map of the same name.
#[derive(Clone, PartialEq, Default, Debug)]
pub struct RuleSet {
    /// Ports that have a role, by number, each number once.
    pub ports: Vec<(u16, PortRoles)>,
    /// What the knock ports mean, as [`PortRole::knock`] counts them.
    pub knocks: Vec<Knock>,
    /// Doors, in the order of the config.
    pub doors: Vec<Door>,
    /// Services, in the order of the config.
    pub services: Vec<Service>,
    /// Keys by their ids.
    pub keys: Vec<(u32, Key)>,
    /// Trusted networks: prefix length over the mapped form, and address.
    pub trusted: Vec<(u32, Addr)>,
    /// The filter in front of them.
    pub trust_filter: TrustFilter,
}

impl RuleSet {
    /// Compiles a config.
    ///
    /// # Errors
    ///
    /// A [`Diagnostic`] if the doors do not fit into the kernel's tables. A config that was read
    /// by [`Config::load`] or [`Config::parse`] always fits.
    pub fn compile(config: &Config) -> Result<Self, Box<Diagnostic>> {
        let sequences: Vec<_> = config.doors.iter().map(|door| door.in_force().steps()).collect();
        let slots = slots::assign(&sequences).map_err(|crowd| Box::new(refuse_crowd(config, &crowd)))?;
        let doors =
            config.doors.iter().enumerate().map(|(index, door)| compile_door(config, index, door, slots[index]));
        let mut tables = Tables { roles: vec![PortRoles::default(); 1 << 16], knocks: Vec::new() };
        for (index, service) in config.services.iter().enumerate() {
            tables.protect(index, service);
        }
        for (index, door) in config.doors.iter().enumerate() {
            tables.add_door(index, door.in_force().steps());
        }
        let ports = (0..=u16::MAX).zip(tables.roles).filter(|(_, roles)| *roles != PortRoles::default());
        let services = config.services.iter().enumerate();
        let trusted: Vec<_> = config.options.trusted.iter().map(compile_network).collect();
        Ok(Self {
            doors: doors.collect(),
            ports: ports.collect(),
            knocks: tables.knocks,
            keys: Vec::new(),
            services: services.map(|(index, service)| compile_service(config, index, service)).collect(),
            trust_filter: TrustFilter::of(&trusted),
            trusted,
        })
    }

    /// Which segments to unrelated ports may end an attempt at one of the doors.
    #[must_use]
    pub fn segments(&self) -> Segments {
        self.doors.iter().fold(Segments::OPENING, |segments, door| segments.and(door.flags))
    }
}

/// The tables while doors and services are put into them.
struct Tables {
    roles: Vec<PortRoles>,
    knocks: Vec<Knock>,
}

impl Tables {
    fn role(&mut self, port: Port) -> &mut PortRole {
        let roles = &mut self.roles[usize::from(port.number)];
        match port.transport {
            Transport::Tcp => &mut roles.tcp,
            Transport::Udp => &mut roles.udp,
        }
    }

    fn protect(&mut self, index: usize, service: &config::Service) {
        for port in PortRange::joined(&service.ports).into_iter().flat_map(PortRange::ports) {
            *self.role(port) = PortRole::protected(index as u16);
        }
    }

    fn add_door(&mut self, index: usize, sequence: &[Port]) {
        for (step, port) in sequence.iter().enumerate() {
            let knock = self.knock(*port);
            knock.steps[index] |= 1 << step;
            // The slots of doors that start on one port differ, so there is room.
            if step == 0
                && let Some(free) = knock.starts.iter_mut().find(|start| **start == 0)
            {
                *free = index as u8 + 1;
            }
        }
    }

    fn knock(&mut self, port: Port) -> &mut Knock {
        let next = self.knocks.len();
        let role = self.role(port);
        let index = match role.role() {
            Role::Knock(index) => index as usize,
            Role::Unrelated | Role::Protected(_) | Role::Token => {
                *role = PortRole::knock(next as u16);
                self.knocks.push(Knock::NONE);
                next
            }
        };
        &mut self.knocks[index]
    }
}

fn compile_door(config: &Config, index: usize, door: &config::Door, slot: u8) -> Door {
    let sequence = door.in_force();
    Door {
        name: door.name,
        tag: door.name.tag(),
        check: check::of(config, index, door, slot),
        steps: sequence.steps().len() as u8,
        action: door.action as u8,
        service: door.service as u16,
        slot,
        hooks: u8::from(!door.hooks.start.is_empty()) | u8::from(!door.hooks.stop.is_empty()) << 1,
        left: sequence.left(),
        // Of datagrams alone: no segment could be its knock.
        flags: if door.has_tcp_step() { door.tcpflags } else { FlagTest::SYN },
        prefix_v4: Prefix::new(u32::from(V4_BITS + door.grant_prefix_v4)),
        prefix_v6: Prefix::new(u32::from(door.grant_prefix_v6)),
        target: door.target.map_or(Addr::ANY, Addr::from),
        seq_ticks: Ticks::span(nanoseconds(door.seq_timeout)),
        cmd_timeout: door.cmd_timeout.map_or(0, nanoseconds),
        once: sequence.once(&door.name),
    }
}

fn compile_service(config: &Config, index: usize, service: &config::Service) -> Service {
    let doors = || config.doors.iter().filter(move |door| door.service == index);
    Service {
        name: service.name,
        tag: service.name.tag(),
        prefixes_v4: prefixes(doors().map(|door| V4_BITS + door.grant_prefix_v4)),
        prefixes_v6: prefixes(doors().map(|door| door.grant_prefix_v6)),
        keepalive: u32::from(service.keepalive),
    }
}

/// The whole address first: `knockctl allow` writes such grants for every service.
fn prefixes(used: impl Iterator<Item = u8>) -> [Prefix; MAX_PREFIXES] {
    let mut shorter: Vec<u8> = used.filter(|bits| u32::from(*bits) < HOST_BITS).collect();
    shorter.sort_unstable_by(|one, other| other.cmp(one));
    shorter.dedup();
    let mut prefixes = [Prefix::NONE; MAX_PREFIXES];
    for (place, bits) in prefixes.iter_mut().zip(std::iter::once(HOST_BITS as u8).chain(shorter)) {
        *place = Prefix::new(u32::from(bits));
    }
    prefixes
}

fn compile_network(net: &IpNet) -> (u32, Addr) {
    let above = if matches!(net, IpNet::V4(_)) { V4_BITS } else { 0 };
    let bits = u32::from(above + net.prefix_len());
    (bits, Addr::from(net.addr()).masked(bits))
}

fn refuse_crowd(config: &Config, crowd: &slots::Crowd) -> Diagnostic {
    let others: Vec<_> = crowd.others.iter().map(|&index| config.doors[index].name.as_str()).collect();
    let key = format!("doors.{}.sequence", config.doors[crowd.door].name.as_str());
    let file = config.path.display().to_string();
    Diagnostic::of_file(file, key, Severity::Error, slots::message(&others)).with_help(slots::HELP)
}
