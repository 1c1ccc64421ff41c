//! Interfaces: which there are, which the gate is meant for and can stand on, and how it gets there and stays.

pub(super) mod arrival;
pub(super) mod attach;
pub(super) mod choose;
pub(super) mod follow;
pub(super) mod kinds;
pub(super) mod links;
pub(super) mod list;
pub(super) mod pending;
pub(super) mod reply_source;
pub(super) mod report;
pub(super) mod ways;
