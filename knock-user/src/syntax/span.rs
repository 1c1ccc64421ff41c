//! Spans of time on the command line.

use std::time::Duration;

/// The longest span, that of `cmd_timeout`.
const LONGEST: Duration = Duration::from_secs(10 * 365 * 24 * 60 * 60);

/// Reads a span of time: seconds, or 30s, 10m, 1h30m.
pub fn span(text: &str) -> Result<Duration, String> {
    let span = text.parse().map(Duration::from_secs).or_else(|_| humantime::parse_duration(text));
    match span {
        Ok(span) if span.is_zero() => Err("no time at all".to_owned()),
        Ok(span) if span > LONGEST => Err("longer than ten years".to_owned()),
        Ok(span) => Ok(span),
        Err(_) => Err("no span of time: write it as 30s, 10m or 1h30m".to_owned()),
    }
}
