//! What each path through the gate may execute: the table in docs/PERFORMANCE.md is written from the budget that
//! `kernel::budget` holds the paths against. It takes no measurement.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::paths;

/// What is committed.
const BUDGET: &str = "tests/it/kernel/budget.json";
/// The page that shows it, between these lines.
const PAGE: &str = "docs/PERFORMANCE.md";
const BEGIN: &str = "<!-- budget: `cargo xtask costs` writes this table -->\n";
const END: &str = "<!-- end -->\n";

/// Holds the table of the page against the budget.
pub fn check() -> Result<()> {
    let (page, budget) = (read(PAGE)?, read(BUDGET)?);
    let is_same = page == with_table(&page, &budget)?;
    ensure!(is_same, "{PAGE}: the table of paths is another than in {BUDGET}: `cargo xtask costs` writes it");
    println!("[lint] {PAGE} shows what paths may execute as {BUDGET} has it");
    Ok(())
}

/// The verb: writes the table.
pub fn verb() -> Result<()> {
    let page = with_table(&read(PAGE)?, &read(BUDGET)?)?;
    fs::write(paths::workspace().join(PAGE), page).context(PAGE)
}

fn read(name: &str) -> Result<String> {
    fs::read_to_string(paths::workspace().join(name)).context(name.to_owned())
}

/// The page with the table as it should be.
fn with_table(page: &str, budget: &str) -> Result<String> {
    let (before, rest) = page.split_once(BEGIN).with_context(|| format!("{PAGE}: no line {BEGIN}"))?;
    let (_, behind) = rest.split_once(END).with_context(|| format!("{PAGE}: no line {END}"))?;
    Ok(format!("{before}{BEGIN}{}{END}{behind}", table(budget).context(BUDGET)?))
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

    #[test]
    fn a_table_that_is_not_that_of_the_budget_is_written_anew() {
        let page = |rows: &str| format!("a\n{BEGIN}{rows}{END}b\n");
        let right = with_table(&page("old\n"), TWO).unwrap();
        assert!(right.starts_with(&format!("a\n{BEGIN}| path |")) && right.ends_with(&format!("{ROWS}{END}b\n")));
        assert_eq!(with_table(&right, TWO).unwrap(), right);
        let edited = right.replace("| 203 |", "| 202 |");
        assert_ne!(with_table(&edited, TWO).unwrap(), edited);
        assert!(with_table("a\n", TWO).is_err());
        assert!(with_table(BEGIN, TWO).is_err());
    }
}
