//! The port knocking of nftables' wiki: a set of who has come how far, and a set of who is in, both with timeouts.
//! Shut means dropped here, as everywhere else in the bench; the wiki's answers with a reset, which costs more.

use std::fs;
use std::net::Ipv4Addr;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};

use super::guard::{Guard, STEPS};
use super::iptables::no_rules;
use crate::bench::knock::Knock;
use crate::lab::{Host, sandbox};

const RECIPE: &str = "\
table inet portknock {
    set clients_ipv4 { type ipv4_addr; flags timeout; }
    set candidates_ipv4 { type ipv4_addr . inet_service; flags timeout; }
    chain input {
        type filter hook input priority -10; policy accept;
        iifname lo return
        tcp dport 7000 add @candidates_ipv4 { ip saddr . 8000 timeout 10s }
        udp dport 8000 ip saddr . udp dport @candidates_ipv4 add @candidates_ipv4 { ip saddr . 9000 timeout 10s }
        tcp dport 9000 ip saddr . tcp dport @candidates_ipv4 add @clients_ipv4 { ip saddr timeout 60s }
        tcp dport 2222 ip saddr @clients_ipv4 counter accept
        tcp dport 2222 ct state established,related counter accept
        tcp dport 2222 counter drop
    }
}
";

/// The rules on the server.
pub struct Recipe {
    took: Duration,
}

impl Recipe {
    /// Loads them.
    ///
    /// # Errors
    ///
    /// If the kernel does not take them.
    pub fn start() -> Result<Self> {
        let file = Path::new(sandbox::DIR).join("recipe.nft");
        fs::write(&file, RECIPE)?;
        let start = Instant::now();
        Host::Server.must(&["nft".as_ref(), "-f".as_ref(), file.as_os_str()]).context("the recipe of nftables")?;
        Ok(Self { took: start.elapsed() })
    }
}

impl Drop for Recipe {
    fn drop(&mut self) {
        no_rules();
    }
}

impl Guard for Recipe {
    fn process(&self) -> Option<u32> {
        None
    }

    fn took(&self) -> Duration {
        self.took
    }

    fn knock(&self, _source: Ipv4Addr) -> Result<Knock> {
        Ok(Knock::of(&STEPS))
    }
}
