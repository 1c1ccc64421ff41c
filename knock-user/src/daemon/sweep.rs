//! The sweep of the table of grants, and what is done with it.

use anyhow::Result;
use knock_common::abi::counter::Counter;
use tokio::time::Instant;

use super::Daemon;
use super::event_log::Record;
use super::rounds::Seen;
use crate::hooks::HookManager;
use crate::kernel::Swept;
use crate::memory;

/// Grants that a sweep has taken out, of which what they took in memory is worth giving back.
const MANY: usize = 4096;

impl Daemon {
    /// A look through the grants, and what follows from it. One through a million takes a while: the next comes
    /// only after many times as long.
    pub(super) fn sweep(&mut self) -> Result<()> {
        let begun = Instant::now();
        if self.rounds.rests(begun) {
            return Ok(());
        }
        let locked_out = self.lockouts.locked_out(&self.state)?;
        let follows = |door| self.hooks.follows(door);
        let mut look = self.grants.look(&follows);
        let mut sites = self.lockouts.begin_sites();
        let Swept { expired, wanted, next } = self.state.sweep(|entry| {
            let source = entry.key.source;
            if let Some(sites) = sites.as_mut().filter(|_| !source.is_v4()) {
                sites.insert(source.site());
            }
            look.see(entry) || !locked_out.is_empty() && locked_out.contains(&source.site())
        })?;
        self.lockouts.take_sites(sites);
        let has_many = expired.len() >= MANY;
        let changes = look.end(&*self.state, &wanted, expired);
        self.on_grants(&changes, HookManager::look);
        self.lockouts.sweep(&self.state, &wanted)?;
        if has_many {
            drop((changes, wanted));
            memory::give_back();
        }
        self.rounds.swept(&Seen { begun, next, is_awaited: self.hooks.owed() > 0 });
        Ok(())
    }

    /// Lets the kernel tell of denials again, and says how many it left out.
    pub(super) fn on_refill(&mut self) {
        if let Some(count) = self.troubles.tell("counters cannot be read", self.counter(Counter::DenialUnlogged)) {
            self.logbook.renew_denials(count);
        }
        let refilled = self.state.refill_tokens(self.logbook.tokens());
        self.troubles.tell("denials are not logged", refilled);
    }

    fn counter(&self, wanted: Counter) -> Result<u64> {
        let counters = self.state.counters()?;
        Ok(counters.iter().find(|(counter, _)| *counter == wanted).map_or(0, |(_, count)| *count))
    }

    /// Says how many events the kernel could not tell of. Among them may be the denials that used the tokens up,
    /// which nobody would renew then.
    pub(super) fn tell_lost_events(&mut self) {
        self.notes.leave_unread(&mut self.troubles);
        let Ok(lost) = self.counter(Counter::EventLost) else { return };
        let more = self.lost_events.more(lost);
        if more > 0 {
            let text = format!("{more} events were lost: they came faster than they were read");
            self.logbook.note(&Record { count: Some(more), ..Record::of("lost", text) });
            self.on_refill();
        }
    }
}
