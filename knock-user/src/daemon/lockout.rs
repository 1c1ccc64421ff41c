//! Who is locked out: counts the wrong knocks of every site, and locks out whoever had too many. The
//! kernel then hears no first knock from there, until the time is over.

use std::collections::HashSet;
use std::net::IpAddr;
use std::num::NonZeroUsize;
use std::time::Duration;

use anyhow::{Context as _, Result};
use knock_common::abi::event::{Event, Kind};
use knock_common::addr::Addr;
use log::info;
use lru::LruCache;
use tokio::time::Instant;

use super::event_log::Record;
use super::logbook::Logbook;
use super::troubles::Troubles;
use crate::config::{Config, Lockout};
use crate::grants::{Change, Knock};
use crate::host::sockets;
use crate::kernel::{Arrivals, GrantEntry, State, boot_now, format_site};

/// Sites whose wrong knocks are remembered: beyond, those that were wrong longest ago are forgotten.
const SITES: NonZeroUsize = NonZeroUsize::new(16_384).unwrap();
/// Sources to be decided on at once; a flood of forged ones may not keep the daemon busy.
const MOST_DUE: usize = 256;
/// How often the host's connections are looked through at most.
const PAUSE: Duration = Duration::from_secs(1);

/// Wrong knocks of one site.
struct Wrong {
    /// Boot time of the first that counts, in ns.
    since: u64,
    count: u32,
}

/// The wrong knocks, and who is to be locked out for them.
pub struct Lockouts {
    rule: Option<Lockout>,
    wrong: LruCache<Addr, Wrong>,
    due: Vec<Addr>,
    not_before: Instant,
    /// Nobody is locked out.
    none: bool,
    /// IPv6 sites from where somebody holds a grant, as the last sweep saw them and events since.
    granted: HashSet<Addr>,
}

impl Lockouts {
    /// Nobody has knocked wrongly yet.
    pub fn new(config: &Config) -> Self {
        Self {
            rule: config.options.lockout,
            wrong: LruCache::new(SITES),
            due: Vec::new(),
            not_before: Instant::now(),
            none: false,
            granted: HashSet::new(),
        }
    }

    /// Notes of each source that holds a grant where it is, while a sweep goes through them; an IPv4 address is a site
    /// of its own. `None` if nobody is locked out anyway.
    pub fn begin_sites(&self) -> Option<HashSet<Addr>> {
        self.rule.map(|_| HashSet::new())
    }

    /// Takes the notes of a sweep.
    pub fn take_sites(&mut self, sites: Option<HashSet<Addr>>) {
        self.granted = sites.unwrap_or_default();
    }

    /// Goes on under another config.
    pub fn configure(&mut self, config: &Config) {
        self.rule = config.options.lockout;
        if self.rule.is_none() {
            self.wrong.clear();
            self.due.clear();
        }
    }

    /// Counts a wrong knock, at `now`.
    fn hear(&mut self, source: Addr, now: u64) {
        let Some(rule) = self.rule else { return };
        let span = u64::try_from(rule.span.as_nanos()).unwrap_or(u64::MAX);
        let site = source.site();
        let wrong = self.wrong.get_or_insert_mut(site, || Wrong { since: now, count: 0 });
        if now.saturating_sub(wrong.since) > span {
            *wrong = Wrong { since: now, count: 0 };
        }
        wrong.count += 1;
        if wrong.count >= rule.after && self.due.len() < MOST_DUE {
            self.wrong.pop(&site);
            self.due.push(source);
        }
    }

    /// When there is somebody to decide on.
    pub fn wake(&self) -> Option<Instant> {
        (!self.due.is_empty()).then_some(self.not_before)
    }

    fn take_due(&mut self) -> Option<(Lockout, Vec<Addr>)> {
        let now = Instant::now();
        let rule = self.rule.filter(|_| !self.due.is_empty() && self.not_before <= now)?;
        self.not_before = now + PAUSE;
        Some((rule, std::mem::take(&mut self.due)))
    }

    /// Counts what is wrong, unless the gate only observes.
    pub fn hear_of(&mut self, event: &Event, kind: Kind, observe: bool) {
        if matches!(kind, Kind::Wrong | Kind::Spent) && !observe {
            self.hear(event.source, event.at);
        }
    }

    /// Lets off whoever has got a grant.
    pub fn let_off(&mut self, change: &Change, state: &State) {
        let Change::Opened(_, Knock { source, .. }) = change else { return };
        if self.rule.is_none() {
            return;
        }
        if !source.is_v4() {
            self.granted.insert(source.site());
        }
        if !self.none {
            // An entry that cannot be removed has no effect while the grant is live.
            let _ = state.let_off(*source);
        }
    }

