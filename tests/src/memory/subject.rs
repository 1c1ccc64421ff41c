//! The host build as a [`Subject`].

use knock_common::abi::counter::Counter;
use knock_common::abi::flow::{FlowKey, FlowState};
use knock_common::abi::grant::{Grant, GrantKey};
use knock_common::abi::rules::SLOTS;
use knock_common::addr::Addr;
use knock_common::gate::Verdict;
use knock_common::gate::env::Env;

use super::Memory;
use crate::agree::Subject;

impl Subject for Memory {
    fn judge(&mut self, now: u64, interface: u32, frame: &[u8]) -> Verdict {
        self.set_now(now);
        self.set_interface(interface);
        Self::judge(self, frame)
    }

    fn attempts(&mut self, source: &Addr) -> [u64; SLOTS] {
        Env::attempts(self, source).map_or([0; SLOTS], |found| std::array::from_fn(|slot| found.slots[slot].load()))
    }

    fn grants(&mut self) -> Vec<(GrantKey, Grant)> {
        Self::grants(self).into_iter().collect()
    }

    fn flows(&mut self) -> Vec<(FlowKey, FlowState)> {
        self.all_flows().into_iter().collect()
    }

    fn counters(&mut self) -> Vec<u64> {
        Counter::ALL.iter().map(|counter| self.counter(*counter)).collect()
    }
}
