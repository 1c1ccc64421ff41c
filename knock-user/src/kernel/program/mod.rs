//! The program: its object, its constants and rules, and one more of it in standby.

pub(super) mod load;
pub(super) mod object;
pub(super) mod standby;
