//! Hooks: commands that the daemon runs for a door, after the kernel has opened it or when a grant
//! has ended.
//!
//! Whether a grant lives is the kernel's table's to say. What the daemon owes (the `journal`) hangs on what `grants`
//! tells, which is held against that table: when an event tells of a change, and with every sweep. So a stop
//! command runs once, whatever ended the grant, and however many daemons came and went meanwhile.

mod journal;
mod manager;
mod output;
mod process;
mod runner;
mod script;

pub use manager::{About, HookManager, HookMessage, settle};
pub use runner::Finished;
