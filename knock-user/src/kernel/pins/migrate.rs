//! Grants, flows, and notes of used one-time sequences, on their way from one map to another: to a table of another
//! size, or to another layout.

use std::os::fd::{AsFd as _, BorrowedFd};
use std::path::Path;

use anyhow::{Context as _, Result, anyhow};
use aya::maps::{HashMap, IterableMap, Map, MapData, MapType};
use knock_common::abi::flow::{FlowKey, FlowState};
use knock_common::abi::grant::{Grant, GrantKey};
use knock_common::abi::layout::name;
use knock_common::abi::used::Used;

use super::layouts::{foreign, record, unlike};
use crate::kernel::pod::{FlowRecord, Plain};
use crate::kernel::sys::{self, boot_now};
use crate::paths::Paths;

/// The first layout's grant and note; no later one is shorter.
const SHORTEST: usize = 32;
/// A key that is not there already.
const NOEXIST: u64 = 1;
/// A packet is judged well within this time, in ns: what it leaves in a table has this age at most.
const JUDGED: u64 = 1_000_000_000;

/// What is carried over to maps that are not in force yet.
#[derive(Default)]
pub struct Migration {
    grants: Option<Grants>,
    flows: Option<Flows>,
    used: Option<(Records, Notes)>,
}

type Table = HashMap<MapData, Plain<GrantKey>, Plain<Grant>>;
type FlowTable = HashMap<MapData, Plain<FlowKey>, Plain<FlowRecord>>;
type Notes = HashMap<MapData, u64, Plain<Used>>;

struct Grants {
    from: Records,
    to: Table,
    /// When they began to be carried, boot time in ns: from then on counts how long traffic keeps one of an older layout
    /// alive.
    at: u64,
    /// As they were when they were last carried, in the order of their keys; `None` before that.
    sent: Option<Vec<(GrantKey, Grant)>>,
}

struct Flows {
    from: FlowTable,
    to: FlowTable,
    /// For how many the new table has room.
    room: usize,
    /// How long a UDP flow may be idle, in ns.
    idle: u64,
    /// When they were last carried, boot time in ns; `None` before that.
    carried: Option<u64>,
}

impl Migration {
    /// From the maps that are in force to those in `next` that will take their places. A UDP flow lives while it is not
    /// idle for longer than `flow_idle` ns.
    ///
    /// # Errors
    ///
    /// If one of them is not what it should be.
    pub fn open(paths: &Paths, next: &Path, flow_idle: u64) -> Result<Self> {
        let (from, to) = (paths.map(name::GRANTS), next.join(name::GRANTS));
        let mut migration = Self::only_used(paths, next)?;
        if from.exists() && to.exists() {
            let from = Records::open(&from, size_of::<GrantKey>())?;
            migration.grants = Some(Grants { from, to: hash(&to)?.try_into()?, at: boot_now(), sent: None });
        }
        let (from, to) = (paths.map(name::FLOWS), next.join(name::FLOWS));
        if from.exists()
            && to.exists()
            && let Some(((from, _), (to, room))) = flows(&from)?.zip(flows(&to)?)
        {
            migration.flows = Some(Flows { from, to, room, idle: flow_idle, carried: None });
        }
        Ok(migration)
    }

    /// The same without grants.
    ///
    /// # Errors
    ///
    /// As [`Self::open`].
    pub fn only_used(paths: &Paths, next: &Path) -> Result<Self> {
        let (from, to) = (paths.map(name::SPENT), next.join(name::SPENT));
        let mut migration = Self::default();
        if from.exists() && to.exists() {
            migration.used = Some((Records::open(&from, 8)?, hash(&to)?.try_into()?));
        }
        Ok(migration)
    }

