//! Debian's knockd with the article's config, which opens the article's chain.

use std::fs;
use std::net::Ipv4Addr;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};

use super::children::{children, end};
use super::guard::{Guard, STEPS};
use super::iptables::Chain;
use crate::bench::knock::Knock;
use crate::knockd::ARTICLE;
use crate::lab::{Background, Host, TIMEOUT, sandbox, until};

/// knockd on the server.
pub struct Knockd {
    program: Background,
    took: Duration,
    _chain: Chain,
}

impl Knockd {
    /// Starts it, and waits until it listens.
    ///
    /// # Errors
    ///
    /// If it does not, with its log.
    pub fn start() -> Result<Self> {
        let chain = Chain::new()?;
        let dir = Path::new(sandbox::DIR);
        let (config, log) = (dir.join("knockd.conf"), dir.join("knockd.log"));
        // To a file, as nobody reads syslog here.
        fs::write(&config, ARTICLE.replace("UseSyslog", &format!("LogFile = {}", log.display())))?;
        let _ = fs::remove_file(&log);
        let mut command = Command::new("knockd");
        command.args(["-i", "eth0", "-c"]).arg(&config);
        let start = Instant::now();
        let program = Background::start(Host::Server, command, None)?;
        let said = || fs::read_to_string(&log).unwrap_or_default();
        until("knockd", TIMEOUT, || said().contains("starting up, listening on eth0").then_some(()))
            .with_context(said)?;
        Ok(Self { program, took: start.elapsed(), _chain: chain })
    }
}

impl Drop for Knockd {
    fn drop(&mut self) {
        // Each of them waits to run a stop command; knockd first, so that there are no more.
        let started = children(self.program.id());
        end(self.program.id());
        started.into_iter().for_each(end);
    }
}

impl Guard for Knockd {
    fn process(&self) -> Option<u32> {
        Some(self.program.id())
    }

    fn took(&self) -> Duration {
        self.took
    }

    fn knock(&self, _source: Ipv4Addr) -> Result<Knock> {
        Ok(Knock::of(&STEPS))
    }
}
