//! Typed views on the pinned maps: what `status`, `allow`, `revoke` and the daemon work on, with or
//! without a daemon.

pub(super) mod flows;

use std::collections::HashMap as StdHashMap;
use std::fs::File;
use std::net::IpAddr;
use std::os::fd::AsFd as _;
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow, bail};
use aya::maps::{Array, HashMap, IterableMap, Map, MapData, MapError, PerCpuArray, PerCpuValues};
use aya::util::nr_cpus;
use knock_common::abi::attempt::{Attempt, Ticks};
use knock_common::abi::counter::Counter;
use knock_common::abi::grant::{FOR_GOOD, Grant, GrantKey, HOST_BITS, Origin, Prefix};
use knock_common::abi::layout::{STATUS_FLOW_IDLE, STATUS_OBSERVE, STATUS_REJECT, name};
use knock_common::abi::rules::{Door, PortRoles, Role, SLOTS, Service};
use knock_common::abi::used::Used;
use knock_common::addr::{Addr, V4_BEGINS};
use knock_common::packet::Transport;

use super::interfaces::report::{self, InterfaceState};
use super::pins;
use super::pins::kept::{KeptMaps, PinId};
use super::pins::layouts::Layout;
use super::pins::swap;
use super::pod::{InMap, Plain};
use super::privilege::need_root;
use super::sys::{self, boot_now};
use crate::host::scope;
use crate::paths::Paths;
use crate::syntax::Port;

/// The pinned state of a gate, opened by its pins.
pub struct State {
    paths: Paths,
    grants: HashMap<MapData, Plain<GrantKey>, Plain<Grant>>,
    /// The pins of the layout and of the grants, as they were opened.
    opened: [Option<PinId>; 2],
    /// All other maps, once they are asked for.
    kept: KeptMaps,
    _held: Option<File>,
}

/// The pins that say of what layout all is, and where the grants are.
fn main_pins(paths: &Paths) -> [Option<PinId>; 2] {
    [name::LAYOUT, name::GRANTS].map(|name| PinId::of(&paths.map(name)).ok())
}

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

/// A site that is locked out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LockoutEntry {
    /// The site ([`Addr::site`]).
    pub site: Addr,
    /// Its end, boot time in ns.
    pub until: u64,
}

/// An attempt under way.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AttemptEntry {
    /// The source.
    pub source: Addr,
    /// Name of the door.
    pub door: String,
    /// Steps made.
    pub stage: u32,
    /// Time left of `seq_timeout`.
    pub left: Duration,
}

/// The [site](Addr::site) of a source, as people write it.
#[must_use]
pub fn format_site(source: Addr) -> String {
    format_source(source.site(), if source.is_v4() { HOST_BITS } else { 64 })
}

/// A source and its prefix length over the mapped form, as people write it: a link-local one with its interface.
#[must_use]
pub fn format_source(source: Addr, bits: u32) -> String {
    format_source_as(source, bits, scope::name_of)
}

/// What a prefix length over the mapped form covers of a source, as people write it.
#[must_use]
pub fn format_network(source: Addr, bits: u32) -> String {
    format_source(GrantKey::new(0, &source, &Prefix::new(bits)).source, bits)
}

/// The same as [`format_source`] with another name of an interface, by its index.
#[must_use]
pub fn format_source_as(source: Addr, bits: u32, name: impl FnOnce(u32) -> String) -> String {
    let mut ip = IpAddr::from(source).to_string();
    if source.interface() != 0 {
        ip = format!("{ip}%{}", name(source.interface()));
    }
    if bits == HOST_BITS || bits == 0 {
        return ip;
    }
    let is_ipv4 = source.is_v4();
    format!("{ip}/{}", if is_ipv4 { bits.saturating_sub(V4_BEGINS) } else { bits })
}

impl State {
    /// Opens the pins.
    ///
    /// # Errors
    ///
    /// Nothing loaded, not root, or pins of another layout.
    pub fn open(paths: &Paths) -> Result<Self> {
        Self::prepare(paths)?;
        Self::opened(paths, None)
    }

    /// The same to change grants: until it is dropped, no reload moves them to another table.
    ///
    /// # Errors
    ///
    /// As [`Self::open`].
    pub fn open_to_change(paths: &Paths) -> Result<Self> {
        Self::prepare(paths)?;
        let held = swap::lock(paths)?;
        Self::opened(paths, Some(held))
    }

    fn prepare(paths: &Paths) -> Result<()> {
        need_root()?;
        pins::need_own(paths)?;
        if !Self::exists(paths) && !paths.next().exists() {
            if paths.links().read_dir().is_ok_and(|mut links| links.next().is_some()) {
                let grants = paths.map(name::GRANTS);
                bail!("{}: somebody removed this pin; the gate still stands: restart the daemon", grants.display());
            }
            bail!("nothing is loaded: start the gate with `knockctl run`");
        }
        swap::recover(paths)
    }

