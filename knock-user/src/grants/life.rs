//! The lives of grants: what began, extended and ended each. Told once, whether an event or a look at the table was
//! first to say so.

use std::collections::hash_map::Entry;
use std::collections::{BTreeSet, HashMap, HashSet};

use knock_common::abi::event::{Event, Kind};
use knock_common::abi::grant::{Grant, GrantKey, Prefix};
use knock_common::addr::Addr;

use super::Table;
use crate::config::Config;
use crate::kernel::GrantEntry;
use crate::memory;

/// One of all grants that there were under a key.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Life {
    /// Its key in the table.
    pub key: GrantKey,
    /// When it was first written, boot time in ns.
    pub since: u64,
}

impl Life {
    const fn of(entry: &GrantEntry) -> Self {
        Self { key: entry.key, since: entry.grant.since }
    }
}

/// From when on the grants of a door are followed, by its tag: boot time in ns, `None` if they are not.
pub type Follows<'a> = &'a dyn Fn(u32) -> Option<u64>;

/// What a completed door has done.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Knock {
    /// Tag of the door.
    pub door: u32,
    /// The source that knocked; of a grant that was found in the table, as its key has it.
    pub source: Addr,
    /// What the kernel called it; `None` if it was found in the table.
    pub kind: Option<Kind>,
}

impl Knock {
    const fn of(event: &Event, kind: Kind) -> Self {
        Self { door: event.door, source: event.source, kind: Some(kind) }
    }

    const fn found(key: &GrantKey, grant: &Grant) -> Self {
        Self { door: grant.door, source: key.source, kind: None }
    }
}

/// What has become of a grant.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Change {
    /// It began. The kernel may have called this an extension, if the event of the beginning was lost.
    Opened(Life, Knock),
    /// A door was completed while it was live.
    Extended(Life, Knock),
    /// A close door was completed. What it ended is told before.
    Closed(GrantKey, Knock),
    /// It has ended.
    Ended(Life, End),
}

/// Why a grant has ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum End {
    /// Its time was over, and a sweep took it out.
    Expired {
        /// Tag of the door that wrote it, 0 if none did.
        door: u32,
    },
    /// A close door was completed.
    Closed,
    /// Another grant stands in its place. Of two that knock at once it may be the older one.
    Superseded,
    /// Somebody took it out of the table and told nobody: `knockctl revoke`, a grant by hand that needed its room, or a
    /// close door whose event was lost.
    Removed,
    /// The config has its service no more. It is not followed any longer; that a sweep takes it out is told as well.
    ServiceGone,
    /// It was of an earlier boot.
    Reboot,
    /// The gate was taken down.
    GateDown,
}

/// A life that is told from its beginning to its end.
struct Followed {
    since: u64,
    /// The look that saw it last.
    seen: u32,
}

/// Lives of grants, as far as they were told.
///
/// Of each grant that is followed one beginning and one end are told, whatever events are lost. One that began before
/// its door was followed is left alone until a knock extends it. Of all others only what costs nothing is told:
/// beginnings that come as events, and ends that a sweep finds.
///
/// Of the changes that come together, the end of a grant stands before the beginning of the next one under its key. An
/// event that is read so late that its grant was told to have ended begins another life, which the next look ends.
#[derive(Default)]
pub struct Lives {
    services: HashSet<u32>,
    followed: HashMap<GrantKey, Followed>,
    /// Lives that were told while a younger one was followed under the same key, by when they began. The next look asks
    /// the table which of both it has.
    late: BTreeSet<(GrantKey, u64)>,
    /// Ends that are not told yet.
    over: Vec<Change>,
    looks: u32,
}

impl Lives {
    /// Follows the lives whose beginning an earlier daemon has told, in this boot (`true`) or in another. Before it is
    /// used it is to be configured.
    pub fn new(told: impl IntoIterator<Item = (Life, bool)>) -> Self {
        let mut lives = Self::default();
        for (life, is_of_this_boot) in told {
            if is_of_this_boot {
                let older = lives.follow(life).unwrap_or_default();
                lives.over.extend(older);
            } else {
                lives.over.push(Change::Ended(life, End::Reboot));
            }
        }
        lives
    }

    /// Goes on under another config.
    pub fn configure(&mut self, config: &Config) {
        self.services = config.services.iter().map(|service| service.name.tag()).collect();
    }

