//! What becomes of grants, held against the kernel's table of them.

use anyhow::Result;
use knock_common::grant::{Grant, GrantKey};

use crate::firewall::State;

/// The kernel's table of grants.
pub trait Table {
    /// The live grant under a key.
    ///
    /// # Errors
    ///
    /// If the table cannot be read, which says nothing of the grant.
    fn live(&self, key: &GrantKey) -> Result<Option<Grant>>;
}

impl Table for State {
    fn live(&self, key: &GrantKey) -> Result<Option<Grant>> {
        self.live_grant(key)
    }
}
