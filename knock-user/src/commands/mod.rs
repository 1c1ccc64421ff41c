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
mod service;
#[cfg(feature = "gate")]
mod source;
#[cfg(feature = "gate")]
pub mod status;
pub(crate) mod table;
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

/// The longest span, that of `cmd_timeout`.
#[cfg(feature = "gate")]
const LONGEST: std::time::Duration = std::time::Duration::from_secs(10 * 365 * 24 * 60 * 60);

/// Reads a span of time: seconds, or 30s, 10m, 1h30m.
#[cfg(feature = "gate")]
pub(crate) fn span(text: &str) -> Result<std::time::Duration, String> {
    let span = text.parse().map(std::time::Duration::from_secs).or_else(|_| humantime::parse_duration(text));
    match span {
        Ok(span) if span.is_zero() => Err("no time at all".to_owned()),
        Ok(span) if span > LONGEST => Err("longer than ten years".to_owned()),
        Ok(span) => Ok(span),
        Err(_) => Err("no span of time: write it as 30s, 10m or 1h30m".to_owned()),
    }
}
