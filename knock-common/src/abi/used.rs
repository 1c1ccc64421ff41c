//! One-time sequences that were used: noted by the kernel in the moment in which a door is completed, so
//! that none of them ever opens twice, whoever lives and whatever was reloaded.

use crate::addr::Addr;

/// Value of the `SPENT` map. Its key is the sequence ([`crate::abi::rules::Door::once`]).
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Used {
    /// When, boot time in ns.
    pub at: u64,
    /// Who used it.
    pub source: Addr,
    /// Tag of the door.
    pub door: u32,
    /// Unused, zero.
    pub reserved: u32,
}
