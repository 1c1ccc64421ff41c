//! The figures in documents: what stands between two marks is written by [`fill`], and nothing of it by hand.
//!
//! `<!-- figures: cost.* open.latency -->` begins a table of the figures that are named, in that order, `<!-- summary: .. -->`
//! a narrower one; `<!-- machine -->` the machine that they are of. `<!-- end -->` ends each.

use anyhow::{Context as _, Result, bail, ensure};

use super::{Figure, Machine, Sheet, table};

const BEGIN: &str = "<!-- ";
const END: &str = "<!-- end -->";

/// The text with the figures of this sheet between its marks.
///
/// # Errors
///
/// If a mark has no end, or names figures that are not there; with its line.
pub fn fill(text: &str, sheet: &Sheet) -> Result<String> {
    let mut filled = String::new();
    let mut lines = text.lines().enumerate();
    while let Some((number, line)) = lines.next() {
        filled += line;
        filled.push('\n');
        let Some(content) = content(line, sheet).with_context(|| format!("line {}", number + 1))? else { continue };
        filled += &content;
        let end = lines.by_ref().find(|(_, line)| *line == END);
        ensure!(end.is_some(), "line {}: there is no {END} behind it", number + 1);
        filled += END;
        filled.push('\n');
    }
    Ok(filled)
}

/// Figures as text.
type Table = fn(&[&Figure]) -> String;

/// What belongs behind a line, if it is a mark.
fn content(line: &str, sheet: &Sheet) -> Result<Option<String>> {
    let Some(mark) = line.strip_prefix(BEGIN).and_then(|line| line.strip_suffix(" -->")) else { return Ok(None) };
    if mark == "machine" {
        return Ok(Some(machine(&sheet.machine, sheet.quick)));
    }
    let tables: [(&str, Table); 2] = [("figures: ", table::markdown), ("summary: ", table::summary)];
    let found = tables.iter().find_map(|(begin, write)| mark.strip_prefix(begin).zip(Some(write)));
    let Some((ids, write)) = found else { return Ok(None) };
    let mut chosen: Vec<&Figure> = Vec::new();
    for id in ids.split_whitespace() {
        let is_meant = |figure: &&Figure| match id.strip_suffix('*') {
            Some(begin) => figure.id.starts_with(begin),
            None => figure.id == id,
        };
        let found: Vec<_> = sheet.figures.iter().filter(is_meant).collect();
        if found.is_empty() {
            bail!("the figures have no {id}");
        }
        chosen.extend(found);
    }
    Ok(Some(write(&chosen)))
}

fn machine(machine: &Machine, quick: bool) -> String {
    let Machine { cpu, cpus, memory_mib, kernel, load } = machine;
    let how = if quick { "`cargo xtask bench --quick`" } else { "`cargo xtask bench`" };
    let gib = memory_mib / 1024;
    format!(
        "{how} on {cpus} CPUs ({cpu}), {gib} GiB of memory, Linux {kernel}, with a load of {load} before the first round.\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::Rounds;

    fn sheet() -> Sheet {
        let machine = Machine { cpu: "a CPU".into(), cpus: 2, memory_mib: 2048, kernel: "6.18".into(), load: 0.5 };
        let mut sheet = Sheet::new(machine, true);
        for id in ["a.one", "a.two", "b.one"] {
            let mut rounds = Rounds::default();
            rounds.own(1.0);
            sheet.figures.push(rounds.figure(id, "ms"));
        }
        sheet
    }

    #[test]
    fn what_stands_between_the_marks_is_replaced_and_nothing_else() {
        let text = "before\n<!-- figures: b.one a.* -->\nold\n<!-- end -->\nbetween\n<!-- machine -->\n<!-- end -->\n";
        let filled = fill(text, &sheet()).unwrap();
        let rows: Vec<_> = filled.lines().filter_map(|line| line.strip_prefix("| `")?.split_once('`')).collect();
        assert_eq!(rows.iter().map(|(id, _)| *id).collect::<Vec<_>>(), ["b.one", "a.one", "a.two"]);
        assert!(filled.starts_with("before\n<!-- figures: b.one a.* -->\n|") && !filled.contains("old"), "{filled}");
        assert!(filled.contains("\nbetween\n<!-- machine -->\n`cargo xtask bench --quick` on 2 CPUs"), "{filled}");
        assert_eq!(fill(&filled, &sheet()).unwrap(), filled);
    }

    #[test]
    fn a_mark_without_figures_or_without_an_end_is_named_by_its_line() {
        let error = |text: &str| format!("{:#}", fill(text, &sheet()).unwrap_err());
        assert_eq!(error("\n<!-- figures: c.* -->\n<!-- end -->\n"), "line 2: the figures have no c.*");
        assert_eq!(error("<!-- figures: a.* -->\n"), "line 1: there is no <!-- end --> behind it");
    }
}
