//! Who holds a grant.

use crate::abi::grant::GrantKey;
use crate::abi::rules::{MAX_PREFIXES, Service};
use crate::addr::Addr;
use crate::gate::env::Env;

/// True if a live grant covers the source, under any prefix length that the service uses.
#[inline(always)]
pub fn is_granted<E: Env>(env: &E, source: &Addr, service: &Service) -> bool {
    let prefixes = service.prefixes(source);
    let mut index = 0;
    while index < MAX_PREFIXES {
        let prefix = &prefixes[index];
        if prefix.bits() == 0 {
            return false;
        }
        // Its end alone, or the rest would be read and kept while the clock is.
        if let Some(until) = env.grant_end(&GrantKey::new(service.tag, source, prefix))
            && until > env.now()
        {
            return true;
        }
        index += 1;
    }
    false
}
