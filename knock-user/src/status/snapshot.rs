//! What `status` shows, apart from where it comes from. The order of the fields is that of the JSON.

use std::path::PathBuf;
use std::rc::Rc;

use knock_common::abi::counter::Counter;
use serde::{Serialize, Serializer};

/// The state of the gate at one moment.
#[derive(Clone, Debug, Serialize)]
pub struct Snapshot {
    /// Of this `knockctl`.
    pub version: &'static str,
    /// The pins are there.
    pub loaded: bool,
    /// The gate stands on an interface.
    pub stands: bool,
    /// Why it stands on none.
    pub why_not: Option<String>,
    /// The daemon, if it lives.
    pub daemon: Option<Daemon>,
    /// The config file that the rules came from, if that is known.
    pub config: Option<ConfigFile>,
    /// Nothing is denied, only counted and logged.
    pub observing: bool,
    /// Seconds until what is on trial goes, unless it is confirmed.
    pub trial_seconds_left: Option<u64>,
    /// `drop` or `reject`: what happens to a new connection without a grant.
    pub deny: &'static str,
    /// Where the gate stands, or is meant to.
    pub interfaces: Vec<Interface>,
    /// What it protects.
    pub services: Vec<Service>,
    /// How it opens. Never the sequences: they are secret.
    pub doors: Vec<Door>,
    /// Who is in, the oldest first.
    pub grants: Vec<Grant>,
    /// Who is knocking.
    pub attempts: Vec<Attempt>,
    /// Who is locked out.
    pub lockouts: Vec<Lockout>,
    /// All counters; none if nothing is loaded.
    #[serde(serialize_with = "by_name")]
    pub counters: Vec<(Counter, u64)>,
}

/// The daemon.
#[derive(Clone, Debug, Serialize)]
pub struct Daemon {
    /// Process.
    pub pid: u32,
    /// Config file.
    pub config: PathBuf,
    /// Events of another size or kind than it knows, which it could not read.
    pub unread_events: u64,
}

/// The config file.
#[derive(Clone, Debug, Serialize)]
pub struct ConfigFile {
    /// Its path.
    pub path: PathBuf,
    /// It is another one by now than when it was loaded, or gone.
    pub changed: bool,
}

/// An interface.
#[derive(Clone, Debug, Serialize)]
pub struct Interface {
    /// Name, or a pattern that nothing matches yet.
    pub name: String,
    /// `native`, `generic` or `offload`; `None` without the gate.
    pub mode: Option<&'static str>,
    /// `up` and `down` with the gate, `absent` for what is not there (yet), `covered` for an interface
    /// that needs none of its own, `open` for one that should have the gate and has none.
    pub state: &'static str,
    /// Why it has none; of one that is absent, what else could be meant.
    pub why: Option<String>,
}

/// A service.
#[derive(Clone, Debug, Serialize)]
pub struct Service {
    /// Name.
    pub name: String,
    /// `2222/tcp`, `6000-6010/udp`.
    pub ports: Vec<String>,
}

/// A door.
#[derive(Clone, Debug, Serialize)]
pub struct Door {
    /// Name.
    pub name: String,
    /// Name of its service.
    pub service: String,
    /// `open` or `close`.
    pub action: &'static str,
    /// Length of its sequence; 0 if none is left: the door is shut.
    pub steps: u32,
    /// `start` and `stop`, for the commands that it has.
    pub hooks: Vec<&'static str>,
    /// One-time sequences left, that in force among them; `None` if its sequence is good for any number of
    /// times.
    pub sequences_left: Option<u16>,
}

impl Door {
    /// What there is to say of it beside the usual.
    pub fn notes(&self) -> String {
        let hooks = (!self.hooks.is_empty()).then(|| format!("hooks: {}", self.hooks.join(", ")));
        let left = self.sequences_left.map(|left| match left {
            0 => "shut: no one-time sequence left".to_owned(),
            1 => "1 one-time sequence left".to_owned(),
            more => format!("{more} one-time sequences left"),
        });
        [hooks, left].into_iter().flatten().collect::<Vec<_>>().join("; ")
    }
}

/// A live grant.
#[derive(Clone, Debug, Serialize)]
pub struct Grant {
    /// Address or network.
    pub source: String,
    /// Name of the service.
    pub service: Rc<str>,
    /// Name of the door that wrote it.
    pub door: Option<Rc<str>>,
    /// `knock` or `command`.
    pub origin: &'static str,
    /// Time left, rounded up; `None`: for good.
    pub seconds_left: Option<u64>,
    /// Connections that it would let in and that stand.
    pub connections: usize,
    /// Time since it was first written.
    #[serde(skip)]
    pub age: u64,
}

/// An attempt under way.
#[derive(Clone, Debug, Serialize)]
pub struct Attempt {
    /// Address.
    pub source: String,
    /// Name of the door.
    pub door: String,
    /// Steps made.
    pub stage: u32,
    /// Steps of the door.
    pub steps: u32,
    /// Time left, rounded up.
    pub seconds_left: u64,
}

/// A site that is locked out.
#[derive(Clone, Debug, Serialize)]
pub struct Lockout {
    /// An IPv4 address, or the /64 of an IPv6 address.
    pub source: String,
    /// Time left, rounded up.
    pub seconds_left: u64,
}

impl Snapshot {
    /// The snapshot where there is no gate.
    pub fn nothing(daemon: Option<Daemon>) -> Self {
        Self {
            version: env!("CARGO_PKG_VERSION"),
            loaded: false,
            stands: false,
            why_not: None,
            daemon,
            config: None,
            observing: false,
            trial_seconds_left: None,
            deny: "drop",
            interfaces: Vec::new(),
            services: Vec::new(),
            doors: Vec::new(),
            grants: Vec::new(),
            attempts: Vec::new(),
            lockouts: Vec::new(),
            counters: Vec::new(),
        }
    }
}

fn by_name<S: Serializer>(counters: &[(Counter, u64)], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(counters.iter().map(|(counter, value)| (counter.name(), value)))
}