    fn opened(paths: &Paths, held: Option<File>) -> Result<Self> {
        let opened = main_pins(paths);
        Layout::of(paths)?.need_ours(paths)?;
        let path = paths.map(name::GRANTS);
        let map = Map::HashMap(MapData::from_pin(&path).with_context(|| path.display().to_string())?);
        Ok(Self { paths: paths.clone(), grants: map.try_into()?, opened, kept: KeptMaps::default(), _held: held })
    }

    /// True if the pins are still those that were opened, and no change of the gate is under way.
    #[must_use]
    pub fn is_current(&self) -> bool {
        !self.paths.next().exists() && main_pins(&self.paths) == self.opened
    }

    /// Works on a table that makes room by itself.
    pub fn lru<K: InMap, V: aya::Pod, R>(
        &self,
        name: &str,
        work: impl FnOnce(HashMap<&mut MapData, Plain<K>, V>) -> Result<R>,
    ) -> Result<R> {
        self.kept.with(&self.paths.map(name), Map::LruHashMap, |map| work(map.try_into()?))
    }

    /// The same for the used one-time sequences.
    fn with_used<R>(&self, work: impl FnOnce(HashMap<&mut MapData, u64, Plain<Used>>) -> Result<R>) -> Result<R> {
        self.kept.with(&self.paths.map(name::SPENT), Map::HashMap, |map| work(map.try_into()?))
    }

