//! Sites that are locked out.

use std::os::fd::AsFd as _;

use anyhow::{Context as _, Result, anyhow};
use aya::maps::{HashMap, IterableMap, MapError};
use knock_common::abi::layout::name;
use knock_common::addr::Addr;

use super::{State, was_there};
use crate::kernel::pod::Plain;
use crate::kernel::sys::{self, boot_now};

/// A site that is locked out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LockoutEntry {
    /// The site ([`Addr::site`]).
    pub site: Addr,
    /// Its end, boot time in ns.
    pub until: u64,
}

impl State {
    /// The sites that are locked out now, by address.
    ///
    /// # Errors
    ///
    /// Of bpf(2).
    pub fn lockouts(&self) -> Result<Vec<LockoutEntry>> {
        let now = boot_now();
        let mut entries = self.all_lockouts()?;
        entries.retain(|entry| entry.until > now);
        Ok(entries)
    }

    /// The same with those that have ended, until they are swept.
    ///
    /// # Errors
    ///
    /// Of bpf(2).
    pub fn all_lockouts(&self) -> Result<Vec<LockoutEntry>> {
        let mut entries = Vec::new();
        let each = |site: Plain<Addr>, until| entries.push(LockoutEntry { site: site.0, until });
        self.lru(name::LOCKED, |map: HashMap<_, Plain<Addr>, u64>| {
            sys::each(IterableMap::map(&map).fd().as_fd(), each).context("lockouts cannot be read")
        })?;
        entries.sort_unstable_by_key(|entry| entry.site);
        Ok(entries)
    }

    /// The lockout of the site of `source`, if it is locked out now.
    ///
    /// # Errors
    ///
    /// Of bpf(2).
    pub fn lockout_of(&self, source: Addr) -> Result<Option<LockoutEntry>> {
        let site = source.site();
        self.lru(name::LOCKED, |map: HashMap<_, Plain<Addr>, u64>| match map.get(&Plain(site), 0) {
            Ok(until) => Ok((until > boot_now()).then_some(LockoutEntry { site, until })),
            Err(MapError::KeyNotFound) => Ok(None),
            Err(error) => Err(anyhow!(error)),
        })
    }

    /// Locks the site of `source` out until this boot time in ns.
    ///
    /// # Errors
    ///
    /// Of bpf(2).
    pub fn lock_out(&self, source: Addr, until: u64) -> Result<()> {
        self.lru(name::LOCKED, |mut map| Ok(map.insert(Plain(source.site()), until, 0)?))
    }

    /// Ends the lockout of the site of `source`; says whether there was one.
    ///
    /// # Errors
    ///
    /// Of bpf(2).
    pub fn let_off(&self, source: Addr) -> Result<bool> {
        let site = Plain(source.site());
        self.lru(name::LOCKED, |mut map| {
            let until: u64 = map.get(&site, 0).unwrap_or(0);
            Ok(was_there(map.remove(&site))? && until > boot_now())
        })
    }
}
