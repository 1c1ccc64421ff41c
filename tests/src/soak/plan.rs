//! What is to be done, and what was.

use std::time::Duration;

/// What is to be done.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// For how long.
    pub span: Duration,
    /// What the actions are drawn from.
    pub seed: u64,
    /// Says each action.
    pub aloud: bool,
}

/// What was done, and what became of it.
#[derive(Clone, Default, Debug)]
pub struct Tally {
    /// Right knocks made.
    pub knocks: u64,
    /// Of these, those that opened.
    pub opened: u64,
    /// Of these, those that did not.
    pub lost: u64,
    /// Connections that came about without a grant.
    pub let_in: u64,
    /// Wrong knocks made.
    pub wrong: u64,
    /// SYNs of strangers.
    pub syns: u64,
    /// Floods, as fast as a host can.
    pub floods: u64,
    /// Reloads.
    pub reloads: u64,
    /// Ends of the daemon by SIGTERM, with a start behind.
    pub restarts: u64,
    /// Ends of the daemon by SIGKILL, with knocks while there is none and a start behind.
    pub kills: u64,
    /// Interfaces that went down and up, or away and came back.
    pub flaps: u64,
    /// Pins removed by hand.
    pub removals: u64,
    /// Lines that the session has brought back.
    pub echoes: u64,
}
