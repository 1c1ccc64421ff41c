//! Who holds a grant, and how a datagram keeps one alive.

use crate::addr::Addr;
use crate::counter::Counter;
use crate::flow::FlowKey;
use crate::grant::{FOR_GOOD, GrantKey};
use crate::rules::{MAX_PREFIXES, Service};
use crate::world::World;

/// True if a live grant covers the source, under any prefix length that the service uses.
#[inline(always)]
pub fn is_granted<W: World>(world: &W, source: &Addr, service: &Service) -> bool {
    let prefixes = if source.is_v4() { &service.prefixes_v4 } else { &service.prefixes_v6 };
    let mut index = 0;
    while index < MAX_PREFIXES {
        let prefix = &prefixes[index];
        if prefix.bits() == 0 {
            return false;
        }
        // Its end alone, or the rest would be read and kept while the clock is.
        if let Some(until) = world.grant_end(&GrantKey::new(service.tag, source, prefix))
            && until > world.now()
        {
            return true;
        }
        index += 1;
    }
    false
}

/// A datagram to a keepalive service moves the end of the grant that covers its source. Written only once an eighth of
/// the window is gone, so that a stream of datagrams does not write the map for each.
#[inline(never)]
pub(super) fn keep_alive<W: World>(world: &W, flow: &FlowKey, service: &Service) -> bool {
    let source = &flow.source;
    let prefixes = if source.is_v4() { &service.prefixes_v4 } else { &service.prefixes_v6 };
    let now = world.now();
    let mut index = 0;
    while index < MAX_PREFIXES && prefixes[index].bits() != 0 {
        let key = GrantKey::new(service.tag, source, &prefixes[index]);
        if let Some(mut grant) = world.grant(&key)
            && grant.is_live(now)
        {
            if grant.until == FOR_GOOD || grant.window == 0 {
                return false;
            }
            let (end, most) = (now.saturating_add(grant.window), grant.kept_alive_until());
            let end = if end < most { end } else { most };
            if end > grant.until && end - grant.until >= grant.window / 8 {
                grant.until = end;
                if world.replace_grant(&key, &grant) {
                    world.count(Counter::GrantExtended);
                    return true;
                }
            }
            return false;
        }
        index += 1;
    }
    false
}
