//! Ours: the daemon of a build, with the article's door and times.

use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};

use super::guard::{Guard, STEPS};
use super::kind::Kind;
use crate::bench::knock::Knock;
use crate::lab::{Config, Daemon, Host, knockctl_path};

/// The daemon and its gate.
pub struct Own {
    /// The daemon.
    pub daemon: Daemon,
    took: Duration,
    knockctl: PathBuf,
}

/// Where the other commit's `knockctl` is.
const BEFORE: &str = "KNOCKCTL_BEFORE";

/// `knockctl` of a build: the present one, or that of the other commit.
///
/// # Errors
///
/// If it is not there.
pub fn build(kind: Kind) -> Result<PathBuf> {
    if kind != Kind::Before {
        return knockctl_path();
    }
    let path = PathBuf::from(std::env::var_os(BEFORE).with_context(|| format!("{BEFORE} names no knockctl"))?);
    ensure!(path.is_file(), "no knockctl at {}", path.display());
    Ok(path)
}

/// The lab's config with the article's times.
#[must_use]
pub fn config() -> Config {
    Config::lab().set("seq_timeout", "\"10s\"").set("cmd_timeout", "\"60s\"")
}

impl Own {
    /// Starts the daemon of this build, and waits until the gate stands.
    ///
    /// # Errors
    ///
    /// If it does not.
    pub fn start(kind: Kind, config: &Config) -> Result<Self> {
        let knockctl = build(kind)?;
        let start = Instant::now();
        Ok(Self { daemon: Daemon::start_of(&knockctl, config)?, took: start.elapsed(), knockctl })
    }

    /// Runs `knockctl` of the same build on the server, which must succeed.
    ///
    /// # Errors
    ///
    /// If it does not.
    pub fn tell(&self, args: &[&str]) -> Result<String> {
        Host::Server.run(Command::new(&self.knockctl).args(args))?.success()
    }
}

impl Drop for Own {
    fn drop(&mut self) {
        // One that was killed has ended already.
        let ended = if self.daemon.runs() { self.daemon.terminate().map(drop) } else { Ok(()) };
        if let Err(error) = ended.and(self.tell(&["unload"]).map(drop)) {
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