    /// Carries what is there; when called again, what has changed meanwhile.
    ///
    /// # Errors
    ///
    /// Of bpf(2).
    pub fn migrate(&mut self) -> Result<()> {
        self.migrate_used()?;
        if let Some(flows) = &mut self.flows {
            flows.migrate()?;
        }
        let Some(grants) = &mut self.grants else { return Ok(()) };
        let now = live(&grants.from, grants.at)?;
        let to = &mut grants.to;
        let Some(sent) = &grants.sent else {
            // Nobody else writes there: the program that has this table does not run yet.
            let (keys, values): (Vec<_>, Vec<_>) = now.iter().map(|(key, grant)| (Plain(*key), Plain(*grant))).unzip();
            sys::write(fd(to), &keys, &values).context("grants cannot be carried over")?;
            grants.sent = Some(now);
            return Ok(());
        };
        let mut old = sent.iter().peekable();
        for (key, grant) in &now {
            while let Some((gone, sent)) = old.next_if(|(other, _)| other < key) {
                take_back(to, gone, sent);
            }
            if old.next_if(|(other, _)| other == key).is_some_and(|(_, sent)| sent == grant) {
                continue;
            }
            let there = to.get(&Plain(*key), 0).ok().map(|there| there.0.until);
            if there.is_none_or(|until| until < grant.until) {
                to.insert(Plain(*key), Plain(*grant), 0).context("a grant cannot be carried over")?;
            }
        }
        old.for_each(|(gone, sent)| take_back(to, gone, sent));
        grants.sent = Some(now);
        Ok(())
    }

    /// Notes are never taken back here: a used sequence stays used.
    ///
    /// # Errors
    ///
    /// Of bpf(2).
    pub fn migrate_used(&mut self) -> Result<()> {
        let Some((from, to)) = &mut self.used else { return Ok(()) };
        let mut notes = Vec::new();
        from.each(|key, value| notes.push((key.try_into().map(u64::from_ne_bytes), record::<Used>(value))))?;
        for (key, used) in notes {
            let key = key.context("a key of another size")?;
            match to.insert(key, Plain(used), NOEXIST) {
                Ok(()) => {}
                Err(_) if to.get(&key, 0).is_ok() => {}
                Err(error) => return Err(anyhow!(error).context("the use of a sequence cannot be carried over")),
            }
        }
        Ok(())
    }
}

impl Flows {
    /// Carries the live ones, as many as there is room for, of those that were seen last; when called again, those of which
    /// something was seen meanwhile.
    fn migrate(&mut self) -> Result<()> {
        let now = boot_now();
        let since = self.carried.map_or(0, |at| at.saturating_sub(JUDGED));
        let mut seen = Vec::new();
        sys::each(fd(&self.from), |key: Plain<FlowKey>, flow: Plain<FlowRecord>| {
            let state = FlowState(flow.0.state);
            if state.seen() >= since && state.is_live(key.0.is_udp(), now, self.idle) {
                seen.push((key, flow));
            }
        })?;
        last_seen(&mut seen, self.room, |(_, flow)| FlowState(flow.0.state).seen());
        if self.carried.is_none() {
            // Nobody else writes there: the program that has this table does not run yet.
            let (keys, flows): (Vec<_>, Vec<_>) = seen.into_iter().unzip();
            sys::write(fd(&self.to), &keys, &flows).context("connections cannot be carried over")?;
        } else {
            for (key, flow) in seen {
                // What is there may have moved on already.
                let there = self.to.get(&key, 0).ok().map(|there| FlowState(there.0.state).seen());
                if there.is_none_or(|there| there < FlowState(flow.0.state).seen()) {
                    self.to.insert(key, flow, 0).context("a connection cannot be carried over")?;
                }
            }
        }
        self.carried = Some(now);
        Ok(())
    }
}

/// Leaves as many as there is room for, those that were seen last, in the order in which they were: where the kernel has
/// to make room, it takes what was written first.
fn last_seen<T>(flows: &mut Vec<T>, room: usize, seen: impl Fn(&T) -> u64) {
    flows.sort_unstable_by_key(seen);
    flows.drain(..flows.len().saturating_sub(room));
}

/// How many live grants a pinned table of any layout holds.
///
/// # Errors
///
/// If it is none, or of bpf(2).
pub fn count_live(pin: &Path) -> Result<usize> {
    let now = boot_now();
    let mut count = 0;
    Records::open(pin, size_of::<GrantKey>())?.each(|_, value| {
        count += usize::from(record::<Grant>(value).is_live(now));
    })?;
    Ok(count)
}

/// A grant of whatever layout as ours. One of a layout that did not note when it was last renewed was so `at` the latest:
/// traffic keeps it alive for as long from there on as any other, and not for ever.
fn taken_over(octets: &[u8], at: u64) -> Grant {
    let grant = record::<Grant>(octets);
    if grant.renewed == 0 { Grant { renewed: at, ..grant } } else { grant }
}

