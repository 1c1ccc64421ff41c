//! The figures in documents: what stands between two marks is written by [`fill`], and nothing of it by hand.
//!
//! `<!-- figures: cost.* open.latency -->` begins a table of the figures that are named, in that order, `<!-- summary: .. -->`
//! a narrower one; `<!-- machines -->` the machines and the commits that they are of; and `<!-- targets -->` what they are
//! to be at most. `<!-- end -->` ends each.

use anyhow::{Context as _, Result, bail, ensure};

use super::{Machine, Row, Runs, Sheet, table, targets};

const BEGIN: &str = "<!-- ";
const END: &str = "<!-- end -->";

/// The text with the figures of these runs between its marks.
///
/// # Errors
///
/// If a mark has no end, or names figures that are not there; with its line.
pub fn fill(text: &str, runs: &Runs) -> Result<String> {
    let mut filled = String::new();
    let mut lines = text.lines().enumerate();
    while let Some((number, line)) = lines.next() {
        filled += line;
        filled.push('\n');
        let Some(content) = content(line, runs).with_context(|| format!("line {}", number + 1))? else { continue };
        filled += &content;
        let end = lines.by_ref().find(|(_, line)| *line == END);
        ensure!(end.is_some(), "line {}: there is no {END} behind it", number + 1);
        filled += END;
        filled.push('\n');
    }
    Ok(filled)
}

/// Figures as text.
type Table = fn(&[Row<'_>]) -> String;

/// What belongs behind a line, if it is a mark.
fn content(line: &str, runs: &Runs) -> Result<Option<String>> {
    let Some(mark) = line.strip_prefix(BEGIN).and_then(|line| line.strip_suffix(" -->")) else { return Ok(None) };
    match mark {
        "machines" => return Ok(Some(runs.shown().map(machine).collect())),
        "targets" => return targets::table(runs).map(Some),
        _ => {}
    }
    let tables: [(&str, Table); 2] = [("figures: ", table::markdown), ("summary: ", table::summary)];
    let found = tables.iter().find_map(|(begin, write)| mark.strip_prefix(begin).zip(Some(write)));
    let Some((ids, write)) = found else { return Ok(None) };
    let mut chosen: Vec<Row<'_>> = Vec::new();
    for id in ids.split_whitespace() {
        let found = runs.rows(id);
        if found.is_empty() {
            bail!("the figures have no {id}");
        }
        chosen.extend(found);
    }
    Ok(Some(write(&chosen)))
}

/// A line for a machine.
fn machine(run: &Sheet) -> String {
    let Machine { cpu, cpus, memory_mib, kernel, load } = &run.machine;
    let how = if run.quick { "`cargo xtask bench --quick`" } else { "`cargo xtask bench`" };
    let gib = memory_mib / 1024;
    let commit = run.commit_shown();
    format!(
        "- {commit}: {how} on {cpus} CPUs ({cpu}), {gib} GiB of memory, Linux {kernel}, with a load of {load} before the first round.\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::Rounds;

    fn runs() -> Runs {
        let machine = Machine { cpu: "a CPU".into(), cpus: 2, memory_mib: 2048, kernel: "6.18".into(), load: 0.5 };
        let mut sheet = Sheet::new(machine, true);
        for id in ["a.one", "a.two", "b.one"] {
            let mut rounds = Rounds::default();
            rounds.own(1.0);
            sheet.figures.push(rounds.figure(id, "ms"));
        }
        Runs::of(sheet)
    }

    #[test]
    fn what_stands_between_the_marks_is_replaced_and_nothing_else() {
        let text = "before\n<!-- figures: b.one a.* -->\nold\n<!-- end -->\nbetween\n<!-- machines -->\n<!-- end -->\n";
        let filled = fill(text, &runs()).unwrap();
        let rows: Vec<_> = filled.lines().filter_map(|line| line.strip_prefix("| `")?.split_once('`')).collect();
        assert_eq!(rows.iter().map(|(id, _)| *id).collect::<Vec<_>>(), ["b.one", "a.one", "a.two"]);
        assert!(filled.starts_with("before\n<!-- figures: b.one a.* -->\n|") && !filled.contains("old"), "{filled}");
        assert!(
            filled.contains(
                "\nbetween\n<!-- machines -->\n- a commit that was not noted: `cargo xtask bench --quick` on 2 CPUs"
            ),
            "{filled}"
        );
        assert_eq!(fill(&filled, &runs()).unwrap(), filled);
    }

    #[test]
    fn a_machine_is_shown_with_the_commit_that_it_has_measured() {
        let machines = |commit: &str| {
            let sheet = Sheet { commit: Some(commit.to_owned()), ..runs().last().unwrap().clone() };
            fill("<!-- machines -->\n<!-- end -->\n", &Runs::of(sheet)).unwrap()
        };
        assert!(machines("0123456789abcdef").contains("\n- commit 0123456789: `cargo"));
        assert!(machines("0123456789abcdef+").contains("\n- commit 0123456789 with changes: `cargo"));
    }

    #[test]
    fn the_documents_that_are_committed_show_the_figures_that_are() {
        let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let runs = Runs::read(&root.join("docs/figures.json")).unwrap();
        for name in ["docs/PERFORMANCE.md", "README.md"] {
            let text = std::fs::read_to_string(root.join(name)).unwrap();
            let filled = fill(&text, &runs).unwrap();
            let differs = text.lines().zip(filled.lines()).find(|(is, should)| is != should);
            let remedy = "`cargo xtask bench --from docs/figures.json --docs` writes it";
            assert!(text == filled, "{name} is not what the figures are: {remedy}: {differs:?}");
        }
    }

    #[test]
    fn a_mark_without_figures_or_without_an_end_is_named_by_its_line() {
        let error = |text: &str| format!("{:#}", fill(text, &runs()).unwrap_err());
        assert_eq!(error("\n<!-- figures: c.* -->\n<!-- end -->\n"), "line 2: the figures have no c.*");
        assert_eq!(error("<!-- figures: a.* -->\n"), "line 1: there is no <!-- end --> behind it");
    }
}