    /// Takes an event of the kernel's. Kinds that are about no grant change nothing.
    pub fn hear(&mut self, event: &Event, kind: Kind, table: &dyn Table, follows: Follows<'_>) -> Vec<Change> {
        match kind {
            Kind::Opened => self.opened(event, follows),
            Kind::Extended => self.extended(event, table, follows),
            Kind::Closed => {
                let mut changes = Vec::new();
                self.reconcile(table, Some(event), &mut changes);
                changes.push(Change::Closed(key_of(event), Knock::of(event, kind)));
                changes
            }
            _ => Vec::new(),
        }
    }

    fn opened(&mut self, event: &Event, follows: Follows<'_>) -> Vec<Change> {
        let life = Life { key: key_of(event), since: event.at };
        let begins = if follows(event.door).is_some() {
            self.follow(life)
        } else {
            (!self.is_followed(&life)).then(|| self.supersede(&life))
        };
        // A look may have been first.
        let Some(mut changes) = begins else { return Vec::new() };
        changes.push(Change::Opened(life, Knock::of(event, Kind::Opened)));
        changes
    }

    fn extended(&mut self, event: &Event, table: &dyn Table, follows: Follows<'_>) -> Vec<Change> {
        let key = key_of(event);
        let is_wanted = follows(event.door).is_some();
        let followed = self.followed.get(&key).map(|followed| followed.since);
        if followed.is_none() && !is_wanted {
            return Vec::new();
        }
        // An event may be read late: a grant that began after it is not the one that it is about.
        let late = || self.late.range((key, 0)..=(key, event.at)).next_back().map(|(_, since)| *since);
        let known = followed.filter(|since| *since <= event.at).or_else(late);
        let grant = table.get(&key).ok().flatten().filter(|grant| grant.since <= event.at);
        let since = grant.map(|grant| grant.since).or(known).unwrap_or(event.at);
        let (life, knock) = (Life { key, since }, Knock::of(event, Kind::Extended));
        if known == Some(since) {
            return vec![Change::Extended(life, knock)];
        }
        if !is_wanted {
            return self.supersede(&life);
        }
        let Some(mut changes) = self.follow(life) else { return vec![Change::Extended(life, knock)] };
        // The event of its beginning was lost, if anybody was to be told of that.
        let began = match grant {
            None => Some(knock),
            Some(grant) if !self.is_told(&key, &grant, follows) => None,
            Some(grant) if grant.door == event.door => Some(knock),
            Some(grant) => Some(Knock::found(&key, &grant)),
        };
        changes.extend(began.map(|began| Change::Opened(life, began)));
        if began != Some(knock) {
            changes.push(Change::Extended(life, knock));
        }
        changes
    }

    /// Begins a look at the whole table.
    pub const fn look<'a>(&'a mut self, follows: Follows<'a>) -> Look<'a> {
        self.looks = self.looks.wrapping_add(1);
        Look { lives: self, follows }
    }

    /// Every grant has ended: the gate is taken down.
    pub fn end_all(&mut self) -> Vec<Change> {
        let mut changes = std::mem::take(&mut self.over);
        let followed = self.followed.drain();
        let all = followed.map(|(key, Followed { since, .. })| (key, since)).chain(std::mem::take(&mut self.late));
        changes.extend(all.map(|(key, since)| Change::Ended(Life { key, since }, End::GateDown)));
        changes
    }

    /// True if the beginning of this life was told, and not its end.
    fn is_followed(&self, life: &Life) -> bool {
        self.followed.get(&life.key).is_some_and(|followed| followed.since == life.since)
    }

    /// True if the beginning of a grant is told, also if no event came.
    fn is_told(&self, key: &GrantKey, grant: &Grant, follows: Follows<'_>) -> bool {
        self.services.contains(&key.service) && follows(grant.door).is_some_and(|from| grant.since >= from)
    }

    /// Follows a life from now on, and ends the one that was followed in its place. `None` if it is followed already.
    fn follow(&mut self, life: Life) -> Option<Vec<Change>> {
        let seen = self.looks;
        if self.late.contains(&(life.key, life.since)) {
            return None;
        }
        match self.followed.entry(life.key) {
            Entry::Occupied(there) if there.get().since == life.since => None,
            // It comes late: a younger one was told already.
            Entry::Occupied(there) if there.get().since > life.since => {
                self.late.insert((life.key, life.since));
                Some(Vec::new())
            }
            Entry::Occupied(mut there) => {
                let Followed { since, .. } = there.insert(Followed { since: life.since, seen });
                Some(vec![Change::Ended(Life { key: life.key, since }, End::Superseded)])
            }
            Entry::Vacant(free) => {
                free.insert(Followed { since: life.since, seen });
                Some(Vec::new())
            }
        }
    }