/// The live grants, in the order of their keys.
fn live(from: &Records, at: u64) -> Result<Vec<(GrantKey, Grant)>> {
    let now = boot_now();
    let mut grants = Vec::new();
    from.each(|key, value| {
        let grant = taken_over(value, at);
        if grant.is_live(now) {
            grants.push((record::<GrantKey>(key), grant));
        }
    })?;
    grants.sort_unstable_by_key(|(key, _)| *key);
    Ok(grants)
}

/// What was taken away meanwhile; not if it was given anew.
fn take_back(to: &mut Table, key: &GrantKey, sent: &Grant) {
    if to.get(&Plain(*key), 0).is_ok_and(|there| there.0 == *sent) {
        let _ = to.remove(&Plain(*key));
    }
}

fn fd<K: aya::Pod, V: aya::Pod>(map: &HashMap<MapData, K, V>) -> BorrowedFd<'_> {
    IterableMap::map(map).fd().as_fd()
}

fn hash(pin: &Path) -> Result<Map> {
    Ok(Map::HashMap(MapData::from_pin(pin).with_context(|| pin.display().to_string())?))
}

/// A table of flows, and for how many it has room; `None` if it is of another shape than ours.
fn flows(pin: &Path) -> Result<Option<(FlowTable, usize)>> {
    let map = MapData::from_pin(pin).map_err(|error| unlike(pin, error))?;
    let info = map.info()?;
    let sizes = (info.key_size() as usize, info.value_size() as usize);
    let is_ours = info.map_type()? == MapType::LruHash && sizes == (size_of::<FlowKey>(), size_of::<FlowRecord>());
    let room = info.max_entries() as usize;
    Ok(if is_ours { Some((Map::LruHashMap(map).try_into()?, room)) } else { None })
}

/// A hash map whose values may have another size than ours.
struct Records {
    map: MapData,
    key: usize,
    value: usize,
}

impl Records {
    fn open(pin: &Path, key: usize) -> Result<Self> {
        let map = MapData::from_pin(pin).map_err(|error| unlike(pin, error))?;
        let info = map.info()?;
        let value = info.value_size() as usize;
        if info.map_type()? != MapType::Hash || info.key_size() as usize != key || value < SHORTEST {
            return Err(foreign(pin, "is of another shape"));
        }
        Ok(Self { key, value, map })
    }

    /// All records, as octets.
    fn each(&self, each: impl FnMut(&[u8], &[u8])) -> Result<()> {
        Ok(sys::each_record(self.map.fd().as_fd(), (self.key, self.value), each)?)
    }
}

#[cfg(test)]
mod tests {
    use knock_common::abi::grant::KEEPALIVE_WINDOWS;

    use super::{last_seen, taken_over};

    /// A record as the layouts before 5 had them, 32 octets, or as layout 5 has it.
    fn record_of(until: u64, since: u64, window: u64, renewed: Option<u64>) -> Vec<u8> {
        let mut octets: Vec<u8> = [until, since, window].iter().flat_map(|word| word.to_ne_bytes()).collect();
        octets.extend([7_u32, 1].iter().flat_map(|word| word.to_ne_bytes()));
        octets.extend(renewed.iter().flat_map(|word| [*word, 0].map(u64::to_ne_bytes).concat()));
        octets
    }

    #[test]
    fn traffic_keeps_a_grant_of_an_old_layout_alive_for_a_bounded_time_from_the_upgrade_on() {
        let old = record_of(900, 100, 50, None);
        assert_eq!(old.len(), super::SHORTEST);
        let grant = taken_over(&old, 800);
        assert_eq!((grant.until, grant.since, grant.window, grant.door, grant.origin), (900, 100, 50, 7, 1));
        assert_eq!(grant.kept_alive_until(), 800 + 50 * KEEPALIVE_WINDOWS);
        let noted = taken_over(&record_of(900, 100, 50, Some(600)), 800);
        assert_eq!(noted.kept_alive_until(), 600 + 50 * KEEPALIVE_WINDOWS);
    }

    #[test]
    fn those_that_were_seen_last_find_room_and_are_written_last() {
        let left = |room| {
            let mut flows = vec![30, 10, 50, 20, 40];
            last_seen(&mut flows, room, |seen| *seen);
            flows
        };
        assert_eq!(left(5), [10, 20, 30, 40, 50]);
        assert_eq!(left(9), left(5));
        assert_eq!(left(2), [40, 50]);
        assert!(left(0).is_empty());
    }
}
