//! Library of `knockctl`: the config, its rules, the kernel side, the daemon, the client, the commands.
//!
//! Without the feature `gate` there is only the client, on every system that Rust's standard
//! library knows.

pub mod cli;
pub mod client;
pub mod commands;
#[cfg(feature = "gate")]
pub mod config;
#[cfg(feature = "gate")]
pub mod daemon;
pub mod exit;
#[cfg(feature = "gate")]
pub mod files;
#[cfg(feature = "gate")]
pub mod grants;
#[cfg(feature = "gate")]
pub mod hooks;
#[cfg(feature = "gate")]
pub mod host;
#[cfg(feature = "gate")]
pub mod import;
#[cfg(feature = "gate")]
pub mod kernel;
#[cfg(feature = "gate")]
mod limits;
#[cfg(feature = "gate")]
mod memory;
#[cfg(feature = "gate")]
pub mod paths;
#[cfg(feature = "gate")]
pub mod permissions;
#[cfg(feature = "gate")]
pub mod reconcile;
#[cfg(feature = "gate")]
pub mod rules;
#[cfg(feature = "gate")]
mod run_dir;
#[cfg(feature = "gate")]
pub mod runtime;
#[cfg(feature = "gate")]
pub mod sequences;
#[cfg(feature = "gate")]
pub mod session;
#[cfg(feature = "gate")]
pub mod status;
pub mod syntax;
