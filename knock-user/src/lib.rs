//! Library of `knockctl`: the config, its rules, the kernel side, the daemon, the client, the commands.

pub mod cli;
pub mod client;
pub mod commands;
pub mod config;
pub mod daemon;
pub mod exit;
pub mod firewall;
pub mod hooks;
pub mod rules;
pub mod runtime;
