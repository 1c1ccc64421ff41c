//! What each path through the gate may execute: the table in docs/PERFORMANCE.md is written from the budget that
//! `kernel::budget` holds the paths against. It takes no measurement.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::page::Written;
use crate::paths;

/// What is committed.
const BUDGET: &str = "tests/it/kernel/budget.json";
/// The page that shows it.
const PAGE: &str = "docs/PERFORMANCE.md";
const TABLE: Written =
    Written { page: PAGE, begin: "<!-- budget: `cargo xtask costs` writes this table -->\n", end: "<!-- end -->\n" };

/// Holds the table of the page against the budget.
pub fn check() -> Result<()> {
    ensure!(
        TABLE.is(&budget_table()?)?,
        "{PAGE}: the table of paths is another than in {BUDGET}: `cargo xtask costs` writes it"
    );
    println!("[lint] {PAGE} shows what paths may execute as {BUDGET} has it");
    Ok(())
}

/// The verb: writes the table.
pub fn verb() -> Result<()> {
    TABLE.write(&budget_table()?)
}

fn budget_table() -> Result<String> {
    let budget = fs::read_to_string(paths::workspace().join(BUDGET)).context(BUDGET)?;
    table(&budget).context(BUDGET)
}

/// A row for each path of a budget, by name.
fn table(budget: &str) -> Result<String> {
    let budget: BTreeMap<String, Value> = serde_json::from_str(budget)?;
    let mut text = String::from("| path | instructions | calls of helpers | which |\n|---|---:|---:|---|\n");
    for (path, cost) in budget {
        let instructions = cost["instructions"].as_u64().with_context(|| format!("{path}: no instructions"))?;
        let calls = cost["calls"].as_object().with_context(|| format!("{path}: no calls"))?;
        let mut count = 0;
        let mut which = Vec::new();
        for (name, times) in calls {
            let times = times.as_u64().with_context(|| format!("{path}: {name}: no number"))?;
            count += times;
            which.push(if times == 1 { name.clone() } else { format!("{name} {times}x") });
        }
        which.sort();
        let _ = writeln!(text, "| `{path}` | {instructions} | {count} | {} |", which.join(", "));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TWO: &str = r#"{
        "b.two": { "instructions": 7, "calls": {} },
        "a.one": { "instructions": 203, "calls": { "look up B": 2, "clock": 1 } }
    }"#;
    const ROWS: &str = "| `a.one` | 203 | 3 | clock, look up B 2x |\n| `b.two` | 7 | 0 |  |\n";

    #[test]
    fn each_path_has_a_row_with_its_calls_and_their_number() {
        assert!(table(TWO).unwrap().ends_with(&format!("|---|\n{ROWS}")), "{}", table(TWO).unwrap());
        for wrong in ["[]", r#"{ "a": {} }"#, r#"{ "a": { "instructions": 1, "calls": { "b": "c" } } }"#] {
            assert!(table(wrong).is_err(), "{wrong}");
        }
    }
}
