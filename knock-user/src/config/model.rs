//! What a config says, in types that cannot say anything else.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;
use knock_common::abi::rules::{Action, Name};
use knock_common::packet::Transport;
use knock_common::packet::flags::FlagTest;

use super::interface::InterfacePattern;
use super::log::LogTarget;
use super::port::{Port, PortRange};
use crate::sequences::Sequence;

/// A config without errors.
#[derive(Clone, PartialEq, Debug)]
pub struct Config {
    /// The file, as it was named.
    pub path: PathBuf,
    /// By what the text is known again.
    pub fingerprint: u64,
    /// `[options]`.
    pub options: Options,
    /// `[services.NAME]`, in the order of the file; then one without ports, of the door's own name,
    /// for every door that names none.
    pub services: Vec<Service>,
    /// `[doors.NAME]`, in the order of the file.
    pub doors: Vec<Door>,
}

impl Config {
    /// The service with this name.
    #[must_use]
    pub fn service(&self, name: &str) -> Option<&Service> {
        self.services.iter().find(|service| service.name.as_str() == name)
    }

    /// The service with this tag ([`Name::tag`]).
    #[must_use]
    pub fn service_by_tag(&self, tag: u32) -> Option<&Service> {
        self.services.iter().find(|service| service.name.tag() == tag)
    }

    /// The tag under which grants of the service with this name are kept.
    #[must_use]
    pub fn service_tag(&self, name: &str) -> Option<u32> {
        self.service(name).map(|service| service.name.tag())
    }

    /// The door with this name.
    #[must_use]
    pub fn door(&self, name: &str) -> Option<&Door> {
        self.doors.iter().find(|door| door.name.as_str() == name)
    }

    /// The door with this tag ([`Name::tag`]).
    #[must_use]
    pub fn door_by_tag(&self, tag: u32) -> Option<&Door> {
        self.doors.iter().find(|door| door.name.tag() == tag)
    }

    /// The services that protect something.
    pub fn protecting(&self) -> impl Iterator<Item = &Service> {
        self.services.iter().filter(|service| !service.ports.is_empty())
    }

    /// The service that a door opens or closes.
    ///
    /// # Panics
    ///
    /// If `door` is not one of this config's doors.
    #[must_use]
    pub fn service_of(&self, door: &Door) -> &Service {
        &self.services[door.service]
    }
}

/// `[options]`.
#[derive(Clone, PartialEq, Debug)]
pub struct Options {
    /// `interfaces`: where the gate stands. Never empty.
    pub interfaces: Vec<InterfacePattern>,
    /// `trusted`: networks that never need to knock.
    pub trusted: Vec<IpNet>,
    /// `log`: where the daemon writes, with `syslog_ident` and `syslog_facility`. Default
    /// [`LogTarget::Stderr`].
    pub log: LogTarget,
    /// `log_denied`: log new connections without a grant. Default true.
    pub log_denied: bool,
    /// `log_denied_rate`: how many of them in a second. Default [`LOG_DENIED_RATE`].
    pub log_denied_rate: u32,
    /// `log_rate`: how many lines of every other kind in a second. Default [`LOG_RATE`].
    pub log_rate: u32,
    /// `mode`. Default [`Mode::Native`].
    pub mode: Mode,
    /// `stealth`: look connections up before a segment without SYN passes. Default true.
    pub stealth: bool,
    /// `verify_checksums`: whether a knock with a wrong checksum is none. Unset: decided for each
    /// interface, because on a veth pair or loopback the checksum is not filled in yet.
    pub verify_checksums: Option<bool>,
    /// `on_exit`. Default [`OnExit::Keep`].
    pub on_exit: OnExit,
    /// `deny`. Default [`Deny::Drop`].
    pub deny: Deny,
    /// `lockout`: what wrong knocks lead to. Default: nothing.
    pub lockout: Option<Lockout>,
    /// `status_group`: the number of the group whose members may see the status. Default: nobody.
    pub status_group: Option<u32>,
    /// `max_grants`: room for that many. Default [`knock_common::abi::layout::MAX_GRANTS`].
    pub max_grants: u32,
    /// `max_attempts`: room for that many. Default [`knock_common::abi::layout::MAX_ATTEMPTS`].
    pub max_attempts: u32,
    /// `max_flows`: room for that many. Default [`knock_common::abi::layout::MAX_FLOWS`].
    pub max_flows: u32,
    /// `flow_idle`: how long a UDP flow that was let in may be idle. Default [`FLOW_IDLE`].
    pub flow_idle: Duration,
    /// `attempt_rate`: new attempts per second and CPU that are told of. Unset: the loader's default.
    pub attempt_rate: Option<u32>,
    /// `hook_timeout`: how long a hook may run. Default [`HOOK_TIMEOUT`].
    pub hook_timeout: Duration,
    /// `max_hooks`: how many hooks run at once. Default [`MAX_HOOKS`].
    pub max_hooks: u32,
}

/// How the program is attached.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mode {
    /// In the driver, or not at all.
    Native,
    /// Behind the driver, after the packet buffer was made: slow, but every driver can.
    Generic,
    /// In the driver if it can.
    Auto,
}

