//! The reference model: the rules of the gate (`docs/rules.md`) written down once more, as plainly as possible.
//!
//! It knows nothing of frames, maps, bits or slots. A packet is a description, a door is a list of
//! ports, an attempt is a count and a time. It shares no code with the gate, so that the two can
//! be held against each other.

pub mod config;
mod flows;
mod gate;
mod knocks;
pub mod spec;
mod toml;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::{IpAddr, Ipv6Addr};

use knock_common::abi::counter::Counter;
use knock_common::gate::Verdict;

use crate::links;

pub use flows::{Flow, Stage};

pub use config::{Action, Config, Door, Flags, Network, Port, Protocol, Service};
pub use spec::{Checksum, Fragment, PacketSpec};

/// Boot time or a span of time, in ns.
pub type Nanos = u64;

/// Whose a grant is: index of the service, network, and [link](Source::link).
pub type GrantPlace = (usize, Network, u32);
/// Whose a flow is: source, source port, destination and its port.
pub type FlowPlace = (Source, u16, IpAddr, Port);

/// How far a source has come through a door.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Attempt {
    /// Steps made, at least one.
    pub made: usize,
    /// When the first knock came.
    pub started: Nanos,
}

/// Who sends.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Source {
    /// The address.
    pub ip: IpAddr,
    /// Index of the interface whose link it is on, if the address means something there alone and is as such addresses
    /// are; else 0. The ports of a bond are on the link of the bond.
    pub link: u32,
}

impl Source {
    /// Whoever has this address and sends a packet that comes on this interface.
    #[must_use]
    pub fn on(ip: IpAddr, interface: u32) -> Self {
        let is_local = |ip: Ipv6Addr| ip.is_unicast_link_local() && ip.segments()[2..4] == [0, 0];
        let link = match ip {
            IpAddr::V6(ip) if is_local(ip) && links::PORTS.contains(&interface) => links::BOND,
            IpAddr::V6(ip) if is_local(ip) => interface,
            _ => 0,
        };
        Self { ip, link }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.link {
            0 => write!(out, "{}", self.ip),
            link => write!(out, "{}%{link}", self.ip),
        }
    }
}

/// Leave to reach a service.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Grant {
    /// The end; `None` for none.
    pub until: Option<Nanos>,
    /// When it was first written.
    pub since: Nanos,
    /// By how much traffic extends it; `None`: not at all.
    pub window: Option<Nanos>,
    /// When a door last wrote it.
    pub renewed: Nanos,
}

impl Grant {
    /// True until the end.
    #[must_use]
    pub fn is_live(&self, now: Nanos) -> bool {
        self.until.is_none_or(|until| now < until)
    }
}

/// The sockets of the host.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct Sockets {
    /// Ports on which something listens, on every address.
    pub listening: BTreeSet<Port>,
    /// TCP connections: source, source port, destination, destination port of what arrives.
    pub connections: BTreeSet<(IpAddr, u16, IpAddr, u16)>,
    /// Connected UDP sockets: the same of the answers to them.
    pub questions: BTreeSet<(IpAddr, u16, IpAddr, u16)>,
    /// Addresses of others, to whom this host only forwards.
    pub guests: BTreeSet<IpAddr>,
}

/// What became of a packet.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Outcome {
    /// Passed or denied.
    pub verdict: Verdict,
    /// Every counter that went up, once for each time.
    pub counted: Vec<Counter>,
}

/// The gate, in its simplest form.
#[derive(Clone, Debug)]
pub struct Model {
    config: Config,
    sockets: Sockets,
    /// By source and index of the door. May hold attempts that are too old.
    attempts: BTreeMap<(Source, usize), Attempt>,
    /// May hold grants that have ended.
    grants: BTreeMap<GrantPlace, Grant>,
    /// Connections that were let in. May hold those that have ended.
    flows: BTreeMap<FlowPlace, Flow>,
    /// Indices of the doors whose one time was.
    used: BTreeSet<usize>,
    /// New attempts in the second with this number.
    begun: (u64, u32),
    /// Denials that may still be logged.
    tokens: u64,
    /// The ICMP errors that each source may still have, in ns each a second long, and at what time.
    errors: BTreeMap<Source, (Nanos, Nanos)>,
    counted: Vec<Counter>,
}

impl Model {
    /// A gate with nobody under way and no grant.
    #[must_use]
    pub fn new(config: Config, sockets: Sockets) -> Self {
        let tokens = config.log_tokens;
        Self {
            config,
            sockets,
            attempts: BTreeMap::new(),
            grants: BTreeMap::new(),
            flows: BTreeMap::new(),
            used: BTreeSet::new(),
            begun: (0, 0),
            tokens,
            errors: BTreeMap::new(),
            counted: Vec::new(),
        }
    }

    /// The attempts that are alive, by source and index of the door.
    #[must_use]
    pub fn attempts(&self, now: Nanos) -> BTreeMap<(Source, usize), Attempt> {
        let alive = |entry: &(&(Source, usize), &Attempt)| self.is_alive(entry.0.1, entry.1, now);
        self.attempts.iter().filter(alive).map(|(key, attempt)| (*key, *attempt)).collect()
    }

    /// The grants that are live.
    #[must_use]
    pub fn grants(&self, now: Nanos) -> BTreeMap<GrantPlace, Grant> {
        self.grants.iter().filter(|(_, grant)| grant.is_live(now)).map(|(key, grant)| (*key, *grant)).collect()
    }

    /// The flows that are live.
    #[must_use]
    pub fn flows(&self, now: Nanos) -> BTreeMap<FlowPlace, Flow> {
        let live = |(key, flow): &(&FlowPlace, &Flow)| self.is_flow_live(key.3.1, flow, now);
        self.flows.iter().filter(live).map(|(key, flow)| (*key, *flow)).collect()
    }

    /// Takes one packet.
    pub fn step(&mut self, now: Nanos, packet: &PacketSpec) -> Outcome {
        self.counted.clear();
        let verdict = self.judge(now, packet);
        let is_over = self.config.trial_until.is_some_and(|until| now > until);
        let verdict = if self.config.observe || is_over { Verdict::Pass } else { verdict };
        Outcome { verdict, counted: std::mem::take(&mut self.counted) }
    }

    fn is_alive(&self, door: usize, attempt: &Attempt, now: Nanos) -> bool {
        now - attempt.started < self.config.doors[door].seq_timeout
    }

    fn count(&mut self, counter: Counter) {
        self.counted.push(counter);
    }
}
