//! Random configs and packet histories, each from a seed.

mod config;
mod packets;

use std::collections::BTreeSet;
use std::fmt;

use fastrand::Rng;

pub use config::{SERVERS, SOURCES, random_config, random_listeners};
pub use packets::{Flow, Timed, random_history};

use crate::model::{Config, Nanos, PacketSpec, Sockets, Source};

/// The resolution of `seq_timeout`. All times in a history are multiples of it.
pub const TICK: Nanos = 1 << 16;

/// So many seeds in a row share a config and its listening sockets, so that rules need not be loaded
/// nor sockets opened for each.
pub const PER_CONFIG: u64 = 16;

/// What a history may contain.
#[derive(Clone, Copy, Debug)]
pub struct Profile {
    /// Packets in a history.
    pub packets: usize,
    /// TCP connections that are established when the history begins.
    pub connections: bool,
}

impl Default for Profile {
    fn default() -> Self {
        Self { packets: 48, connections: true }
    }
}

/// A host and what happens to it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Scenario {
    /// What the gate is told.
    pub config: Config,
    /// The sockets, the same from beginning to end.
    pub sockets: Sockets,
    /// The packets and their times, which never go back.
    pub packets: Vec<(Nanos, PacketSpec)>,
}

impl Scenario {
    /// The scenario with this seed.
    #[must_use]
    pub fn from_seed(seed: u64, profile: Profile) -> Self {
        let mut rng = Rng::with_seed(seed / PER_CONFIG);
        let config = random_config(&mut rng);
        let listening = random_listeners(&config, &mut rng);
        // A seed of another stream than that of the config.
        let mut rng = Rng::with_seed(seed ^ 0x9e37_79b9_7f4a_7c15);
        let (mut sockets, packets) = random_history(&config, &mut rng, profile);
        sockets.listening = listening;
        Self { config, sockets, packets }
    }

    /// The config of the scenario with this seed.
    #[must_use]
    pub fn config_of(seed: u64) -> Config {
        random_config(&mut Rng::with_seed(seed / PER_CONFIG))
    }

    /// All sources, each once.
    #[must_use]
    pub fn sources(&self) -> Vec<Source> {
        let sources: BTreeSet<_> = self.packets.iter().map(|(_, packet)| packet.sender()).collect();
        sources.into_iter().collect()
    }
}

impl fmt::Display for Scenario {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(out, "{}", self.config.to_toml())?;
        writeln!(out, "# log tokens: {}", self.config.log_tokens)?;
        writeln!(out, "# observe: {}, trial until: {:?}", self.config.observe, self.config.trial_until)?;
        writeln!(out, "# locked out: {:?}", self.config.locked)?;
        let listening: Vec<_> = self.sockets.listening.iter().map(ToString::to_string).collect();
        writeln!(out, "# listening: {}", listening.join(", "))?;
        writeln!(out, "# connections: {:?}", self.sockets.connections)?;
        writeln!(out, "# questions: {:?}", self.sockets.questions)?;
        writeln!(out, "# guests: {:?}", self.sockets.guests)?;
        for (index, (now, packet)) in self.packets.iter().enumerate() {
            writeln!(out, "# {index}: at {now}: {packet:?}")?;
        }
        Ok(())
    }
}

/// One of `items`.
fn pick<T: Clone>(rng: &mut Rng, items: &[T]) -> T {
    items[rng.usize(..items.len())].clone()
}

/// True `percent` times in a hundred.
fn chance(rng: &mut Rng, percent: u32) -> bool {
    rng.u32(..100) < percent
}
