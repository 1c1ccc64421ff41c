//! Flow key -> flow: a hash table of fixed size that hands out references, as a BPF map does.

use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};
use std::sync::OnceLock;

use knock_common::flow::{Flow, FlowKey, FlowState};

/// Never forgets a flow; full, it takes no new one.
#[derive(Debug)]
pub struct Flows {
    slots: Vec<OnceLock<(FlowKey, Flow)>>,
}

impl Flows {
    pub fn new(room: usize) -> Self {
        Self { slots: (0..room).map(|_| OnceLock::new()).collect() }
    }

    pub fn find(&self, key: &FlowKey) -> Option<&Flow> {
        for slot in self.probe(key) {
            let (owner, flow) = slot.get()?;
            if owner == key {
                return Some(flow);
            }
        }
        None
    }

    /// False if the flow is there already, or there is no room.
    pub fn put(&self, key: FlowKey, flow: Flow) -> bool {
        let mut new = Some((key, flow));
        for slot in self.probe(&key) {
            let (owner, _) = slot.get_or_init(|| new.take().unwrap_or((key, Flow::default())));
            if new.is_none() {
                return true;
            }
            if *owner == key {
                return false;
            }
        }
        false
    }

    pub fn iter(&self) -> impl Iterator<Item = (FlowKey, FlowState)> {
        self.slots.iter().filter_map(OnceLock::get).map(|(key, flow)| (*key, FlowState(flow.state.load())))
    }

    /// All slots, from the one where `key` belongs.
    fn probe(&self, key: &FlowKey) -> impl Iterator<Item = &OnceLock<(FlowKey, Flow)>> {
        let hash = BuildHasherDefault::<DefaultHasher>::default().hash_one(key);
        let (before, from) = self.slots.split_at(hash as usize % self.slots.len().max(1));
        from.iter().chain(before)
    }
}

#[cfg(test)]
mod tests {
    use knock_common::flow::Phase;
    use knock_common::packet::Packet;

    use super::*;

    #[test]
    fn a_flow_is_put_once_until_the_table_is_full() {
        let flows = Flows::new(3);
        let key = |sport| FlowKey::of(&Packet { sport, ..Packet::BLANK });
        let flow = |now| Flow::new(FlowState::new(Phase::Open, now), 1);
        for sport in 0..3 {
            assert!(flows.find(&key(sport)).is_none());
            assert!(flows.put(key(sport), flow(1 << 20)));
            assert!(!flows.put(key(sport), flow(1 << 30)));
        }
        assert!(!flows.put(key(3), flow(1 << 20)));
        assert_eq!(flows.iter().count(), 3);
        assert!(flows.iter().all(|(_, state)| state.seen() == 1 << 20));
    }
}
