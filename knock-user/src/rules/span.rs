//! Spans of time, as the kernel counts them.

use std::time::Duration;

/// Whole nanoseconds; as many as there can be for a span that is longer.
pub(super) fn nanoseconds(span: Duration) -> u64 {
    u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)
}