    /// Ends what was followed under the same key before.
    fn supersede(&mut self, life: &Life) -> Vec<Change> {
        match self.followed.entry(life.key) {
            Entry::Occupied(there) if there.get().since < life.since => {
                let Followed { since, .. } = there.remove();
                vec![Change::Ended(Life { key: life.key, since }, End::Superseded)]
            }
            _ => Vec::new(),
        }
    }

    fn expire(&mut self, entry: &GrantEntry) -> Change {
        let life = Life::of(entry);
        if self.is_followed(&life) {
            self.followed.remove(&life.key);
        }
        self.late.remove(&(life.key, life.since));
        Change::Ended(life, End::Expired { door: entry.grant.door })
    }

    /// Ends lives that are no longer in the table, or whose service is not in the config. One whose time is over stays
    /// until a sweep takes it out.
    fn reconcile(&mut self, table: &dyn Table, closed: Option<&Event>, changes: &mut Vec<Change>) {
        let late = std::mem::take(&mut self.late);
        // Of two that knock at once the older may have written last.
        let (stand, gone): (Vec<_>, Vec<_>) = late.into_iter().partition(|(key, since)| match table.get(key) {
            Ok(grant) => grant.is_some_and(|grant| grant.since == *since),
            Err(_) => true,
        });
        changes.extend(gone.into_iter().map(|(key, since)| Change::Ended(Life { key, since }, End::Superseded)));
        changes.append(&mut self.over);
        let (services, looks) = (&self.services, self.looks);
        self.followed.retain(|key, followed| {
            let life = Life { key: *key, since: followed.since };
            let why = if !services.contains(&key.service) {
                End::ServiceGone
            } else if closed.is_none() && followed.seen == looks {
                return true;
            } else {
                match table.get(key) {
                    Ok(Some(grant)) if grant.since == life.since => return true,
                    // It says nothing; the next look asks again.
                    Err(_) => return true,
                    Ok(_) if closed.is_some_and(|event| closes(event, &life)) => End::Closed,
                    Ok(Some(_)) => End::Superseded,
                    Ok(None) => End::Removed,
                }
            };
            changes.push(Change::Ended(life, why));
            false
        });
        for (key, since) in stand {
            if let Entry::Vacant(free) = self.followed.entry(key) {
                free.insert(Followed { since, seen: looks });
            } else {
                self.late.insert((key, since));
            }
        }
    }
}

/// A look at the whole table.
pub struct Look<'a> {
    lives: &'a mut Lives,
    follows: Follows<'a>,
}

impl Look<'_> {
    /// Takes a live grant. True if its beginning is to be told: [`Self::end`] wants it.
    pub fn see(&mut self, entry: &GrantEntry) -> bool {
        match self.lives.followed.get_mut(&entry.key) {
            Some(followed) if followed.since == entry.grant.since => {
                followed.seen = self.lives.looks;
                false
            }
            _ => self.lives.is_told(&entry.key, &entry.grant, self.follows),
        }
    }

    /// Ends the look: `live` are the grants of which [`Self::see`] was true, and maybe others, `expired` those that a
    /// sweep has just taken out of the table.
    #[must_use]
    pub fn end(self, table: &dyn Table, live: &[GrantEntry], expired: Vec<GrantEntry>) -> Vec<Change> {
        let Self { lives, follows } = self;
        let mut changes: Vec<_> = expired.into_iter().map(|entry| lives.expire(&entry)).collect();
        lives.reconcile(table, None, &mut changes);
        for entry in live {
            let life = Life::of(entry);
            if lives.is_told(&entry.key, &entry.grant, follows)
                && let Some(ended) = lives.follow(life)
            {
                changes.extend(ended);
                changes.push(Change::Opened(life, Knock::found(&entry.key, &entry.grant)));
            }
        }
        // Many grants that have ended leave their room.
        memory::shrink(&mut lives.followed);
        changes
    }
}

/// The key of the grant that an event is about.
fn key_of(event: &Event) -> GrantKey {
    GrantKey::new(event.service, &event.source, &Prefix::new(event.bits.into()))
}

/// True if a close door has taken this grant out.
fn closes(event: &Event, life: &Life) -> bool {
    let key = GrantKey::new(event.service, &event.source, &Prefix::new(life.key.bits));
    life.since <= event.at && key == life.key
}

#[cfg(test)]
mod tests;
