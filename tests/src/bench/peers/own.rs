//! Ours: the daemon, with the article's door and times.

use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use anyhow::Result;

use super::{Guard, Knock, STEPS};
use crate::lab::{Config, Daemon, Host, knockctl};

/// The daemon and its gate.
pub struct Own {
    /// The daemon.
    pub daemon: Daemon,
    took: Duration,
}

/// The lab's config with the article's times.
#[must_use]
pub fn config() -> Config {
    Config::lab().set("seq_timeout", "\"10s\"").set("cmd_timeout", "\"60s\"")
}

impl Own {
    /// Starts the daemon, and waits until the gate stands.
    ///
    /// # Errors
    ///
    /// If it does not.
    pub fn start(config: &Config) -> Result<Self> {
        let start = Instant::now();
        Ok(Self { daemon: Daemon::start(config, None)?, took: start.elapsed() })
    }
}

impl Drop for Own {
    fn drop(&mut self) {
        let ended = self.daemon.terminate();
        let gone = knockctl(Host::Server, &["unload"]).and_then(crate::lab::Ran::success);
        if let Err(error) = ended.and(gone) {
            eprintln!("bench: {error:#}");
        }
    }
}

impl Guard for Own {
    fn process(&self) -> Option<u32> {
        Some(self.daemon.id())
    }

    fn took(&self) -> Duration {
        self.took
    }

    fn knock(&self, _source: Ipv4Addr) -> Result<Knock> {
        Ok(Knock::of(&STEPS))
    }
}