    /// Locks out who is due, unless the source may come in without a knock, or is in.
    pub fn lock_out_due(&mut self, config: &Config, state: &State, troubles: &mut Troubles, logbook: &mut Logbook) {
        let Some((rule, due)) = self.take_due() else { return };
        let connected = connected(state);
        let Some(connected) = troubles.tell("nobody is locked out, for connections cannot be listed", connected) else {
            return;
        };
        for source in due {
            let who = format_site(source);
            let why_not = if is_trusted(config, source) {
                Some("it is trusted")
            } else if holds_grant(state, source) {
                Some("it holds a grant")
            } else if connected.contains(&source.site()) {
                Some("it has a connection to a service")
            } else if self.granted.contains(&source.site()) {
                Some("somebody there holds a grant")
            } else {
                None
            };
            if let Some(why_not) = why_not {
                info!("{who}: {} wrong knocks, but it is not locked out: {why_not}", rule.after);
                continue;
            }
            let until = boot_now().saturating_add(u64::try_from(rule.span.as_nanos()).unwrap_or(u64::MAX));
            let locked = state.lock_out(source, until);
            if troubles.tell("a source with too many wrong knocks is not locked out", locked).is_none() {
                continue;
            }
            self.none = false;
            let span = humantime::format_duration(rule.span);
            let text = format!("{who}: locked out for {span}: {} wrong knocks", rule.after);
            let record = Record { source: Some(who), count: Some(rule.after.into()), ..Record::of("lockout", text) };
            logbook.note(&record);
        }
    }

    /// The sites that are locked out, or were until a moment ago.
    pub fn locked_out(&self, state: &State) -> Result<HashSet<Addr>> {
        if self.rule.is_none() {
            return Ok(HashSet::new());
        }
        Ok(state.all_lockouts()?.into_iter().map(|entry| entry.site).collect())
    }

    /// Forgets lockouts that have ended, and those of sites from where somebody holds a grant by now.
    pub fn sweep(&mut self, state: &State, live: &[GrantEntry]) -> Result<()> {
        if self.rule.is_none() {
            return Ok(());
        }
        let all = state.all_lockouts()?;
        self.none = all.is_empty();
        if all.is_empty() {
            return Ok(());
        }
        let now = boot_now();
        let granted: HashSet<Addr> = live.iter().map(|entry| entry.key.source.site()).collect();
        for entry in all.iter().filter(|entry| entry.until <= now || granted.contains(&entry.site)) {
            state.let_off(entry.site)?;
        }
        Ok(())
    }
}

fn is_trusted(config: &Config, source: Addr) -> bool {
    let source = IpAddr::from(source);
    config.options.trusted.iter().any(|network| network.contains(&source))
}

/// If it cannot be read, the kernel still asks before it hears no knock.
fn holds_grant(state: &State, source: Addr) -> bool {
    let services = state.services().unwrap_or_default();
    services.iter().any(|service| state.covers(service, source).unwrap_or(false))
}

/// The sites from where there are connections with protected ports: sockets of this host in any state in which there is
/// another end, and flows.
fn connected(state: &State) -> Result<HashSet<Addr>> {
    let owners = state.owners()?;
    let connections = sockets::connections(|port| owners.contains_key(&port)).context("sockets cannot be listed")?;
    let arrivals = Arrivals::of(&connections)?;
    let mut sites = state.flow_sites()?;
    sites.extend(connections.iter().flat_map(|one| arrivals.sources(one)).map(|source| source.site()));
    Ok(sites)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    fn lockouts(after: u32) -> Lockouts {
        Lockouts {
            rule: Some(Lockout { after, span: Duration::from_secs(60) }),
            wrong: LruCache::new(SITES),
            due: Vec::new(),
            not_before: Instant::now(),
            none: false,
            granted: HashSet::new(),
        }
    }

    fn v4(last: u8) -> Addr {
        Addr::from_v4([192, 0, 2, last])
    }

    #[test]
    fn so_many_wrong_knocks_in_the_time_are_too_many() {
        let mut lockouts = lockouts(3);
        lockouts.hear(v4(1), 0);
        lockouts.hear(v4(1), SECOND);
        lockouts.hear(v4(2), SECOND);
        // A minute after the first they count anew.
        lockouts.hear(v4(1), 61 * SECOND);
        lockouts.hear(v4(1), 62 * SECOND);
        assert!(lockouts.wake().is_none());
        lockouts.hear(v4(1), 63 * SECOND);
        assert_eq!(lockouts.take_due().unwrap().1, [v4(1)]);
        assert!(lockouts.take_due().is_none());
    }

    #[test]
    fn addresses_of_one_ipv6_site_count_together() {
        let mut lockouts = lockouts(3);
        for last in 1..=3 {
            let mut octets = [0; 16];
            octets[..4].copy_from_slice(&[0x20, 0x01, 0x0d, 0xb8]);
            octets[15] = last;
            lockouts.hear(Addr::from_v6(octets), SECOND);
        }
        assert_eq!(lockouts.due.len(), 1);
        assert_eq!(format_site(lockouts.due[0]), "2001:db8::/64");
    }

    #[test]
    fn forged_sources_use_up_bounded_room() {
        let mut lockouts = lockouts(1);
        for number in 0..100_000_u32 {
            lockouts.hear(Addr::from_v4(number.to_be_bytes()), SECOND);
        }
        assert_eq!((lockouts.due.len(), lockouts.wrong.len() <= SITES.get()), (MOST_DUE, true));
    }
}
