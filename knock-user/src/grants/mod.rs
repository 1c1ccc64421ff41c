//! What becomes of grants: one stream of it for everybody who wants to know, held against the kernel's table.
//!
//! Events may be lost, come late, or come while there is no daemon. The table says what is so. `life.rs` brings both
//! together: each grant that somebody follows begins once and ends once, with the reason. Whoever hangs on it takes the
//! changes one by one.

mod life;

use anyhow::Result;
use knock_common::abi::grant::{Grant, GrantKey};

pub use self::life::{Change, End, Follows, Knock, Life, Lives, Look};
use crate::kernel::State;

/// The kernel's table of grants.
pub trait Table {
    /// The grant under a key, whether or not its time is over.
    ///
    /// # Errors
    ///
    /// If the table cannot be read, which says nothing of the grant.
    fn get(&self, key: &GrantKey) -> Result<Option<Grant>>;
}

impl Table for State {
    fn get(&self, key: &GrantKey) -> Result<Option<Grant>> {
        self.grant(key)
    }
}
