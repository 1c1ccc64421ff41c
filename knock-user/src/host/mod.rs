//! What this host has, as its kernel tells it: nothing of the gate, and nothing that is kept.

pub mod addresses;
pub mod conntrack;
pub mod ephemeral;
pub mod filter;
mod netlink;
pub mod offloads;
pub mod processes;
pub mod random;
pub mod realtime;
pub mod routes;
pub mod scope;
pub mod sockets;
pub mod tables;
pub mod tools;