    /// True if there are pins to open.
    #[must_use]
    pub fn exists(paths: &Paths) -> bool {
        paths.map(name::GRANTS).exists()
    }

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
            } else if entry.grant.origin == Origin::Knock as u32 {
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
        let prefixes = if source.is_v4() { &service.prefixes_v4 } else { &service.prefixes_v6 };
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

    /// One-time sequences that were used and are not yet forgotten: key and use, the oldest first.
    ///
    /// # Errors
    ///
    /// Of bpf(2).
    pub fn used(&self) -> Result<Vec<(u64, Used)>> {
        let mut entries = self.with_used(|map| {
            let entry = |item: Result<(u64, Plain<Used>), MapError>| item.map(|(key, used)| (key, used.0));
            Ok(map.iter().map(entry).collect::<Result<Vec<_>, _>>()?)
        })?;
        entries.sort_by_key(|(key, used)| (used.at, *key));
        Ok(entries)
    }

    /// Forgets that one-time sequences were used: their files say so by now, and no door has them.
    ///
    /// # Errors
    ///
    /// Of bpf(2).
    pub fn forget_used(&self, keys: &[u64]) -> Result<()> {
        self.with_used(|mut map| keys.iter().try_for_each(|key| was_there(map.remove(key)).map(drop)))
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
        let prefixes = if source.is_v4() { &service.prefixes_v4 } else { &service.prefixes_v6 };
        let mut entries = Vec::new();
        for prefix in prefixes.iter().take_while(|prefix| prefix.bits() != 0) {
            let key = GrantKey::new(service.tag, &source, prefix);
            let live = self.grant(&key)?.filter(|grant| grant.is_live(boot_now()));
            entries.extend(live.map(|grant| GrantEntry { key, grant }));
        }
        Ok(entries)
    }

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

    /// Attempts under way, by source.
    ///
    /// # Errors
    ///
    /// Of bpf(2).
    pub fn attempts(&self) -> Result<Vec<AttemptEntry>> {
        let doors = self.doors()?;
        let now = Ticks::at(boot_now());
        let mut entries = Vec::new();
        let each = |source: Plain<Addr>, slots: [u64; SLOTS]| {
            for attempt in slots.map(Attempt) {
                let Some(door) = doors.get(attempt.door() as usize) else { continue };
                if attempt.is_live(door, now) {
                    let left = door.seq_ticks - now.since(attempt.started());
                    entries.push(AttemptEntry {
                        source: source.0,
                        door: door.name.as_str().to_owned(),
                        stage: attempt.made(),
                        left: Duration::from_nanos(Ticks::span_ns(left)),
                    });
                }
            }
        };
        self.lru(name::ATTEMPTS, |map: HashMap<_, Plain<Addr>, [u64; SLOTS]>| {
            sys::each(IterableMap::map(&map).fd().as_fd(), each).context("attempts cannot be read")
        })?;
        entries.sort_by(|one, other| (one.source, &one.door).cmp(&(other.source, &other.door)));
        Ok(entries)
    }

    /// Doors of the running rules, in the order of their indices.
    ///
    /// # Errors
    ///
    /// If the pin cannot be read.
    pub fn doors(&self) -> Result<Vec<Door>> {
        Ok(self.rules::<Door>(name::DOORS)?.into_iter().take_while(|door| door.tag != 0).collect())
    }

    /// Services of the running rules, in the order of their indices.
    ///
    /// # Errors
    ///
    /// If the pin cannot be read.
    pub fn services(&self) -> Result<Vec<Service>> {
        Ok(self.rules::<Service>(name::SERVICES)?.into_iter().take_while(|service| service.tag != 0).collect())
    }

    /// The same without those that have no port: the services of doors that name none.
    ///
    /// # Errors
    ///
    /// If a pin cannot be read.
    pub fn protecting(&self) -> Result<Vec<Service>> {
        let protected = self.protected()?;
        let mut services: Vec<_> = (0_u32..).zip(self.services()?).collect();
        services.retain(|(index, _)| protected.iter().any(|(_, owner)| owner == index));
        Ok(services.into_iter().map(|(_, service)| service).collect())
    }

    /// The protected ports in the order of their numbers, with the index of the service.
    ///
    /// # Errors
    ///
    /// If the pin cannot be read.
    pub fn protected(&self) -> Result<Vec<(Port, u32)>> {
        let mut ports = Vec::new();
        for (number, roles) in (0..=u16::MAX).zip(self.rules::<PortRoles>(name::PORTS)?) {
            for transport in [Transport::Tcp, Transport::Udp] {
                if let Role::Protected(service) = roles.of(transport).role() {
                    ports.push((Port { number, transport }, service));
                }
            }
        }
        Ok(ports)
    }

    /// The tag of the service that protects each port.
    ///
    /// # Errors
    ///
    /// If a pin cannot be read.
    pub fn owners(&self) -> Result<StdHashMap<Port, u32>> {
        let services = self.services()?;
        let protected = self.protected()?.into_iter();
        Ok(protected.filter_map(|(port, index)| Some((port, services.get(index as usize)?.tag))).collect())
    }

    /// True if the gate denies nothing, and only counts and logs what it would deny.
    ///
    /// # Errors
    ///
    /// If the pin cannot be read.
    pub fn observes(&self) -> Result<bool> {
        Ok(self.status_flags()? & STATUS_OBSERVE != 0)
    }

    /// True if denied packets are answered as by a closed port.
    ///
    /// # Errors
    ///
    /// If the pin cannot be read.
    pub fn rejects(&self) -> Result<bool> {
        Ok(self.status_flags()? & STATUS_REJECT != 0)
    }

    /// How long a UDP flow may be idle, in ns.
    ///
    /// # Errors
    ///
    /// If the pin cannot be read.
    pub fn flow_idle(&self) -> Result<u64> {
        Ok((self.status_flags()? >> STATUS_FLOW_IDLE).saturating_mul(1_000_000_000))
    }

    fn status_flags(&self) -> Result<u64> {
        self.rule(name::TOLD, |map| Ok(Array::<_, u64>::try_from(&*map)?.get(&0, 0)?))
    }

    fn rules<T: InMap>(&self, name: &str) -> Result<Vec<T>> {
        self.rule(name, |map| {
            let Map::Array(map) = map else { bail!("no array") };
            let info = map.info()?;
            if info.value_size() as usize != size_of::<T>() {
                bail!("values of another size");
            }
            let values: Vec<Plain<T>> = sys::read_array(map.fd().as_fd(), info.max_entries())?;
            Ok(values.into_iter().map(|value| value.0).collect())
        })
    }

    /// Works on a table of the rules.
    fn rule<R>(&self, name: &str, work: impl FnOnce(&mut Map) -> Result<R>) -> Result<R> {
        let path = self.paths.rule(name);
        let done = self.kept.with(&path, Map::Array, work);
        done.with_context(|| format!("{}: start the gate again", path.display()))
    }

    /// Counters, summed up over the CPUs, in the order of [`Counter::ALL`].
    ///
    /// # Errors
    ///
    /// If the pin cannot be read.
    pub fn counters(&self) -> Result<Vec<(Counter, u64)>> {
        let cpus = nr_cpus().map_err(|(_, error)| error)?;
        let values = self.kept.with(&self.paths.map(name::COUNTERS), Map::PerCpuArray, |map| {
            let Map::PerCpuArray(map) = map else { bail!("no array") };
            Ok(sys::read_per_cpu(map.fd().as_fd(), Counter::COUNT as u32, cpus)?)
        })?;
        Ok(Counter::ALL.iter().copied().zip(values.chunks(cpus).map(|values| values.iter().sum())).collect())
    }

    /// Lets every CPU tell of `count` more denials.
    ///
    /// # Errors
    ///
    /// Of bpf(2).
    pub fn refill_tokens(&self, count: u64) -> Result<()> {
        let cpus = nr_cpus().map_err(|(_, error)| error)?;
        let values = PerCpuValues::try_from(vec![count; cpus])?;
        self.kept.with(&self.paths.map(name::TOKENS), Map::PerCpuArray, |map| {
            let mut array: PerCpuArray<&mut MapData, u64> = map.try_into()?;
            Ok(array.set(0, values, 0)?)
        })
    }

    /// The interfaces that have the gate, and those that should have it.
    ///
    /// # Errors
    ///
    /// If the pins or the interfaces cannot be listed.
    pub fn places(&self) -> Result<Vec<InterfaceState>> {
        report::read(&self.paths)
    }
}

/// Whether a removal found something. What is not there aya tells as an error of the system call.
pub fn was_there(removed: Result<(), MapError>) -> Result<bool> {
    match removed {
        Ok(()) => Ok(true),
        Err(MapError::KeyNotFound) => Ok(false),
        Err(MapError::SyscallError(error)) if error.io_error.raw_os_error() == Some(libc::ENOENT) => Ok(false),
        Err(error) => Err(anyhow!(error)),
    }
}
