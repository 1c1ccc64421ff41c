//! Grants in the pinned table: read, written and removed by hand, swept.

use std::net::IpAddr;
use std::os::fd::AsFd as _;
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow, bail};
use aya::maps::{IterableMap, MapError};
use knock_common::abi::grant::{FOR_GOOD, Grant, GrantKey, HOST_BITS, Origin, Prefix};
use knock_common::abi::rules::Service;
use knock_common::addr::Addr;

use super::State;
use super::source_text::format_source;
use crate::kernel::pod::Plain;
use crate::kernel::sys::{self, boot_now};

/// A live grant.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct GrantEntry {
    /// The map's key.
    pub key: GrantKey,
    /// The map's value.
    pub grant: Grant,
}

impl GrantEntry {
    /// The source as people write it, with its prefix length if it is a network.
    #[must_use]
    pub fn source(&self) -> String {
        format_source(self.key.source, self.key.bits)
    }

    /// Time left; `None` for good.
    #[must_use]
    pub fn left(&self, now: u64) -> Option<Duration> {
        (self.grant.until != FOR_GOOD).then(|| Duration::from_nanos(self.grant.until.saturating_sub(now)))
    }

    /// Who wrote it.
    #[must_use]
    pub const fn origin(&self) -> &'static str {
        match Origin::from_number(self.grant.origin) {
            Some(Origin::Knock) => "knock",
            Some(Origin::Command) => "command",
            Some(Origin::Token) => "token",
            None => "unknown",
        }
    }
}

/// Expired grants that one sweep takes out: what it does beside is not kept waiting for long.
const MOST_SWEPT: usize = 1 << 18;

/// How many grants one by hand may take the room of.
const MOST_GIVEN_UP: usize = 16;

/// What came of a grant by hand.
#[derive(Debug)]
pub struct Allowed {
    /// The source had one.
    pub had: bool,
    /// Live grants that were taken away, for there was no room.
    pub made_room: Vec<GrantEntry>,
}

/// What a sweep has found.
#[derive(Default, Debug)]
pub struct Swept {
    /// Grants that had ended and were taken out, by service and source.
    pub expired: Vec<GrantEntry>,
    /// Live grants that were wanted, in the same order.
    pub wanted: Vec<GrantEntry>,
    /// When the next grant ends, boot time in ns; in the past, if there are more that have ended.
    pub next: Option<u64>,
}

impl State {
    /// Live grants, by service and source.
    ///
    /// # Errors
    ///
    /// Of bpf(2).
    pub fn grants(&self) -> Result<Vec<GrantEntry>> {
        let now = boot_now();
        let mut entries = Vec::new();
        self.each_grant(|entry| {
            if entry.grant.is_live(now) {
                entries.push(entry);
            }
        })?;
        entries.sort_unstable_by_key(|entry| entry.key);
        Ok(entries)
    }

    /// All grants, in no order, expired ones included until they are swept.
    fn each_grant(&self, mut each: impl FnMut(GrantEntry)) -> Result<()> {
        let map = IterableMap::map(&self.grants).fd().as_fd();
        let each = |key: Plain<GrantKey>, grant: Plain<Grant>| each(GrantEntry { key: key.0, grant: grant.0 });
        sys::each(map, each).context("grants cannot be read")
    }

    /// The grant under a key, also an expired one until it is swept.
    ///
    /// # Errors
    ///
    /// Of bpf(2).
    pub fn grant(&self, key: &GrantKey) -> Result<Option<Grant>> {
        match self.grants.get(&Plain(*key), 0) {
            Ok(grant) => Ok(Some(grant.0)),
            Err(MapError::KeyNotFound) => Ok(None),
            Err(error) => Err(anyhow!(error)),
        }
    }

    /// Writes a grant for `source`, until `now` and `span`, or for good, and ends its lockout. In a table that is
    /// full, one that has ended makes room, or else the youngest that a knock wrote: of forged knocks, which may have
    /// filled it, those are the likeliest.
    ///
    /// # Errors
    ///
    /// The table is full of grants by hand, or fills faster than room can be made.
    pub fn allow(&mut self, service: &Service, source: Addr, span: Option<Duration>) -> Result<Allowed> {
        let now = boot_now();
        let key = GrantKey::new(service.tag, &source, &Prefix::new(HOST_BITS));
        let old = self.grants.get(&Plain(key), 0).ok().filter(|old| old.0.is_live(now));
        let until =
            span.map_or(FOR_GOOD, |span| now.saturating_add(u64::try_from(span.as_nanos()).unwrap_or(FOR_GOOD)));
        let grant = Grant::new(until, old.map_or(now, |old| old.0.since), 0, 0, Origin::Command);
        let mut made_room = Vec::new();
        while !self.try_insert(&key, &grant)? {
            // The room of one may be taken by a knock at once: then that of the next.
            let Some(gone) = self.least()?.into_iter().find_map(|key| {
                let gone = self.take(&key).ok()??;
                Some(GrantEntry { key, grant: gone })
            }) else {
                let mut count = 0_u32;
                self.each_grant(|_| count += 1)?;
                bail!("the grant table is full ({count} grants): revoke one, or raise options.max_grants and reload")
            };
            if gone.grant.is_live(now) {
                made_room.push(gone);
            }
            if made_room.len() >= MOST_GIVEN_UP {
                bail!(
                    "the grant table fills faster than room can be made: put {} into options.trusted",
                    IpAddr::from(source)
                );
            }
        }
        self.let_off(source)?;
        Ok(Allowed { had: old.is_some(), made_room })
    }

