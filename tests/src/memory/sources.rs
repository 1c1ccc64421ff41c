//! Source -> attempts: a hash table of fixed size that hands out references, as a BPF map does.

use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};
use std::sync::OnceLock;

use knock_common::addr::Addr;
use knock_common::attempt::Attempts;

/// Never forgets a source; full, it takes no new one.
#[derive(Debug)]
pub struct Sources {
    slots: Vec<OnceLock<(Addr, Attempts)>>,
}

impl Sources {
    pub fn new(room: usize) -> Self {
        Self { slots: (0..room).map(|_| OnceLock::new()).collect() }
    }

    pub fn room(&self) -> usize {
        self.slots.len()
    }

    pub fn find(&self, source: &Addr) -> Option<&Attempts> {
        for slot in self.probe(source) {
            let (owner, attempts) = slot.get()?;
            if owner == source {
                return Some(attempts);
            }
        }
        None
    }

    pub fn find_or_new(&self, source: &Addr) -> Option<&Attempts> {
        self.probe(source).find_map(|slot| {
            let (owner, attempts) = slot.get_or_init(|| (*source, Attempts::default()));
            (owner == source).then_some(attempts)
        })
    }

    pub fn iter(&self) -> impl Iterator<Item = &(Addr, Attempts)> {
        self.slots.iter().filter_map(OnceLock::get)
    }

    /// All slots, from the one where `source` belongs.
    fn probe(&self, source: &Addr) -> impl Iterator<Item = &OnceLock<(Addr, Attempts)>> {
        let hash = BuildHasherDefault::<DefaultHasher>::default().hash_one(source);
        let (before, from) = self.slots.split_at(hash as usize % self.slots.len().max(1));
        from.iter().chain(before)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_is_found_again_until_the_table_is_full() {
        let sources = Sources::new(4);
        let addr = |last| Addr::from_v4([192, 0, 2, last]);
        for last in 0..4 {
            assert!(sources.find(&addr(last)).is_none());
            assert!(sources.find_or_new(&addr(last)).is_some());
        }
        assert!(sources.find_or_new(&addr(4)).is_none());
        assert!(sources.find_or_new(&addr(3)).is_some());
        assert_eq!(sources.iter().count(), 4);
        assert!(Sources::new(0).find_or_new(&addr(0)).is_none());
    }
}
