//! The tables of the kernel that the program uses, of one CPU, and with nothing evicted.

use std::collections::HashMap;

const NO_EXIST: u64 = 1;
const EXIST: u64 = 2;

/// `enum bpf_map_type`, as far as the program uses it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    Array,
    Hash,
    Trie,
    Ring,
}

/// A table.
pub(super) struct Table {
    pub(super) name: String,
    kind: Kind,
    key: usize,
    value: usize,
    entries: usize,
    /// Places of the values, by key; those of an array are its indices.
    places: HashMap<Vec<u8>, usize>,
    free: Vec<usize>,
    pub(super) values: Vec<u8>,
}

impl Table {
    pub(super) fn new(name: &str, kind: u32, key: u32, value: u32, entries: u32) -> Option<Self> {
        let kind = match kind {
            2 | 6 => Kind::Array,
            1 | 9 => Kind::Hash,
            11 => Kind::Trie,
            27 => Kind::Ring,
            _ => return None,
        };
        let (key, value, entries) = (key as usize, value as usize, entries as usize);
        let values = if kind == Kind::Array { vec![0; value * entries] } else { Vec::new() };
        let (places, free) = (HashMap::new(), Vec::new());
        Some(Self { name: name.to_owned(), kind, key, value, entries, places, free, values })
    }

    pub(super) const fn key_size(&self) -> usize {
        self.key
    }

    pub(super) const fn value_size(&self) -> usize {
        self.value
    }

    pub(super) fn takes(&self, key: &[u8], value: &[u8]) -> bool {
        key.len() == self.key && value.len() == self.value
    }

    /// Where the value of a key begins.
    pub(super) fn find(&self, key: &[u8]) -> Option<usize> {
        match self.kind {
            Kind::Array => {
                let index = u32::from_ne_bytes(key.try_into().ok()?) as usize;
                (index < self.entries).then_some(index * self.value)
            }
            Kind::Hash => Some(self.places.get(key)? * self.value),
            Kind::Trie => {
                let longest = self.places.iter().filter(|(prefix, _)| covers(prefix, key));
                let (_, place) = longest.max_by_key(|(prefix, _)| bits(prefix))?;
                Some(place * self.value)
            }
            Kind::Ring => None,
        }
    }

    /// Writes a value; false if the flags do not allow it, or there is no room.
    pub(super) fn put(&mut self, key: &[u8], value: &[u8], flags: u64) -> bool {
        let known =
            if self.kind == Kind::Trie { self.places.get(key).map(|place| place * self.value) } else { self.find(key) };
        let place = match known {
            Some(_) if flags == NO_EXIST => return false,
            Some(place) => place,
            None if flags == EXIST || self.kind == Kind::Array || self.places.len() >= self.entries => return false,
            None => {
                let place = self.free.pop().unwrap_or(self.values.len() / self.value);
                self.values.resize(self.values.len().max((place + 1) * self.value), 0);
                self.places.insert(key.to_vec(), place);
                place * self.value
            }
        };
        self.values[place..place + self.value].copy_from_slice(value);
        true
    }

    /// Removes a key; false if it is not there.
    pub(super) fn remove(&mut self, key: &[u8]) -> bool {
        let place = self.places.remove(key);
        self.free.extend(place);
        place.is_some()
    }
}

/// The length of a trie's key, which it begins with.
fn bits(key: &[u8]) -> u32 {
    key.first_chunk().map_or(0, |bits| u32::from_ne_bytes(*bits))
}

fn covers(prefix: &[u8], key: &[u8]) -> bool {
    let bits = bits(prefix) as usize;
    let (one, other) = (&prefix[4..], &key[4..]);
    (0..bits).all(|bit| (one[bit / 8] ^ other[bit / 8]) >> (7 - bit % 8) & 1 == 0)
}
