//! The commands: each one file, each thin over the library.

#[cfg(feature = "gate")]
pub mod allow;
#[cfg(feature = "gate")]
pub mod check;
pub mod completions;
#[cfg(feature = "gate")]
pub mod confirm;
#[cfg(feature = "gate")]
mod cut;
#[cfg(feature = "gate")]
pub mod events;
#[cfg(feature = "gate")]
pub mod explain;
#[cfg(feature = "gate")]
pub mod import;
pub mod man;
#[cfg(feature = "gate")]
mod pause;
#[cfg(feature = "gate")]
mod process;
#[cfg(feature = "gate")]
pub mod reload;
#[cfg(feature = "gate")]
pub mod revoke;
#[cfg(feature = "gate")]
pub mod rules;
#[cfg(feature = "gate")]
pub mod sequence;
#[cfg(feature = "gate")]
mod source;
#[cfg(feature = "gate")]
pub mod status;
#[cfg(feature = "gate")]
mod unit;
#[cfg(feature = "gate")]
pub mod unload;
#[cfg(feature = "gate")]
pub mod unlock;

/// `1 door`, `2 doors`.
#[cfg(feature = "gate")]
fn count(number: usize, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}