/// What the daemon leaves behind when it is told to end.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum OnExit {
    /// The gate goes on standing.
    Keep,
    /// The gate is taken down.
    Detach,
}

/// What happens to a new connection without a grant.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Deny {
    /// It is dropped without an answer: the port looks filtered.
    Drop,
    /// It is answered as by a port on which nothing listens: the port looks closed.
    Reject,
}

/// Sources with many wrong knocks are not heard for a while.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Lockout {
    /// `after`: so many wrong knocks.
    pub after: u32,
    /// `for`: how long, and in which time from the first wrong knock on they are counted together.
    pub span: Duration,
}

/// A named set of protected ports.
#[derive(Clone, PartialEq, Debug)]
pub struct Service {
    /// The name.
    pub name: Name,
    /// `ports`: what is protected; no port is in two services. Empty only for the service of a door
    /// that names none.
    pub ports: Vec<PortRange>,
    /// `keepalive`: UDP traffic under a grant extends it. Default false.
    pub keepalive: bool,
}

/// A named knock sequence that opens or closes a service.
#[derive(Clone, PartialEq, Debug)]
pub struct Door {
    /// The name.
    pub name: Name,
    /// `service`: index into [`Config::services`].
    pub service: usize,
    /// `action`. Default [`Action::Open`].
    pub action: Action,
    /// `sequence`: 1 to 32 ports, none of them protected. Empty if there is no one-time sequence left.
    pub sequence: Vec<Port>,
    /// `one_time_sequences`: where the sequence comes from, if it is good for one time only.
    pub one_time: Option<OneTime>,
    /// `tcpflags`: what the flags of a TCP knock must be. Of no meaning where no step [is one](Self::has_tcp_step).
    pub tcpflags: FlagTest,
    /// `seq_timeout`: time for the whole sequence, from its first knock. Default [`SEQ_TIMEOUT`].
    pub seq_timeout: Duration,
    /// `cmd_timeout`: how long a grant lasts; `None`: for good.
    pub cmd_timeout: Option<Duration>,
    /// `target`: the only destination address that counts.
    pub target: Option<IpAddr>,
    /// `grant_prefix_v4`: how much of an IPv4 source a grant covers, 1 to 32 (default: all of it).
    pub grant_prefix_v4: u8,
    /// `grant_prefix_v6`: how much of an IPv6 source a grant covers, 1 to 128 (default: all of it).
    pub grant_prefix_v6: u8,
    /// `start_command`, `stop_command` and their `_6` variants.
    pub hooks: Hooks,
}

impl Door {
    /// The sequence that is in force.
    #[must_use]
    pub fn in_force(&self) -> Sequence<'_> {
        match &self.one_time {
            Some(one_time) => Sequence::OneTime { steps: &self.sequence, left: one_time.left },
            None => Sequence::Fixed(&self.sequence),
        }
    }

    /// True if a TCP segment may be a knock of it.
    #[must_use]
    pub fn has_tcp_step(&self) -> bool {
        self.sequence.iter().any(|step| step.transport == Transport::Tcp)
    }
}

/// A file of one-time sequences.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct OneTime {
    /// Its absolute path.
    pub path: PathBuf,
    /// Unused sequences in it that can be used, that in force among them.
    pub left: usize,
}

/// The commands that the daemon runs for a door.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Hooks {
    /// When the door opens, or for a close door when it is completed.
    pub start: Hook,
    /// When the grant ends.
    pub stop: Hook,
}

impl Hooks {
    /// True if there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.start.is_empty() && self.stop.is_empty()
    }
}

/// A command for each family, none of them empty. That for IPv6 is that for IPv4 unless the config
/// has another.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Hook {
    /// For IPv4 sources.
    pub v4: Option<String>,
    /// For IPv6 sources.
    pub v6: Option<String>,
}

impl Hook {
    /// The command for a source of one family.
    #[must_use]
    pub fn command(&self, is_v4: bool) -> Option<&str> {
        if is_v4 { self.v4.as_deref() } else { self.v6.as_deref() }
    }

    /// True if there is none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.v4.is_none() && self.v6.is_none()
    }
}

/// Default of `seq_timeout`.
pub const SEQ_TIMEOUT: Duration = Duration::from_secs(10);
/// `cmd_timeout` of a door without a service where the config names none: knockd's.
pub const BARE_CMD_TIMEOUT: Duration = Duration::from_secs(10);
/// Default of `log_denied_rate`.
pub const LOG_DENIED_RATE: u32 = 10;
/// Default of `log_rate`.
pub const LOG_RATE: u32 = 100;
/// Default of `flow_idle`: as long as conntrack keeps a stream of UDP, and some more.
pub const FLOW_IDLE: Duration = Duration::from_secs(3 * 60);
/// Default of `hook_timeout`.
pub const HOOK_TIMEOUT: Duration = Duration::from_secs(30);
/// Default of `max_hooks`.
pub const MAX_HOOKS: u32 = 16;
