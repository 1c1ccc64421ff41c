//! The article's chain of iptables: what is established goes on, nothing else gets in.

use anyhow::{Context as _, Result};

use crate::lab::Host;

const RULES: [&str; 4] = [
    "-N SSH2",
    "-A SSH2 -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT",
    "-A SSH2 -j DROP",
    "-A INPUT -p tcp --dport 2222 -j SSH2",
];

/// The chain, until it is dropped.
pub struct Chain(());

impl Chain {
    /// Makes it.
    ///
    /// # Errors
    ///
    /// If the kernel has no conntrack, or iptables is not there.
    pub fn new() -> Result<Self> {
        let this = Self(());
        for rule in RULES {
            let words: Vec<_> = ["iptables"].into_iter().chain(rule.split(' ')).collect();
            Host::Server.must(&words).context("the article's chain")?;
        }
        Ok(this)
    }
}

impl Drop for Chain {
    fn drop(&mut self) {
        no_rules();
    }
}

/// Removes all rules, and the hooks of empty chains, which iptables itself would leave for whoever is measured next.
pub fn no_rules() {
    if let Err(error) = Host::Server.must(&["nft", "flush", "ruleset"]) {
        eprintln!("bench: {error:#}");
    }
}
