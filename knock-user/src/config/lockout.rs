//! `lockout`: `{ after = 5, for = "10m" }`.

use std::time::Duration;

use super::duration;
use super::model::Lockout;
use super::report::Report;
use super::value::Item;

/// More wrong knocks than that nobody counts.
const MOST: u32 = 1000;
/// An address changes hands sooner than that.
const LONGEST: Duration = Duration::from_secs(7 * 24 * 60 * 60);
/// One slip ends an attempt, and the next knock of a client's retry is out of turn as well.
const SLIPS: u32 = 3;

/// Reads the table.
pub(super) fn read(item: &Item<'_>, report: &Report<'_>) -> Option<Lockout> {
    let mut table = item.table(report)?;
    let after = table.need(report, "after", "5");
    let span = table.need(report, "for", "\"10m\"");
    let after = after.and_then(|item| {
        let after = item.integer(report, 1, MOST)?;
        if after < SLIPS {
            let message = format!("{after} wrong knock{} may be a slip", if after == 1 { "" } else { "s" });
            report.warning(&item.span, &item.key, message, "5 are enough against guessing");
        }
        Some(after)
    });
    let span = span.and_then(|item| duration::read(&item, report, LONGEST, "leave lockout out to lock nobody out"));
    table.finish(report);
    Some(Lockout { after: after?, span: span? })
}
