//! The gate as a host has it: loaded as `knockctl run` loads it, by the real clock, and with no tokens left, since
//! the log takes a few denials a second and a flood has millions.

use std::net::IpAddr;

use anyhow::{Context as _, Result};
use knock_common::addr::Addr;
use knock_common::grant::{Grant, GrantKey, HOST_BITS, Origin, Prefix};
use knock_common::layout::name;
use knock_user::config::Config;
use knock_user::firewall::{Manner, Settings, boot_now};
use knock_user::rules::RuleSet;

use crate::kernel::Kernel;

/// How long grants last here, in ns: an hour.
const LONG: u64 = 3_600_000_000_000;

/// A gate, and the tag of its first service.
pub(super) struct Gate {
    pub(super) kernel: Kernel,
    service: u32,
}

impl Gate {
    /// Loads the gate of a config, with what `change` makes of its constants.
    ///
    /// # Errors
    ///
    /// If the kernel does not, or the config has an error.
    pub(super) fn load(config: &str, change: impl FnOnce(&mut Settings)) -> Result<Self> {
        let (config, _) = Config::parse(config, "bench.toml")?;
        let rules = RuleSet::compile(&config)?;
        let mut settings = Settings::new(&config, &[], Manner::default());
        change(&mut settings);
        let service = rules.services.first().context("a config without a service")?.tag;
        Ok(Self { kernel: Kernel::load_with(name::PROGRAM, &rules, settings)?, service })
    }

    /// Grants for these sources, for an hour.
    pub(super) fn allow(&mut self, sources: impl Iterator<Item = IpAddr>) {
        let (now, service) = (boot_now(), self.service);
        let whole = Prefix::new(HOST_BITS);
        let keys = sources.map(|source| GrantKey::new(service, &Addr::from(source), &whole));
        self.kernel.allow_all(keys, Grant::new(now + LONG, now, 0, 0, Origin::Command));
    }
}
