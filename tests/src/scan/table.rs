//! The table: what each scan saw of a protected port, and what it should have seen where that is not the same.

use std::fmt;

use super::ground::Deny;
use super::judge::Cell;
use super::{Moment, Report};
use crate::lab::Family;
use crate::scan::row::Row;

/// Wide enough for most words.
const COLUMN: usize = 15;

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = self.rows.iter().map(|row| row.name().len()).max().unwrap_or_default().max(4);
        let columns = || Deny::ALL.into_iter().flat_map(|deny| Moment::ALL.map(|moment| (deny, moment)));
        writeln!(
            f,
            "What a scan says of a protected port. `WRONG` marks what it should not; below is what it should."
        )?;
        write!(f, "{:width$}", "")?;
        for (deny, moment) in columns() {
            let title = format!("{}, {}", deny.name(), moment.name());
            write!(f, "  {title:wide$}", wide = 2 * COLUMN + 2)?;
        }
        write!(f, "\n{:width$}", "scan")?;
        for _ in columns() {
            write!(f, "  {:COLUMN$}  {:COLUMN$}", "IPv4", "IPv6")?;
        }
        writeln!(f)?;
        for row in &self.rows {
            write!(f, "{:width$}", row.name())?;
            for (deny, moment) in columns() {
                for family in Family::ALL {
                    write!(f, "  {:COLUMN$}", self.word(row, deny, moment, family))?;
                }
            }
            writeln!(f)?;
        }
        for fault in self.faults() {
            writeln!(f, "WRONG: {fault}")?;
        }
        let (unlike, let_in) = (self.faults().count(), self.let_in());
        write!(
            f,
            "scan: {} s: {} rows, {} scans, {} frames, {} cells, {let_in} let in, {unlike} unlike",
            self.took.as_secs(),
            self.rows.len(),
            self.scans,
            self.frames,
            self.cells.len(),
        )
    }
}

impl Report {
    /// A cell in a word.
    fn word(&self, row: &Row, deny: Deny, moment: Moment, family: Family) -> String {
        if !row.families.contains(&family) {
            return "-".into();
        }
        let is_this = |cell: &&Cell| {
            cell.row.name() == row.name()
                && cell.row.families == row.families
                && (cell.deny, cell.moment, cell.family) == (deny, moment, family)
        };
        let Some(cell) = self.cells.iter().find(is_this) else { return "WRONG: not run".into() };
        let seen = cell.seen.first().map_or("nothing", |(_, said)| said[0].split(' ').next().unwrap_or_default());
        if cell.faults.is_empty() { seen.into() } else { format!("{seen} WRONG") }
    }
}