    /// False if the table is full.
    fn try_insert(&mut self, key: &GrantKey, grant: &Grant) -> Result<bool> {
        match self.grants.insert(Plain(*key), Plain(*grant), 0) {
            Ok(()) => Ok(true),
            Err(MapError::SyscallError(error)) if error.io_error.raw_os_error() == Some(libc::E2BIG) => Ok(false),
            Err(error) => Err(anyhow!(error)),
        }
    }

    /// Grants that may make room for one by hand, the first to go first.
    fn least(&self) -> Result<Vec<GrantKey>> {
        let now = boot_now();
        let mut least = Vec::new();
        self.each_grant(|entry| {
            if !entry.grant.is_live(now) {
                least.push((0, entry.key));
            } else if [Origin::Knock as u32, Origin::Token as u32].contains(&entry.grant.origin) {
                least.push((u64::MAX - entry.grant.since, entry.key));
            }
        })?;
        let some = MOST_GIVEN_UP.min(least.len());
        if some < least.len() {
            least.select_nth_unstable(some);
            least.truncate(some);
        }
        least.sort_unstable();
        Ok(least.into_iter().map(|(_, key)| key).collect())
    }

    /// Removes every grant that covers exactly `source`, under any prefix length; says whether there
    /// was a live one.
    ///
    /// # Errors
    ///
    /// Of bpf(2).
    pub fn revoke(&mut self, service: &Service, source: Addr) -> Result<bool> {
        let now = boot_now();
        let prefixes = service.prefixes(&source);
        let mut found = false;
        for prefix in prefixes.iter().take_while(|prefix| prefix.bits() != 0) {
            let key = GrantKey::new(service.tag, &source, prefix);
            found |= self.take(&key)?.is_some_and(|grant| grant.is_live(now));
        }
        Ok(found)
    }

    /// Removes expired grants. A grant that was renewed at that very moment is put back. Of the live ones those
    /// are returned that are `wanted`: a table may hold more than are to be had in memory at once.
    ///
    /// # Errors
    ///
    /// Of bpf(2).
    pub fn sweep(&mut self, mut wanted: impl FnMut(&GrantEntry) -> bool) -> Result<Swept> {
        let mut swept = Swept::default();
        let mut expired = Vec::new();
        let now = boot_now();
        self.each_grant(|entry| match entry.grant.is_live(now) {
            true => {
                let until = entry.grant.until;
                if until != FOR_GOOD {
                    swept.next = Some(swept.next.map_or(until, |next| next.min(until)));
                }
                if wanted(&entry) {
                    swept.wanted.push(entry);
                }
            }
            false if expired.len() < MOST_SWEPT => expired.push(entry.key),
            false => swept.next = Some(now),
        })?;
        for key in expired {
            let Some(grant) = self.take(&key)? else { continue };
            if grant.is_live(now) {
                const NOEXIST: u64 = 1;
                // If there is a newer one already, that one counts.
                let _ = self.grants.insert(Plain(key), Plain(grant), NOEXIST);
            } else {
                swept.expired.push(GrantEntry { key, grant });
            }
        }
        swept.expired.sort_unstable_by_key(|entry| entry.key);
        swept.wanted.sort_unstable_by_key(|entry| entry.key);
        Ok(swept)
    }

    fn take(&self, key: &GrantKey) -> Result<Option<Grant>> {
        let map = IterableMap::map(&self.grants).fd().as_fd();
        let grant: Option<Plain<Grant>> = sys::take(map, &Plain(*key))?;
        Ok(grant.map(|grant| grant.0))
    }

    /// True if a live grant for the service covers `source`.
    ///
    /// # Errors
    ///
    /// Of bpf(2).
    pub fn covers(&self, service: &Service, source: Addr) -> Result<bool> {
        Ok(!self.covering(service, source)?.is_empty())
    }

    /// The live grants for the service that cover `source`, one for each prefix length at most.
    ///
    /// # Errors
    ///
    /// Of bpf(2).
    pub fn covering(&self, service: &Service, source: Addr) -> Result<Vec<GrantEntry>> {
        let prefixes = service.prefixes(&source);
        let mut entries = Vec::new();
        for prefix in prefixes.iter().take_while(|prefix| prefix.bits() != 0) {
            let key = GrantKey::new(service.tag, &source, prefix);
            let live = self.grant(&key)?.filter(|grant| grant.is_live(boot_now()));
            entries.extend(live.map(|grant| GrantEntry { key, grant }));
        }
        Ok(entries)
    }
}
