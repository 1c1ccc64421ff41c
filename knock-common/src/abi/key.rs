//! Keys: the credentials of devices, and when each was last used.

use core::mem::size_of;

use crate::abi::grant::Prefix;
use crate::abi::token::LANES;
use crate::atomic::Atomic64;
use crate::blake2s::Keyed;

/// Keys in one config.
pub const MAX_KEYS: u32 = 65_536;
/// Slots of last times: those of all keys, and of some that were removed a short time ago.
pub const KEY_SLOTS: u32 = MAX_KEYS + 4096;

/// A bit of [`Key::sources`]: tokens may say from where they come.
pub const FROM_STRICT: u32 = 1;
/// A bit of [`Key::sources`]: tokens may come from anywhere.
pub const FROM_SEEN: u32 = 2;

/// Value of the `KEYS` map. Its key is the id of the key, four octets read as a little-endian number.
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Key {
    /// What makes its MACs.
    pub mac: Keyed,
    /// The doors that it may open and close.
    pub doors: DoorSet,
    /// From when on it opens nothing, in ns since 1970; 0: never.
    pub expires: u64,
    /// What a grant to an IPv4 source covers; [`Prefix::NONE`]: what the door says.
    pub prefix_v4: Prefix,
    /// What a grant to an IPv6 source covers; [`Prefix::NONE`]: what the door says.
    pub prefix_v6: Prefix,
    /// Index of its [`LastTimes`].
    pub slot: u32,
    /// Tag of its user, or 0.
    pub user: u32,
    /// [`FROM_STRICT`] and [`FROM_SEEN`]; 0: not configured.
    pub sources: u32,
    /// Unused, zero.
    pub reserved: u32,
}

/// A set of doors by their index, with room for 256.
#[repr(transparent)]
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct DoorSet([u64; 4]);

impl DoorSet {
    /// The same set and this door.
    #[must_use]
    pub const fn and(mut self, index: u8) -> Self {
        self.0[index as usize / 64] |= 1 << (index % 64);
        self
    }

    /// True if the door is in it.
    #[inline(always)]
    #[must_use]
    pub const fn has(&self, index: u32) -> bool {
        self.0[index as usize / 64 % 4] >> (index % 64) & 1 != 0
    }
}

/// Value of the `LAST_TIMES` map, one for each key. The program changes it word by word, and user space as well while a
/// program runs that has a key with this slot.
#[repr(C)]
#[derive(Debug, Default)]
pub struct LastTimes {
    /// The time of the last token of each lane, in ns since 1970.
    pub lanes: [Atomic64; LANES],
    /// The time of the last token that closed, in ns since 1970: earlier ones of any lane are stale.
    pub closed: Atomic64,
    /// When the key was removed, boot time in ns; 0: it was not.
    pub gone: Atomic64,
    /// The [expiry](Key::expires) that was seen to have passed. With this one the key stays expired, whatever the clock says.
    pub expired: Atomic64,
    /// When it was last used, boot time in ns.
    pub used: Atomic64,
    /// The time of that token, in ns since 1970.
    pub time: Atomic64,
    /// Its source, as two words in the order of memory.
    pub source: [Atomic64; 2],
    /// The key's id; 0: the slot is free.
    pub id: u32,
    /// Unused, zero.
    pub reserved: [u32; 9],
}

impl LastTimes {
    /// Words of it.
    pub const WORDS: usize = size_of::<Self>() / size_of::<u64>();

    /// A slot that was just given to a key.
    #[must_use]
    pub fn of(id: u32) -> Self {
        Self { id, ..Self::default() }
    }

    /// All of it, as it lies in memory.
    #[must_use]
    pub fn words(&self) -> [u64; Self::WORDS] {
        let [a, b, c, d] = &self.lanes;
        let [low, high] = &self.source;
        let rest = [a, b, c, d, &self.closed, &self.gone, &self.expired, &self.used, &self.time, low, high];
        let mut words = [0; Self::WORDS];
        for (word, cell) in words.iter_mut().zip(rest) {
            *word = cell.load();
        }
        words[rest.len()] = u64::from_ne_bytes({
            let [a, b, c, d] = self.id.to_ne_bytes();
            [a, b, c, d, 0, 0, 0, 0]
        });
        words
    }
}

/// Value of the `WALL_CLOCK` map, which has one.
#[repr(C)]
#[derive(Debug, Default)]
pub struct WallClock {
    /// Wall clock minus boot time, in ns; 0: not known, and every token is outside the window.
    pub offset: Atomic64,
    /// When the `LAST_TIMES` map was made, boot time in ns.
    pub since: Atomic64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_holds_the_doors_that_were_put_in() {
        let put = [0, 1, 63, 64, 130, 255];
        let set = put.iter().fold(DoorSet::default(), |set, &index| set.and(index));
        for index in 0..=u8::MAX {
            assert_eq!(set.has(u32::from(index)), put.contains(&index), "{index}");
        }
    }
}
