//! Key -> value: a hash table of fixed size that hands out references, as a BPF map does.

use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher, Hash};
use std::sync::OnceLock;

/// Never forgets a key; full, it takes no new one.
#[derive(Debug)]
pub struct Slots<K, V> {
    slots: Vec<OnceLock<(K, V)>>,
}

impl<K: Copy + Eq + Hash, V: Default> Slots<K, V> {
    pub fn new(room: usize) -> Self {
        Self { slots: (0..room).map(|_| OnceLock::new()).collect() }
    }

    pub fn room(&self) -> usize {
        self.slots.len()
    }

    pub fn find(&self, key: &K) -> Option<&V> {
        for slot in self.probe(key) {
            let (owner, value) = slot.get()?;
            if owner == key {
                return Some(value);
            }
        }
        None
    }

    pub fn find_or_new(&self, key: &K) -> Option<&V> {
        self.find_or_put(key, &mut Some(V::default()))
    }

    /// False if the key is there already, or there is no room.
    pub fn put(&self, key: &K, value: V) -> bool {
        let mut new = Some(value);
        self.find_or_put(key, &mut new).is_some() && new.is_none()
    }

    pub fn iter(&self) -> impl Iterator<Item = &(K, V)> {
        self.slots.iter().filter_map(OnceLock::get)
    }

    /// The value of the key; if it had none, the new one, which is taken.
    fn find_or_put(&self, key: &K, new: &mut Option<V>) -> Option<&V> {
        self.probe(key).find_map(|slot| {
            let (owner, value) = slot.get_or_init(|| (*key, new.take().unwrap_or_default()));
            (owner == key).then_some(value)
        })
    }

    /// All slots, from the one where the key belongs.
    fn probe(&self, key: &K) -> impl Iterator<Item = &OnceLock<(K, V)>> {
        let hash = BuildHasherDefault::<DefaultHasher>::default().hash_one(key);
        let (before, from) = self.slots.split_at(hash as usize % self.slots.len().max(1));
        from.iter().chain(before)
    }
}

#[cfg(test)]
mod tests {
    use knock_common::abi::attempt::Attempts;
    use knock_common::abi::flow::{Flow, FlowKey, FlowState, Phase};
    use knock_common::addr::Addr;
    use knock_common::packet::Packet;

    use super::*;

    #[test]
    fn a_source_is_found_again_until_the_table_is_full() {
        let sources = Slots::<Addr, Attempts>::new(4);
        let addr = |last| Addr::from_v4([192, 0, 2, last]);
        for last in 0..4 {
            assert!(sources.find(&addr(last)).is_none());
            assert!(sources.find_or_new(&addr(last)).is_some());
        }
        assert!(sources.find_or_new(&addr(4)).is_none());
        assert!(sources.find_or_new(&addr(3)).is_some());
        assert_eq!(sources.iter().count(), 4);
        assert!(Slots::<Addr, Attempts>::new(0).find_or_new(&addr(0)).is_none());
    }

    #[test]
    fn a_flow_is_put_once_until_the_table_is_full() {
        let flows = Slots::<FlowKey, Flow>::new(3);
        let key = |sport| Packet { sport, ..Packet::BLANK }.flow_key();
        let flow = |now| Flow::new(FlowState::new(Phase::Open, now), 1);
        for sport in 0..3 {
            assert!(flows.find(&key(sport)).is_none());
            assert!(flows.put(&key(sport), flow(1 << 20)));
            assert!(!flows.put(&key(sport), flow(1 << 30)));
        }
        assert!(!flows.put(&key(3), flow(1 << 20)));
        assert_eq!(flows.iter().count(), 3);
        assert!(flows.iter().all(|(_, flow)| FlowState(flow.state.load()).seen() == 1 << 20));
    }
}
