//! Spans of time: `"10s"`, `"1m30s"`, or plain seconds as knockd has them.

use std::time::Duration;

use super::report::Report;
use super::value::Item;

const HELP: &str = "write a time such as \"10s\" or \"1m30s\", or whole seconds";

/// A span above zero and not above `limit`.
pub(crate) fn read(item: &Item<'_>, report: &Report<'_>, limit: Duration, zero_help: &str) -> Option<Duration> {
    let span = if item.is_integer() {
        item.as_integer().and_then(|seconds| u64::try_from(seconds).ok()).map(Duration::from_secs)
    } else if let Some(text) = item.as_str() {
        parse(text)
    } else {
        None
    };
    let Some(span) = span else {
        let written = item.as_str().map_or_else(String::new, |text| format!("\"{}\" ", text.escape_debug()));
        item.error(report, format!("{written}is no span of time"), HELP);
        return None;
    };
    if span.is_zero() {
        item.error(report, "no time at all", zero_help);
        return None;
    }
    if span > limit {
        let limit = humantime::format_duration(limit);
        item.error(report, format!("longer than {limit}"), format!("the longest time here is {limit}"));
        return None;
    }
    Some(span)
}

/// Reads a text; `None` if it is no span of time.
pub(crate) fn parse(text: &str) -> Option<Duration> {
    let text = text.trim();
    match text.parse() {
        Ok(seconds) => Some(Duration::from_secs(seconds)),
        Err(_) => humantime::parse_duration(text).ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_and_knockd_are_both_understood() {
        assert_eq!(parse("10s"), Some(Duration::from_secs(10)));
        assert_eq!(parse("1m30s"), Some(Duration::from_secs(90)));
        assert_eq!(parse("250ms"), Some(Duration::from_millis(250)));
        assert_eq!(parse(" 60 "), Some(Duration::from_secs(60)));
        for text in ["", "ten", "-1", "10 parsecs", "1.5", "99999999999999999999"] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
