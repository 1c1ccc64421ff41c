//! Grants, and notes of used one-time sequences, on their way from one map to another: to a table of another
//! size, or to another layout.

use std::collections::BTreeMap;
use std::os::fd::AsFd as _;
use std::path::Path;

use anyhow::{Context as _, Result, anyhow, bail};
use aya::maps::{HashMap, Map, MapData, MapType};
use knock_common::grant::{Grant, GrantKey};
use knock_common::layout::name;
use knock_common::spent::Spent;

use super::layouts::{foreign, record};
use super::pins::Paths;
use super::plain::Plain;
use super::sys::{self, boot_now};

/// The first layout's grant and note; no later one is shorter.
const SHORTEST: usize = 32;
/// A key that is not there already.
const NOEXIST: u64 = 1;

/// What is carried over to maps that are not in force yet.
#[derive(Default)]
pub struct Carry {
    grants: Option<Grants>,
    spent: Option<(Records, Notes)>,
}

type Notes = HashMap<MapData, u64, Plain<Spent>>;

struct Grants {
    from: Records,
    to: HashMap<MapData, Plain<GrantKey>, Plain<Grant>>,
    /// As they were when they were last carried.
    sent: BTreeMap<GrantKey, Grant>,
}

impl Carry {
    /// From the maps that are in force to those in `next` that will take their places.
    ///
    /// # Errors
    ///
    /// If one of them is not what it should be.
    pub fn open(paths: &Paths, next: &Path) -> Result<Self> {
        let (from, to) = (paths.map(name::GRANTS), next.join(name::GRANTS));
        let mut carry = Self::only_spent(paths, next)?;
        if from.exists() && to.exists() {
            let from = Records::open(&from, size_of::<GrantKey>())?;
            carry.grants = Some(Grants { from, to: hash(&to)?.try_into()?, sent: BTreeMap::new() });
        }
        Ok(carry)
    }

    /// The same without grants.
    ///
    /// # Errors
    ///
    /// As [`Self::open`].
    pub fn only_spent(paths: &Paths, next: &Path) -> Result<Self> {
        let (from, to) = (paths.map(name::SPENT), next.join(name::SPENT));
        let mut carry = Self::default();
        if from.exists() && to.exists() {
            carry.spent = Some((Records::open(&from, 8)?, hash(&to)?.try_into()?));
        }
        Ok(carry)
    }

    /// Carries what is there; when called again, what has changed meanwhile.
    ///
    /// # Errors
    ///
    /// Of bpf(2).
    pub fn carry(&mut self) -> Result<()> {
        self.carry_spent()?;
        let Some(grants) = &mut self.grants else { return Ok(()) };
        let now = live(&grants.from)?;
        let to = &mut grants.to;
        for (key, grant) in now.iter().filter(|&(key, grant)| grants.sent.get(key) != Some(grant)) {
            let there = to.get(&Plain(*key), 0).ok().map(|there| there.0.until);
            if there.is_none_or(|until| until < grant.until) {
                to.insert(Plain(*key), Plain(*grant), 0).context("a grant cannot be carried over")?;
            }
        }
        // What was taken away meanwhile; not if it was given anew.
        for (key, sent) in grants.sent.iter().filter(|(key, _)| !now.contains_key(key)) {
            if to.get(&Plain(*key), 0).is_ok_and(|there| there.0 == *sent) {
                let _ = to.remove(&Plain(*key));
            }
        }
        grants.sent = now;
        Ok(())
    }

    /// Notes are never taken back here: a used sequence stays used.
    ///
    /// # Errors
    ///
    /// Of bpf(2).
    pub fn carry_spent(&mut self) -> Result<()> {
        let Some((from, to)) = &mut self.spent else { return Ok(()) };
        for (key, value) in from.read()? {
            let key = u64::from_ne_bytes(key.try_into().map_err(|_| anyhow!("a key of another size"))?);
            match to.insert(key, Plain(record::<Spent>(&value)), NOEXIST) {
                Ok(()) => {}
                Err(_) if to.get(&key, 0).is_ok() => {}
                Err(error) => return Err(anyhow!(error).context("the use of a sequence cannot be carried over")),
            }
        }
        Ok(())
    }
}

/// The live grants of a pinned table of any layout.
///
/// # Errors
///
/// If it is none, or of bpf(2).
pub fn live_grants(pin: &Path) -> Result<BTreeMap<GrantKey, Grant>> {
    live(&Records::open(pin, size_of::<GrantKey>())?)
}

fn live(from: &Records) -> Result<BTreeMap<GrantKey, Grant>> {
    let now = boot_now();
    let records = from.read()?.into_iter();
    let grants = records.map(|(key, value)| (record::<GrantKey>(&key), record::<Grant>(&value)));
    Ok(grants.filter(|(_, grant)| grant.is_live(now)).collect())
}

fn hash(pin: &Path) -> Result<Map> {
    Ok(Map::HashMap(MapData::from_pin(pin).with_context(|| pin.display().to_string())?))
}

/// A hash map whose values may have another size than ours.
struct Records {
    map: MapData,
    key: usize,
    value: usize,
    room: usize,
}

impl Records {
    fn open(pin: &Path, key: usize) -> Result<Self> {
        let map = MapData::from_pin(pin).map_err(|error| foreign(pin, error))?;
        let info = map.info()?;
        let value = info.value_size() as usize;
        if info.map_type()? != MapType::Hash || info.key_size() as usize != key || value < SHORTEST {
            return Err(foreign(pin, "is of another shape"));
        }
        Ok(Self { key, value, room: info.max_entries() as usize, map })
    }

    /// All records; while others change the map, those that were there all the time.
    fn read(&self) -> Result<BTreeMap<Vec<u8>, Vec<u8>>> {
        let mut records = BTreeMap::new();
        let mut last: Option<Vec<u8>> = None;
        // A key that was removed lets the kernel begin again.
        for _ in 0..self.room.saturating_mul(4).saturating_add(1) {
            let Some(key) = sys::next_key(self.map.fd().as_fd(), last.as_deref(), self.key)? else {
                return Ok(records);
            };
            if let Some(value) = sys::look_up(self.map.fd().as_fd(), &key, self.value)? {
                records.insert(key.clone(), value);
            }
            last = Some(key);
        }
        bail!("a table changes faster than it can be read: try again")
    }
}
